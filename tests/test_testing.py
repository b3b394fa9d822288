"""The contract checks: they pass on every id, and each of them can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import memenvs
from memenvs import testing
from memenvs.env import MemoryEnv
from memenvs.streams.stream_list import StreamList
from rewards.wrappers import ChunkStepReward, CompressionReward, FineMemReward, FormatReward

ALL = [one.__name__ for one in testing.CHECKS]


@pytest.mark.parametrize("env_id", [info.id for info in memenvs.envs() if info.embedded])
def test_every_id_keeps_the_contract(env_id: str):
    assert testing.check(env_id, seed=2, data_settings={"T": 6}) == ALL


@pytest.mark.parametrize("env_id", ["FineMem-Memalpha-v0", "FineMem-Memalpha-Flat-v0"])
def test_wrapped_environments_keep_it(env_id: str):
    assert testing.check(FineMemReward(gym.make(env_id, max_operations=3), evidence="cited")) == ALL
    assert testing.check(FormatReward(ChunkStepReward(CompressionReward(gym.make(env_id))))) == ALL


def test_a_limited_environment_keeps_it():
    limits = {"max_operations": 1, "max_item_tokens": 40, "memory_budget": 60}
    assert testing.check("FineMem-Memalpha-v0", dialect="function_calls", **limits) == ALL


def test_an_environment_without_a_spec_skips_the_other_process():
    streams = MemoryEnv(data_settings={"T": 4}).dataset
    env = MemoryEnv(StreamList([streams[0], streams[1]]))
    with pytest.warns(UserWarning, match="check_other_process was skipped: the environment has no spec"):
        assert testing.check(env) == [name for name in ALL if name != "check_other_process"]


SCRIPT = """
import gymnasium as gym, memenvs
from rewards import RewardWrapper

class Brevity(RewardWrapper):
    def terms(self, record):
        return {"brevity": tuple(-0.01 * len(step.operations) for step in record.steps)}

def main():
    env = Brevity(gym.make("FineMem-Memalpha-v0", data_settings={"T": 4}))
    print(memenvs.testing.check(env))

if __name__ == "__main__":
    main()
"""


def test_a_wrapper_of_a_script_skips_the_other_process(tmp_path: Path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, env=env, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str([name for name in ALL if name != "check_other_process"])
    assert "check_other_process was skipped: another process cannot import __main__:Brevity" in run.stderr


def test_a_wrapper_inside_a_function_skips_the_other_process():
    class Local(FormatReward):
        pass

    with pytest.raises(unittest.SkipTest, match="cannot import test_testing:Local"):
        testing.check_other_process(Local(gym.make("FineMem-Memalpha-v0")))


class TestContract(testing.EnvContract):
    """The mixin, as a user would write it."""

    def make(self) -> gym.Env:
        return gym.make("FineMem-Memalpha-v0", data_settings={"T": 5})


def test_the_mixin_has_every_check():
    assert {f"test_{name.removeprefix('check_')}" for name in ALL} <= set(dir(testing.EnvContract))


def test_other_environments_are_refused():
    with pytest.raises(AssertionError, match="MemoryEnv inside"):
        testing.check(gym.make("CartPole-v1"))
    with pytest.raises(NotImplementedError, match="make"):
        testing.EnvContract().test_spaces()


class Wrong(MemoryEnv):
    """Four steps long, for the broken environments below."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(data_settings={"T": 4}, **kwargs)


class ChunkTooLong(Wrong):
    def _observation(self):
        seen = super()._observation()
        return seen | {"chunk": seen["chunk"] + "x" * 70_000}


class SeedIgnored(Wrong):
    count = 0

    def reset(self, *, seed=None, options=None):
        self.count += 1
        return super().reset(seed=seed, options={"stream": self.count})


class AlwaysTheFirst(Wrong):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options={"stream": 0})


class EmptyEnds(Wrong):
    def step(self, action):
        result = super().step(action)
        return (*result[:2], result[2] or action == "", *result[3:])


class NeverEnds(Wrong):
    def step(self, action):
        result = super().step(action)
        return (*result[:2], False, *result[3:])


class NumpyTruncated(Wrong):
    def step(self, action):
        result = super().step(action)
        return (*result[:3], np.bool_(False), result[4])


class Parses(Wrong):
    def step(self, action):
        json.loads(action)
        return super().step(action)


class PaysTwice(Wrong):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, 2 * reward + 1, *rest


class NoSnapshot(Wrong):
    def restore(self, snapshot):
        return self._observation(), self._info()


class ForgetfulRestore(Wrong):
    def restore(self, snapshot):
        result = super().restore(snapshot)
        self.episode._steps[0] = self.episode._steps[1]
        return result


class FailureIsZero(Wrong):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, 0.0 if reward != reward else reward, *rest


class FailureHidden(Wrong):
    def step(self, action):
        *rest, info = super().step(action)
        return *rest, info | {"failure": None}


class HashSeed(Wrong):
    def digest(self):
        return f"{super().digest()}{hash('a')}{os.getpid()}"


@pytest.mark.parametrize(
    ("broken", "one", "message"),
    [
        (ChunkTooLong, testing.check_spaces, "space"),
        (SeedIgnored, testing.check_seeding, "two different starts"),
        (AlwaysTheFirst, testing.check_seeding, "20 different seeds"),
        (EmptyEnds, testing.check_length, "ended after 1 steps"),
        (NeverEnds, testing.check_length, "ended after 4 steps"),
        (NumpyTruncated, testing.check_length, "truncated must be the bool False"),
        (Parses, testing.check_length, "must be reported, never raised"),
        (PaysTwice, testing.check_rewards, "rewards paid sum to"),
        (NoSnapshot, testing.check_snapshot, "after restore"),
        (ForgetfulRestore, testing.check_snapshot, "another record"),
        (FailureIsZero, testing.check_reader_failure, "must not look like a score"),
        (FailureHidden, testing.check_reader_failure, "the reader failed and"),
    ],
)
def test_a_broken_promise_is_found(broken: type[Wrong], one: Any, message: str):
    with pytest.raises(AssertionError, match=message):
        one(broken(), 0)


class Half(gym.Wrapper):
    def step(self, action):
        *rest, info = self.env.step(action)
        if "step_rewards" in info:
            info = info | self.change(info)
        return *rest, info


class TooFew(Half):
    def change(self, info):
        return {"step_rewards": info["step_rewards"][1:]}


class WrongTerms(Half):
    def change(self, info):
        return {"step_reward_terms": info["step_reward_terms"] | {"extra": (1.0,) * info["T"]}}


class ShortTerms(Half):
    def change(self, info):
        return {"step_reward_terms": {"extra": (1.0,)}}


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [(TooFew, "expected one per step"), (WrongTerms, "sum to"), (ShortTerms, "the term 'extra'")],
)
def test_wrong_step_rewards_are_found(wrapper: type[Half], message: str):
    with pytest.raises(AssertionError, match=message):
        testing.check_rewards(wrapper(FineMemReward(Wrong())), 0)


def test_a_start_that_depends_on_the_process_is_found():
    gym.register("Broken-HashSeed-v0", entry_point="test_testing:HashSeed")
    try:
        with pytest.raises(AssertionError, match="fresh process"):
            testing.check_other_process(gym.make("Broken-HashSeed-v0"), 0)
    finally:
        del gym.registry["Broken-HashSeed-v0"]
