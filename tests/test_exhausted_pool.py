"""A run whose sampler has nothing left to learn from ends early, says so, and is a finished run."""

import json
from dataclasses import replace

import pytest
import torch

from agents.candidate import load_policy
from trainers import checkpoint, parts
from trainers.grpo import train
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots
from trainers.slots.filters import NoPositiveResampling

SETTINGS = TrainSettings(
    env=EnvSettings(T=4), updates=6, streams=2, group_size=2, eval_every=100, eval_streams=2, final_streams=2,
    checkpoint_every=100, pool=4, slots=Slots(sampler="npr"), reward="outcome",
)  # fmt: skip


class EasyToPlease(NoPositiveResampling):
    """Takes every stream that was played for learnt: two updates of two streams empty a pool of four."""

    def __init__(self, **settings):
        super().__init__(**settings, threshold=1e-9)

    def observe(self, update, groups, entries):
        super().observe(update, groups, entries)
        self.rates |= {group.stream: 1.0 for group in groups}


@pytest.fixture
def easy(monkeypatch):
    monkeypatch.setattr(parts, "resolve", lambda slot, name: EasyToPlease)


def finished(folder):
    result = json.loads((folder / "result.json").read_text())
    return result["updates"], result["ended"], result["r_global"]


@pytest.mark.usefixtures("easy")
def test_a_run_ends_when_its_pool_is_learnt(tmp_path):
    with pytest.warns(UserWarning, match="the run ended after 2 of 6 updates: all 4 streams of the pool"):
        policy, scores = train(SETTINGS, tmp_path, tensorboard=False)
    assert len(scores) == 2
    updates, reason, r_global = finished(tmp_path)
    assert (updates, reason.split(":")[0]) == (2, "all 4 streams of the pool have a pass rate of 1e-09 or more")
    lines = read_metrics(tmp_path / "metrics.csv")
    assert [line["update"] for line in lines] == [0, 1, 2]
    assert 0 <= lines[-1]["heldout/r_global"] <= 1
    kept = load_policy(checkpoint.find(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), policy.parameters(), strict=True))
    # Resumed, it is as finished as it was.
    with pytest.warns(UserWarning, match="ended after 2 of 6"):
        train(SETTINGS, tmp_path, resume=True, tensorboard=False)
    assert finished(tmp_path) == (updates, reason, r_global)
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.csv")] == [0, 1, 2]


@pytest.mark.usefixtures("easy")
def test_a_run_that_learnt_its_pool_in_its_last_update_is_whole(tmp_path):
    train(replace(SETTINGS, updates=2), tmp_path, tensorboard=False)
    assert finished(tmp_path)[:2] == (2, None)
