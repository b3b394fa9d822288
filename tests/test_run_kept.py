"""What a run may change when it goes on, and which of its policies stay."""

import json
import os
from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture

from agents.language_model.policy import load_policy
from memenvs.errors import DataError, SettingsError
from trainers import checkpoint
from trainers.commands_evaluate import evaluate
from trainers.runlog import read_curve
from trainers.suites.arms_memory import trained_memory
from trainers.tokens.grpo import train
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

RUN = TokenTrainSettings(lm=LanguageModelSettings(model="x"))


@pytest.mark.parametrize(
    "change", [{"updates": 9}, {"eval_every": 2}, {"checkpoint_every": 1}, {"keep": 3}, {"lm": {"batch": 8}},
    {"lm": {"micro_batch": 2}}, {"lm": {"gradient_checkpointing": True}},
    {"lm": {"device": "cuda:1"}}], ids=str
)  # fmt: skip
def test_what_leaves_the_numbers_as_they_are_but_for_rounding_may_change(change):
    assert changed(change).fingerprint == RUN.fingerprint


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"eval_streams": 2}, {"lm": {"dtype": "bfloat16", "lora_rank": 2}}, {"lm": {"lora_rank": 2}},
    {"lm": {"max_tokens": 9}}, {"lm": {"model": "y"}}], ids=str
)  # fmt: skip
def test_what_moves_the_numbers_may_not(change):
    assert changed(change).fingerprint != RUN.fingerprint


def changed(change):
    return replace(RUN, **change | ({"lm": replace(RUN.lm, **change["lm"])} if "lm" in change else {}))


def test_a_run_goes_on_in_smaller_batches_and_learns_the_same(taught, tmp_path):  # noqa: F811
    whole, _ = train(replace(taught, updates=2), tmp_path / "whole", tensorboard=False)
    train(taught, tmp_path / "cut", tensorboard=False)
    smaller = replace(taught, updates=2, eval_every=1, lm=replace(taught.lm, batch=3, micro_batch=2))
    again, _ = train(smaller, tmp_path / "cut", resume=True, tensorboard=False)
    for one, other in zip(whole.lm.model.parameters(), again.lm.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    with pytest.raises(DataError, match="other settings"):
        train(replace(taught, updates=3, eval_streams=2), tmp_path / "cut", resume=True, tensorboard=False)


def test_the_newest_checkpoints_and_the_best_policy_stay(taught, tmp_path):  # noqa: F811
    settings = replace(taught, updates=3, keep=2, eval_every=1, eval_streams=3)
    train(settings, tmp_path, tensorboard=False)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-000002", "checkpoint-000003"]
    values = [value for _, value in read_curve(tmp_path)]
    state = json.loads((tmp_path / "best" / "state.json").read_text())
    assert state["heldout/r_global"] == max(values)
    assert state["update"] == values.index(max(values))
    assert checkpoint.agent_name(f"lm:{tmp_path / 'best'}") == f"lm:{tmp_path / 'best'}"
    assert load_policy(tmp_path / "best").sampling.max_tokens == taught.lm.max_tokens
    # The best is evaluated as it was in training, in the memory of its run.
    evaluate((f"lm:{tmp_path / 'best'}",), streams=3, out=tmp_path / "evaluated")
    (row,) = json.loads((tmp_path / "evaluated" / "table.json").read_text())["rows"]
    assert row["r_global"] == pytest.approx(max(values))
    assert trained_memory(tmp_path / "best") == trained_memory(tmp_path) != {}


def test_a_better_policy_takes_the_place_of_the_best_one(tmp_path):
    for number in (1, 2):
        name = f"weights-{number}"
        checkpoint.save_policy(
            tmp_path, checkpoint.BEST, {"update": number}, lambda draft, name=name: (draft / name).touch()
        )
    assert sorted(os.listdir(tmp_path)) == ["best"]
    assert sorted(os.listdir(tmp_path / "best")) == ["state.json", "weights-2"]
    (tmp_path / ".best.new").mkdir()  # what a kill leaves
    (tmp_path / ".best.old").mkdir()
    with pytest.raises(ZeroDivisionError):
        checkpoint.save_policy(tmp_path, checkpoint.BEST, {"update": 3}, lambda draft: 1 / 0)
    assert checkpoint.read_state(tmp_path / "best") == {"update": 2}


def test_keeping_no_checkpoint_is_refused():
    with pytest.raises(SettingsError, match="keep must be at least 1"):
        replace(RUN, keep=0)


def test_checkpoints_are_counted_where_they_are_complete(tmp_path):
    (tmp_path / "checkpoint-000003").mkdir()
    for update in (1, 2, 4, 5):
        checkpoint.save(tmp_path, update, {}, {}, keep=3)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-000002", "checkpoint-000004", "checkpoint-000005"]
