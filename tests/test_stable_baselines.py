"""StepRewardsCallback puts per-step rewards into the rollout buffer."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sb3_contrib")

import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from agents.stable_baselines import StepRewardsCallback
from memenvs.testing import FailingReader

T = 4
GAMMA, LAMBDA = 0.9, 0.8


class Counter(gym.Env[np.ndarray, int]):
    """T steps that pay nothing until the end; the per-step rewards are 1, 2, 3, 4 plus the episode's number times 10."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    fail_at = -1
    episode = -1

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t, self.episode = 0, self.episode + 1
        return self._seen(), {}

    def _seen(self) -> np.ndarray:
        return self.np_random.random(2, np.float32)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        info: dict[str, Any] = {"T": T, "failure": None}
        reward = 0.0
        if self.t == T:
            info["step_rewards"] = tuple(10.0 * self.episode + i for i in range(1, T + 1))
            reward = sum(info["step_rewards"])
            if self.episode == self.fail_at:
                reward, info["failure"] = float("nan"), "ReaderError: gone"
        return self._seen(), reward, self.t == T, False, info

    def action_masks(self) -> np.ndarray:
        return np.array([True, True])


class Look(BaseCallback):
    """Keeps a copy of each buffer as the update will see it."""

    def _on_training_start(self) -> None:
        self.seen: list[dict[str, np.ndarray]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        names = ("rewards", "advantages", "returns", "values", "episode_starts")
        self.seen.append({name: getattr(self.model.rollout_buffer, name).copy() for name in names})


def rollouts(
    algorithm: Any, n_steps: int, env: Any = None, callbacks: Any = None, policy: str = "MlpPolicy", count: int = 2
):
    look = Look()
    extra = {} if algorithm is A2C else {"batch_size": n_steps, "n_epochs": 1}
    model = algorithm(
        policy, env or Counter(), n_steps=n_steps, gamma=GAMMA, gae_lambda=LAMBDA, seed=0, device="cpu", **extra
    )
    model.learn(n_steps * count, callback=CallbackList([*(callbacks or [StepRewardsCallback()]), look]))
    return look.seen


def advantages(rewards: np.ndarray, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """GAE by its definition, for a rollout that ends with an episode."""
    found, running = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        goes_on = t + 1 < len(rewards) and not starts[t + 1]
        following = values[t + 1] if goes_on else 0.0
        running = rewards[t] + GAMMA * following - values[t] + GAMMA * LAMBDA * running * goes_on
        found[t] = running
    return found


@pytest.mark.parametrize(
    ("algorithm", "policy"),
    [(PPO, "MlpPolicy"), (A2C, "MlpPolicy"), (MaskablePPO, "MlpPolicy"), (RecurrentPPO, "MlpLstmPolicy")],
)
def test_rewards_and_advantages_of_whole_episodes(algorithm: Any, policy: str):
    torch.set_num_threads(1)
    first, second = rollouts(algorithm, 2 * T, policy=policy)
    assert first["rewards"].ravel().tolist() == [1, 2, 3, 4, 11, 12, 13, 14]
    assert second["rewards"].ravel().tolist() == [21, 22, 23, 24, 31, 32, 33, 34]
    for seen in (first, second):
        rewards, values, starts = (seen[name].ravel() for name in ("rewards", "values", "episode_starts"))
        expected = advantages(rewards, values, starts)
        assert seen["advantages"].ravel() == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert seen["returns"].ravel() == pytest.approx(expected + values, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_an_episode_across_two_rollouts_keeps_its_return(algorithm: Any):
    seen = rollouts(algorithm, T + 2)
    assert seen[0]["rewards"].ravel().tolist() == [1, 2, 3, 4, 0, 0]
    assert seen[1]["rewards"].ravel().tolist() == [0, 50, 21, 22, 23, 24]


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_the_value_after_the_last_step_is_kept(algorithm: Any):
    """Where no episode ends in the rollout, recomputing changes nothing: the bootstrap value is the one SB3 used."""
    plain = rollouts(algorithm, 3, callbacks=[Look()], count=1)[0]
    tested = rollouts(algorithm, 3, count=1)[0]
    assert tested["advantages"] == pytest.approx(plain["advantages"], abs=1e-5)
    assert np.abs(plain["advantages"]).max() > 0


def test_a_failed_episode_teaches_nothing():
    env = Counter()
    env.fail_at = 1
    seen = rollouts(PPO, 3 * T, env=env, count=1)[0]
    rows = slice(T, 2 * T)
    assert np.isfinite(seen["advantages"]).all()
    assert not seen["advantages"][rows].any()
    assert np.array_equal(seen["returns"][rows], seen["values"][rows])
    assert seen["rewards"][:T].ravel().tolist() == [1, 2, 3, 4]
    assert seen["rewards"][2 * T :].ravel().tolist() == [21, 22, 23, 24]


def test_with_the_environment_and_its_reward_wrapper():
    from rewards.wrappers import FineMemReward

    env = FineMemReward(gym.make("FineMem-Memalpha-Flat-v0", data_settings={"T": 6}))
    seen = rollouts(PPO, 12, env=env, count=1)[0]
    assert seen["rewards"].shape == (12, 1)
    assert (seen["rewards"] > 0).all(), "the format term alone is positive at every step"
    failing = FineMemReward(gym.make("FineMem-Memalpha-Flat-v0", data_settings={"T": 6}, reader=FailingReader()))
    assert not rollouts(PPO, 12, env=failing, count=1)[0]["advantages"].any()
