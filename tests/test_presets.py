"""Rewards by name."""

from __future__ import annotations

import json
import math

import gymnasium as gym
import pytest

import memenvs  # noqa: F401  (registers the ids)
from memenvs.errors import SettingsError
from rewards import RewardWrapper, terms
from rewards.presets import PRESETS, wrap_reward

#: What each preset pays besides format and compression, which are in every one.
TERMS = {
    "outcome": lambda r: {"evidence": terms.outcome(r, "uniform")},
    "chunk": lambda r: {"evidence": terms.outcome(r, "uniform"), "chunk": tuple(0.5 * c for c in terms.chunk(r))},
    "evidence": lambda r: {"evidence": terms.evidence(r)},
    "evidence-cited": lambda r: {"evidence": terms.evidence(r, evidence="cited")},
    "finemem": lambda r: {"evidence": terms.evidence(r), "chunk": tuple(0.5 * c for c in terms.chunk(r))},
    "finemem-cited": lambda r: {
        "evidence": terms.evidence(r, evidence="cited"),
        "chunk": tuple(0.5 * c for c in terms.chunk(r)),
    },
}


def make(**kwargs):
    return gym.make("FineMem-Memalpha-v0", **{"data_settings": {"T": 4}} | kwargs)


def play(env):
    observation, _ = env.reset(seed=5)
    done, info, paid = False, {}, []
    while not done:
        message = json.dumps([{"op": "INSERT", "content": observation["chunk"]}, {"op": "DELETE", "id": "0.0"}])
        observation, reward, done, _, info = env.step(message if observation["step"] != 1 else "?")
        paid.append(reward)
    return paid, info


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_pays_what_its_name_says(name):
    env = wrap_reward(make(), name)
    _, info = play(env)
    record, paid = env.unwrapped.record, dict(info["step_reward_terms"])
    assert paid.pop("format") == terms.fmt(record)
    assert paid.pop("compression") == tuple(0.05 * value for value in terms.compression(record))
    expected = TERMS[name](record)
    assert set(paid) == set(expected)
    for term, values in expected.items():
        assert paid[term] == pytest.approx(values, abs=1e-12)


def test_arguments_go_over_those_of_the_preset():
    env = wrap_reward(make(), "evidence-cited", evidence="retrieved", beta=1.0)
    _, info = play(env)
    assert info["step_reward_terms"]["evidence"] == terms.evidence(env.unwrapped.record, beta=1.0)


def test_raw_is_the_environment_itself():
    env = make()
    assert wrap_reward(env, "raw") is env


class Custom(RewardWrapper):
    """Found by its name below."""

    def __init__(self, env, bonus=1.0):
        super().__init__(env, bonus=bonus)
        self.bonus = bonus

    def terms(self, record):
        return {"bonus": (self.bonus,) * record.T}


class NoWrapper:
    """Takes the environment and is none."""

    def __init__(self, env):
        self.env = env


def test_a_class_of_ones_own_by_name():
    paid, info = play(wrap_reward(make(), f"{__name__}:Custom", bonus=2.0))
    assert info["step_reward_terms"]["bonus"] == (2.0,) * 4
    assert math.fsum(paid) == pytest.approx(8.0 + info["r_global"])


@pytest.mark.parametrize(
    ("reward", "arguments", "message"),
    [
        ("finmem", {}, r"unknown reward 'finmem'; known: raw, outcome.*Did you mean 'finemem'"),
        ("evidence_cited", {}, "Did you mean 'evidence-cited'"),
        ("", {}, "unknown reward ''"),
        ("no_such_module_here:Reward", {}, "cannot be imported: ModuleNotFoundError: No module named"),
        ("rewards:NoSuchReward", {}, "cannot be imported: .*NoSuchReward"),
        (":Reward", {}, "cannot be imported"),
        (".wrappers:FormatReward", {}, "cannot be imported"),
        ("no_such_module_here:Reward", {}, "expected module:name, .* current directory"),
        (f"{__name__}:NoWrapper", {}, "gave NoWrapper; expected a gymnasium.Wrapper"),
        (f"{__name__}:TERMS", {}, "is dict; expected a class or function that takes the environment"),
        (f"{__name__}:Custom", {"bonos": 1}, "it is called with the environment, bonos=1"),
        ("finemem", {"betta": 0.5}, "'finemem' could not be made: TypeError: .*betta"),
        ("rewards:FormatReward", {"wheight": 0.5}, "could not be made: TypeError: .*wheight.*it is called with"),
        ("finemem", {"beta": 5}, r"beta must be in \[0, 1\]"),
    ],
)
def test_what_cannot_be_made_is_refused(reward, arguments, message):
    with pytest.raises(SettingsError, match=message):
        wrap_reward(make(), reward, **arguments)


@pytest.mark.parametrize("place", ["import", "constructor"])
def test_whatever_fails_in_a_class_of_ones_own_is_explained_with_its_cause(tmp_path, monkeypatch, place):
    fails = "{}['limit']"
    text = fails if place == "import" else f"def Mine(env):\n    return {fails}\n"
    (tmp_path / f"fails_at_{place}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="KeyError: 'limit'") as caught:
        wrap_reward(make(), f"fails_at_{place}:Mine")
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_preset_that_needs_chunk_questions_says_so():
    with pytest.raises(SettingsError, match="chunk_questions=0"):
        wrap_reward(make(chunk_questions=0), "chunk")
    wrap_reward(make(chunk_questions=0), "evidence")
