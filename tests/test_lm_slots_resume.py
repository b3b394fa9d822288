"""What the slots remember of a language model's run survives a checkpoint: stored groups, pass rates, the critic."""

import json
from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture
from test_lm_resume import run_killed, without_times

from trainers import checkpoint
from trainers.slots.choices import Slots
from trainers.tokens.grpo import train

REPLAYED = Slots(preset="ppo", sampler="dots")


def numbers(folder):
    """What a run ended with: its metrics, what it cost, and the digest of its last checkpoint."""
    cost = json.loads((folder / "result.json").read_text())["cost"]
    return without_times(folder), cost, checkpoint.digest(checkpoint.latest(folder))


@pytest.mark.parametrize(
    "slots",
    [
        pytest.param(REPLAYED, id="dots, critic"),
        pytest.param(Slots(sampler="compensation"), id="compensation"),
        pytest.param(Slots(preset="scalerl"), id="npr", marks=pytest.mark.slow),
        pytest.param(Slots(preset="memory-r2"), id="local", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(taught, tmp_path, slots):  # noqa: F811
    settings = replace(taught, slots=slots, updates=4, streams=1, learning_rate=3e-3)
    policy, whole = train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=3), tmp_path / "cut", tensorboard=False)
    state = json.loads((checkpoint.latest(tmp_path / "cut") / "state.json").read_text())["sampler"]
    assert bool(state) == (slots.preset != "memory-r2")
    assert slots.sampler is None or state["replay"]  # what the fourth update trains
    again, parts = train(settings, tmp_path / "cut", resume=True, tensorboard=False)
    assert parts == whole
    assert all(
        torch.equal(a, b) for a, b in zip(policy.lm.model.parameters(), again.lm.model.parameters(), strict=True)
    )
    lines, *rest = numbers(tmp_path / "whole")
    lines_again, *rest_again = numbers(tmp_path / "cut")
    # The last line alone: an evaluation stands at the end of the shorter run too.
    assert (lines_again[-1], *rest_again) == (lines[-1], *rest)
    assert slots.sampler is None or lines[-1]["train/decisions"] > 0


def test_ratios_of_a_stored_group_divide_by_the_policy_that_drew_it(taught, tmp_path):  # noqa: F811
    train(replace(taught, slots=REPLAYED, updates=4, streams=1, epochs=1), tmp_path, tensorboard=False)
    lines = [line for line in without_times(tmp_path)[1:] if "train/log_ratio" in line]
    fresh = [line["train/drift"] for line in lines if line["train/log_ratio"] < 1e-5]
    stored = [line["train/drift"] for line in lines if line["train/log_ratio"] > 1e-3]
    assert len(fresh) + len(stored) == len(lines) == 4
    assert fresh
    assert stored
    assert max(fresh) == 0 < min(stored)


@pytest.mark.slow
def test_a_run_killed_between_storing_and_replaying_goes_on_as_if_it_had_not_been(taught, tmp_path):  # noqa: F811
    settings = replace(taught, slots=REPLAYED, updates=4, streams=1, learning_rate=3e-3)
    train(settings, tmp_path / "whole", tensorboard=False)
    folder = tmp_path / "killed"
    for update in (1, 2, 3):
        run_killed(f"after {update}", settings, folder)
    train(settings, folder, resume=True, tensorboard=False)
    assert numbers(folder) == numbers(tmp_path / "whole")
