"""Groups: one stream, G rollouts, rows that match."""

import gymnasium
import numpy as np
import pytest

from agents.candidate import CandidatePolicy, CandidateSettings
from memenvs.errors import MemenvsError, ReaderError, SettingsError
from memenvs.reading import ExtractiveReader
from trainers.advantages import group_advantages
from trainers.rollout import rollout
from trainers.settings import EnvSettings, TrainSettings

SETTINGS = TrainSettings(env=EnvSettings(T=4))
POLICY = CandidatePolicy(CandidateSettings(seed=0))


def rngs(count, seed=0):
    return [np.random.default_rng([seed, g]) for g in range(count)]


def test_rows_made_are_rows_trained():
    envs = SETTINGS.make_envs()[:3]
    group = rollout(envs, POLICY, 7, rngs(3))
    assert group.rewards.shape == (3, 4)
    assert [len(row) for row in group.decisions] == [4, 4, 4]
    assert set(group.terms) == {"evidence", "format", "chunk", "compression"}
    assert np.allclose(sum(group.terms.values()), group.rewards)
    # Every decision is the message that its own environment carried out.
    for env, row in zip(envs, group.decisions, strict=True):
        assert [d.message for d in row] == [step.message for step in env.unwrapped.record.steps]


def test_a_rollout_does_not_depend_on_its_neighbours():
    together = rollout(SETTINGS.make_envs()[:3], POLICY, 7, rngs(3))
    alone = rollout(SETTINGS.make_envs()[:1], POLICY, 7, rngs(3)[2:])
    assert [d.message for d in alone.decisions[0]] == [d.message for d in together.decisions[2]]
    assert np.array_equal(alone.rewards[0], together.rewards[2])


def test_a_group_over_different_streams_is_refused():
    envs = [SETTINGS.make_envs()[0], TrainSettings(env=EnvSettings(T=5)).make_envs()[0]]
    with pytest.raises(MemenvsError, match="share one stream"):
        rollout(envs, POLICY, 7, rngs(2))


class Forgetful(gymnasium.Wrapper):
    """Tells the rewards of two steps alone."""

    def step(self, action):
        *rest, info = self.env.step(action)
        return *rest, info | {"step_rewards": (1.0, 2.0)}


def test_a_reward_that_does_not_tell_every_step_is_refused():
    envs = [Forgetful(env) for env in SETTINGS.make_envs()[:2]]
    with pytest.raises(SettingsError, match="2 per-step rewards of an episode of 4 steps"):
        rollout(envs, POLICY, 7, rngs(2))


class OnceFailing(ExtractiveReader):
    """Fails at its third call."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def read(self, readings):
        self.calls += 1
        if self.calls == 3:
            raise ReaderError("no connection")
        return super().read(readings)


def test_a_failed_rollout_leaves_the_group():
    envs = SETTINGS.make_envs()[:3]
    envs[1].unwrapped.reader = OnceFailing()
    group = rollout(envs, POLICY, 7, rngs(3))
    assert group.failed.tolist() == [False, True, False]
    assert np.isnan(group.r_global[1])
    assert np.isnan(group.rewards[1]).all()
    assert not np.isnan(group.rewards[[0, 2]]).any()
    advantages = group_advantages(group.rewards)
    assert (advantages[1] == 0).all()
    # Two rollouts are left: their advantages are opposite.
    assert np.allclose(advantages[0], -advantages[2])


class FailsOnCredit(ExtractiveReader):
    """Serves an episode without chunk questions, which reads once, and then nothing that its credit needs."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def read(self, readings):
        self.calls += 1
        if self.calls > 1:
            raise ReaderError("no connection")
        return super().read(readings)


def test_a_rollout_without_credit_leaves_the_group():
    envs = TrainSettings(env=EnvSettings(T=4), reward="credit:prefix").make_envs()[:3]
    envs[1].unwrapped.reader = FailsOnCredit()
    with pytest.warns(UserWarning, match="no credit"):
        group = rollout(envs, POLICY, 7, rngs(3))
    assert envs[1].unwrapped.record.failure is None, "the episode itself went well"
    assert group.failed.tolist() == [False, True, False]
    assert np.isnan(group.rewards[1]).all()
    assert np.isnan(group.r_global[1])
    assert np.isfinite(group.rewards[[0, 2]]).all()
