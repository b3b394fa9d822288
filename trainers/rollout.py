"""G rollouts of one stream in lock-step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.base import View
from agents.candidate import CandidatePolicy, Decision
from memenvs.errors import MemenvsError


@dataclass(frozen=True, slots=True)
class Group:
    """The G rollouts of one stream: what advantages and the loss are made from."""

    decisions: list[list[Decision]]
    """[G][T]."""
    rewards: NDArray[np.float64]
    """(G, T) per-step rewards; NaN in the rows of failed rollouts."""
    terms: dict[str, NDArray[np.float64]]
    """(G, T) per term."""
    r_global: NDArray[np.float64]
    """(G,); NaN for failed rollouts."""
    memory_share: NDArray[np.float64]
    """(G,) tokens of the final memory over tokens of the stream."""
    valid_share: float
    """Share of valid operations over the group."""
    failed: NDArray[np.bool_]
    """(G,): rollouts whose reader failed; they leave the group's statistics and the loss."""


def rollout(
    envs: Sequence[gym.Env[Any, Any]],
    policy: CandidatePolicy,
    stream_seed: int,
    rngs: Sequence[np.random.Generator],
) -> Group:
    """Play one stream G times.

    Args:
        envs: G equal environments; the seed gives all of them the same stream and questions.
        policy: the policy, which decides for all rollouts of a step at once.
        stream_seed: seed of the reset.
        rngs: one generator per rollout, so that a rollout does not depend on its neighbours.

    Raises:
        MemenvsError: the rollouts do not share stream and length; statistics over them would mean nothing.
    """
    starts = [env.reset(seed=stream_seed) for env in envs]
    if len({(info["stream"], info["T"]) for _, info in starts}) != 1:
        raise MemenvsError("the rollouts of a group must share one stream; did the environments ignore their seed?")
    views = [View.of(observation, info) for observation, info in starts]
    decisions: list[list[Decision]] = [[] for _ in envs]
    paid: list[list[float]] = [[] for _ in envs]
    infos: list[dict[str, Any]] = [{} for _ in envs]
    for _ in range(views[0].T):
        for g, decision in enumerate(policy.act(views, rngs)):
            observation, reward, _, _, infos[g] = envs[g].step(decision.message)
            views[g] = View.of(observation, infos[g])
            decisions[g].append(decision)
            paid[g].append(float(reward))
    records = [env.unwrapped.record for env in envs]  # type: ignore[attr-defined]
    # A wrapper that does not tell its per-step rewards is taken at what it paid.
    rewards = [info.get("step_rewards", row) for info, row in zip(infos, paid, strict=True)]
    outcomes = [outcome for record in records for step in record.steps for outcome in step.operations]
    # A reading that failed anywhere takes the whole rollout out of the group.
    failed = np.array([record.failure is not None for record in records])
    table = np.array(rewards, dtype=np.float64)
    table[failed] = np.nan
    named = [info.get("step_reward_terms", {}) for info in infos]
    return Group(
        decisions=decisions,
        rewards=table,
        terms={name: np.array([terms[name] for terms in named]) for name in named[0]},
        r_global=np.where(failed, np.nan, [record.r_global for record in records]),
        memory_share=np.array([record.memory_tokens / record.stream_tokens for record in records]),
        valid_share=sum(o.valid for o in outcomes) / max(1, len(outcomes)),
        failed=failed,
    )
