"""Outcomes with a condition: the published examples, failures, and wrappers that pay their function."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import gymnasium as gym
import pytest

import memenvs  # noqa: F401  (registers the ids)
from memenvs.errors import SettingsError
from memenvs.memory import MemoryItem, Retrieved
from memenvs.record import EpisodeRecord, ReadingRecord, StepRecord
from rewards import BudgetReward, FormatReward, OutcomeReward, WithMemoryReward, extras, terms

ITEM = (Retrieved("0.0", 1.0, 0, 0),)


def question(score, retrieved=ITEM):
    return ReadingRecord("q", ("a",), "builtin-fact", retrieved, (), None if score is None else "p", score)


def episode(questions, memory_tokens=10, T=2):
    steps = [StepRecord(t, "c", None, 50, "m", None, (), 1, memory_tokens, ()) for t in range(T)]
    return EpisodeRecord("s", "builtin", "f", tuple(steps), tuple(questions), (MemoryItem("0.0", "x", 0, 0, 1),))


def test_budget_pays_only_below_the_share_of_the_average():
    """Vector 25: all correct, effort .5 of 1000 tokens."""
    returns = [math.fsum(extras.budget(episode([question(1.0)], tokens), 1000, 0.5)) for tokens in (400, 900, 1500)]
    assert returns == [1, 0, 0]
    assert math.fsum(extras.budget(episode([question(1.0)], 500), 1000, 0.5)) == 0  # the bound itself is too much


def test_an_effort_of_one_is_no_constraint():
    assert math.fsum(extras.budget(episode([question(0.75)], 1500), 1000, 1.0)) == 0.75


def test_budget_keeps_the_shape_of_the_outcome():
    record = episode([question(1.0), question(0.0)], 10, T=4)
    assert extras.budget(record, 100, 0.5) == (0, 0, 0, 0.5)
    assert extras.budget(record, 100, 0.5, spread="uniform", scale="mean") == (0.5,) * 4
    assert extras.budget(replace(record), 10, 0.5, spread="uniform") == (0,) * 4


def test_no_score_counts_without_memory():
    """Vector 30: accuracies 1, 0, 1, 1 and 0, 0, 1, 0 with an abstraction, 1, 1 without."""
    first = episode([question(s) for s in (1, 0, 1, 1)])
    second = episode([question(s) for s in (0, 0, 1, 0)])
    without = episode([question(1, ()), question(1, ())])
    assert [math.fsum(extras.with_memory(record)) for record in (first, second, without)] == [0.75, 0.25, 0]
    mixed = episode([question(1.0), question(0.5, ()), question(0.5)])
    assert extras.with_memory(mixed, spread="uniform") == pytest.approx((0.25, 0.25))


def test_a_failed_question_is_not_a_zero():
    failed = episode([question(None, ()), question(1.0)], memory_tokens=1000)
    assert math.isnan(extras.with_memory(failed)[-1])
    assert math.isnan(extras.budget(failed, 100, 0.5)[-1])


def test_impossible_budgets_are_refused():
    record = episode([question(1.0)])
    with pytest.raises(SettingsError, match="average must be .* above 0, got 0"):
        extras.budget(record, 0, 0.5)
    with pytest.raises(SettingsError, match="effort must be .* got -1"):
        BudgetReward(make(), average=10, effort=-1)
    with pytest.raises(SettingsError, match="Did you mean 'uniform'"):
        WithMemoryReward(make(), spread="uniforme")
    with pytest.raises(SettingsError, match="both distribute the outcome"):
        BudgetReward(OutcomeReward(make()), average=10)


def make():
    return gym.make("FineMem-Memalpha-v0", data_settings={"T": 4})


def play(env):
    observation, _ = env.reset(seed=1)
    total, done, info = 0.0, False, {}
    while not done:
        observation, reward, done, _, info = env.step(
            json.dumps([{"op": "INSERT", "content": observation["chunk"][:200]}])
        )
        total += reward
    return env.unwrapped.record, info["step_reward_terms"], total


@pytest.mark.parametrize(("average", "share"), [(1e6, 1.0), (1.0, 0.0)])
def test_the_budget_wrapper_pays_its_function(average, share):
    record, paid, total = play(BudgetReward(FormatReward(make()), average=average, effort=0.5))
    assert record.r_global > 0
    assert paid["budget"] == extras.budget(record, average, 0.5, "uniform")
    assert set(paid) == {"budget", "format"}
    assert total == pytest.approx(share * record.r_global + math.fsum(terms.fmt(record)))


def test_the_memory_wrapper_pays_its_function():
    record, paid, total = play(WithMemoryReward(make(), spread="last", scale="mean"))
    assert paid == {"with_memory": extras.with_memory(record, "last", "mean")}
    assert total == pytest.approx(4 * record.r_global)
    empty = WithMemoryReward(make())
    empty.reset(seed=1)
    for _ in range(4):
        *_, info = empty.step("[]")
    assert math.fsum(info["step_rewards"]) == 0
