"""Per-step rewards for Stable-Baselines3's on-policy algorithms (PPO, A2C, MaskablePPO, RecurrentPPO)."""

from __future__ import annotations

import torch
from stable_baselines3.common.callbacks import BaseCallback


class StepRewardsCallback(BaseCallback):
    """Puts ``info["step_rewards"]`` where they belong in the rollout buffer.

    A reward wrapper knows some terms only when the episode is over and pays the rest at the last step. This callback replaces
    the rewards of every episode that lies wholly inside a rollout by its per-step rewards, before the policy is updated; the
    return is the same. Choose ``n_steps`` as a multiple of T, so that every episode does.

    An episode with ``info["failure"]`` gets advantages of 0: it teaches nothing, rather than that its actions were bad.

    Rewards must reach the buffer as the environment pays them (no ``VecNormalize(norm_reward=True)``).
    """

    def _on_rollout_start(self) -> None:
        self._row = 0
        self._credited: list[tuple[int, slice, tuple[float, ...]]] = []
        self._failed: list[tuple[int, slice]] = []

    def _on_step(self) -> bool:
        for env, (done, info) in enumerate(zip(self.locals["dones"], self.locals["infos"], strict=True)):
            if not done:
                continue
            start, end = self._row + 1 - info["T"], self._row + 1
            if info["failure"] is not None:
                self._failed.append((env, slice(max(0, start), end)))
            elif start >= 0 and "step_rewards" in info:
                self._credited.append((env, slice(start, end), info["step_rewards"]))
        self._row += 1
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.locals["rollout_buffer"]
        # Not every algorithm passes on the value after the last step, but the returns were built on it.
        last = (buffer.returns[-1] - buffer.rewards[-1]) / buffer.gamma if buffer.gamma else buffer.values[-1]
        for env, rows, rewards in self._credited:
            buffer.rewards[rows, env] = rewards
        for env, rows in self._failed:
            buffer.rewards[rows, env] = 0.0
        buffer.compute_returns_and_advantage(torch.as_tensor(last), self.locals["dones"])
        for env, rows in self._failed:
            buffer.advantages[rows, env] = 0.0
            buffer.returns[rows, env] = buffer.values[rows, env]
