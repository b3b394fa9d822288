"""A training run whose reader is away: it stops, keeps what is finished, and goes on from there."""

from dataclasses import replace

import pytest
import torch

from memenvs import reading
from memenvs.errors import ReaderError
from memenvs.reading import ExtractiveReader
from trainers import checkpoint
from trainers.grpo import train
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots

SMALL = TrainSettings(
    env=EnvSettings(T=4, reader="away"), updates=4, group_size=3, eval_every=4, eval_streams=2, final_streams=3,
    checkpoint_every=4,
)  # fmt: skip


@pytest.fixture
def away(monkeypatch):
    """Readers called "away", which fail while this holds anything."""
    out = []

    class Away(ExtractiveReader):
        name = "away"

        def read(self, readings):
            if out:
                raise ReaderError("no connection")
            return super().read(readings)

    monkeypatch.setitem(reading._READERS, "away", Away)
    return out


def test_a_run_does_not_begin_without_a_reader(tmp_path, away):
    away.append("from the start")
    with pytest.raises(ReaderError, match="in all 2 held-out episodes.*no connection"):
        train(SMALL, tmp_path, tensorboard=False)
    assert checkpoint.latest(tmp_path) is None
    assert not (tmp_path / "result.json").exists()
    away.clear()
    train(SMALL, tmp_path, tensorboard=False)
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.csv")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("sampler", "update"), [("uniform", 1), ("dots", 2)])
def test_an_update_without_a_reader_is_not_made_and_the_run_goes_on_from_there(tmp_path, away, update, sampler):
    settings = replace(SMALL, slots=Slots(sampler=sampler))
    policy, scores = train(settings, tmp_path / "whole", tensorboard=False)
    folder = tmp_path / "cut"

    def progress(done, line):
        if done == update:
            away.append("for a while")

    with pytest.raises(ReaderError, match=f"every rollout of update {update + 1} failed.*no connection.*--resume auto"):
        train(settings, folder, progress=progress, tensorboard=False)
    assert checkpoint.latest(folder).name == f"checkpoint-{update:06d}"
    assert [line["update"] for line in read_metrics(folder / "metrics.csv")] == list(range(update + 1))
    away.clear()
    again, scores_again = train(settings, folder, resume=True, tensorboard=False)
    assert scores_again == scores
    assert (folder / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    assert all(torch.equal(a, b) for a, b in zip(policy.parameters(), again.parameters(), strict=True))
