"""Accuracy turn by turn: the published vector, NOOPs by hand, horizons."""

from __future__ import annotations

import json
import math

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.env import MemoryEnv
from memenvs.errors import ScorerError
from memenvs.scoring.execution import (
    horizon,
    index_accuracy,
    prefix_accuracy,
    running_sums,
    step_accuracy,
    true_sums,
)
from memenvs.streams import StreamList
from memenvs.streams.running_sum import running_sum_stream
from memenvs.testing import FailingReader

METRICS = (index_accuracy, prefix_accuracy, step_accuracy)


# The sums of 5, -3 | 7, 2 | -4, 1 and a model that errs once and then adds rightly to its own mistake.
TRUTH, OUTPUTS = (2, 11, 8), (2, 12, 9)
EXPECTED = {"index": (1, 0, 0), "prefix": (1, 0, 0), "step": (1, 0, 1)}


def test_the_published_vector():
    assert index_accuracy(TRUTH, OUTPUTS) == EXPECTED["index"]
    assert prefix_accuracy(TRUTH, OUTPUTS) == EXPECTED["prefix"]
    assert step_accuracy(TRUTH, OUTPUTS) == EXPECTED["step"]


def test_a_sum_that_recovers_counts_for_index_but_not_for_prefix_accuracy():
    assert index_accuracy((1, 2, 3), (1, 0, 3)) == (1, 0, 1)
    assert prefix_accuracy((1, 2, 3), (1, 0, 3)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("truth", "outputs", "step"),
    [
        ((4, 9), (4, None), (1, 0)),  # keeps 4, the turn adds 5
        ((4, 4), (4, None), (1, 1)),  # keeps 4, the turn adds 0
        ((4, 9, 10), (4, None, 5), (1, 0, 1)),  # goes on from 4: 4 + 1
        ((4, 9), (None, 5), (0, 1)),  # goes on from 0: 0 + 5
        ((4, 9), (None, 9), (0, 0)),
        ((0,), (None,), (0,)),  # 0 to go on from is no answer
        ((), (), ()),
    ],
)
def test_a_noop_keeps_the_sum_before_and_is_wrong_at_the_first_turn(truth, outputs, step):
    assert step_accuracy(truth, outputs) == step
    assert index_accuracy(truth, outputs) == tuple(int(a == b) for a, b in zip(truth, outputs, strict=True))


sums = st.lists(st.integers(-5, 5), min_size=1, max_size=8)


@given(sums, st.integers(-3, 3), st.data())
def test_relations_of_the_three(truth, shift, data):
    outputs = data.draw(st.lists(st.none() | st.integers(-5, 5), min_size=len(truth), max_size=len(truth)))
    index, prefix = index_accuracy(truth, outputs), prefix_accuracy(truth, outputs)
    assert all(p <= i for p, i in zip(prefix, index, strict=True))
    assert list(prefix) == sorted(prefix, reverse=True)
    # All steps right up to a turn is the same as all sums right up to it, where nothing was left out.
    if None not in outputs:
        step = step_accuracy(truth, outputs)
        assert [all(step[: t + 1]) for t in range(len(truth))] == [bool(p) for p in prefix]
    # A constant mistake from the first turn on costs the first step alone.
    if shift:
        assert step_accuracy(truth, [x + shift for x in truth]) == (0,) + (1,) * (len(truth) - 1)


@pytest.mark.parametrize("metric", METRICS)
def test_an_output_per_turn_is_needed(metric):
    with pytest.raises(ScorerError, match="one output per turn, 3 of them .* got 2"):
        metric((1, 2, 3), (1, 2))


@pytest.mark.parametrize(("accuracy", "turns"), [(0.9, 6.57881347896), (0.99, 68.9675639365), (0.999, 692.800549179)])
def test_the_published_horizons(accuracy, turns):
    assert horizon(accuracy, 0.5) == pytest.approx(turns, rel=1e-10)
    assert accuracy ** horizon(accuracy, 0.2) == pytest.approx(0.2)


def test_the_ends_of_the_horizon():
    assert horizon(1.0) == math.inf
    assert horizon(0.0) == 0
    assert horizon(0.5, 1.0) == 0
    for accuracy, success in ((1.1, 0.5), (-0.1, 0.5), (math.nan, 0.5), (0.9, 0.0), (0.9, 1.5)):
        with pytest.raises(ScorerError, match="expected an accuracy in"):
            horizon(accuracy, success)


def test_the_vectors_are_those_of_the_oracle(shared):
    case = json.loads((shared / "oracles/rl/40_long_horizon_execution.json").read_text(encoding="utf-8"))
    output = case["output"]
    assert output["ground_truth"] == list(TRUTH)
    assert case["input"]["model_running_sums"] == list(OUTPUTS)
    found = {"index": output["index_acc"], "prefix": output["prefix_acc(task acc)"], "step": output["step_acc"]}
    assert {name: tuple(values) for name, values in found.items()} == EXPECTED
    for accuracy, turns in output["H_0.5"].items():
        assert horizon(float(accuracy)) == pytest.approx(turns, rel=1e-10)


# --- from an episode -----------------------------------------------------------------------------------------------

STREAM = running_sum_stream(
    "oracle",
    {"abcde": 5, "bcdef": -3, "cdefg": 7, "defgh": 2, "efghi": -4, "fghij": 1},
    [("abcde", "bcdef"), ("cdefg", "defgh"), ("efghi", "fghij")],
    entries=6,
)


def record_of(*messages: str, **kwargs):
    env = MemoryEnv(data=StreamList([STREAM]), **kwargs)
    env.reset(seed=0)
    for message in messages:
        env.step(message)
    return env.record


def insert(text: str) -> str:
    return json.dumps([{"op": "INSERT", "content": text}])


def update(item: str, text: str) -> str:
    return json.dumps([{"op": "UPDATE", "id": item, "content": text}])


def test_the_running_sums_of_an_episode_are_what_its_memory_held():
    record = record_of(
        '[{"op": "SKIP"}]',
        insert("The running sum is 2."),
        update("1.0", "The running sum is 12."),
        update("1.0", "Running sum so far: 9"),
    )
    assert true_sums(record) == TRUTH
    assert running_sums(record) == OUTPUTS
    assert step_accuracy(true_sums(record), running_sums(record)) == EXPECTED["step"]


def test_what_holds_no_number_is_none_and_an_untouched_note_is_kept():
    assert running_sums(record_of("", "", "", "")) == (None, None, None)
    assert running_sums(record_of("", "", insert("The running sum is -7."), "")) == (None, -7, -7)


def test_an_episode_without_sums_or_without_a_reader_is_refused():
    with pytest.raises(ScorerError, match="chunk_questions of at least 1"):
        running_sums(record_of("", "", "", "", chunk_questions=0))
    failed = record_of("", "", "", "", reader=FailingReader())
    with pytest.raises(ScorerError, match="leave failed episodes out"):
        running_sums(failed)
    assert true_sums(failed) == TRUTH
    env = gym.make("FineMem-Memalpha-v0", data_settings={"T": 4})
    env.reset(seed=0)
    for _ in range(4):
        env.step("")
    with pytest.raises(ScorerError, match="asked for no running sum"):
        true_sums(env.unwrapped.record)
