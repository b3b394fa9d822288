"""G rollouts of one stream in lock-step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.base import View
from memenvs.errors import MemenvsError, SettingsError
from memenvs.record import EpisodeRecord
from rewards.wrapper import term_weights, work_out

Rejudge = Callable[[Sequence[EpisodeRecord]], Sequence[EpisodeRecord]]
"""The records of one stream's rollouts with the scores of their global questions given anew."""


class Policy(Protocol):
    """What decides: the small candidate policy, or a language model."""

    def act(
        self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None, greedy: bool = False
    ) -> Sequence[Any]:
        """One decision per view, each with a ``message``; drawn with a generator per view, or greedily."""
        ...


@dataclass(frozen=True, slots=True)
class Group:
    """The G rollouts of one stream: what advantages and the loss are made from."""

    stream: int
    """Seed of the stream."""
    decisions: list[list[Any]]
    """[G][T] of the policy's own kind, for instance `agents.candidate.Decision`."""
    rewards: NDArray[np.float64]
    """(G, T) per-step rewards; NaN in the rows of failed rollouts."""
    terms: dict[str, NDArray[np.float64]]
    """(G, T) per term."""
    weights: dict[str, float]
    """What each term weighs in the reward, where its wrapper tells."""
    r_global: NDArray[np.float64]
    """(G,); NaN for failed rollouts."""
    states: tuple[tuple[str, ...], ...]
    """[G][T] digest of the state before each step."""
    trees: tuple[int, ...] | None
    """[G] which leaves share their first steps; None if none do."""
    records: list[EpisodeRecord]
    """[G]."""
    failed: NDArray[np.bool_]
    """(G,): rollouts whose reader failed, in the episode or for its credit; they leave the group's statistics and the loss."""
    local: bool = False
    """Whether columns are re-rollouts of single steps from one memory, and rows are no rollouts (`trainers.local_rollouts`)."""

    @property
    def tags(self) -> tuple[tuple[str, ...], ...]:
        """[G][T] kind of operation of each step."""
        from rewards.credit.tags import step_tags

        return tuple(step_tags(record) for record in self.records)

    @property
    def memory_share(self) -> NDArray[np.float64]:
        """(G,) tokens of the final memory over tokens of the stream."""
        return np.array([record.memory_tokens / record.stream_tokens for record in self.records])

    @property
    def valid_share(self) -> float:
        """Share of valid operations over the group."""
        outcomes = [o.valid for record in self.records for step in record.steps for o in step.operations]
        return sum(outcomes) / max(1, len(outcomes))


def rollout(
    envs: Sequence[gym.Env[Any, Any]],
    policy: Policy,
    stream_seed: int,
    rngs: Sequence[np.random.Generator],
    tree: bool = False,
    rejudge: Rejudge | None = None,
) -> Group:
    """Play one stream G times.

    Args:
        envs: G equal environments; the seed gives all of them the same stream and questions.
        policy: the policy, which decides for all rollouts of a step at once.
        stream_seed: seed of the reset.
        rngs: one generator per rollout, so that a rollout does not depend on its neighbours.
        tree: rollouts 2i and 2i + 1 share their first T // 2 steps: two leaves of one tree.
        rejudge: scores the global questions anew; rewards are then worked out from the records that it gives.

    Raises:
        MemenvsError: the rollouts do not share stream and length; statistics over them would mean nothing.
        SettingsError: the reward does not tell one reward per step.
    """
    starts = [env.reset(seed=stream_seed) for env in envs]
    if len({(info["stream"], info["T"]) for _, info in starts}) != 1:
        raise MemenvsError("the rollouts of a group must share one stream; did the environments ignore their seed?")
    views = [View.of(observation, info) for observation, info in starts]
    G, T = len(envs), views[0].T
    decisions: list[list[Any]] = [[] for _ in envs]
    states: list[list[str]] = [[] for _ in envs]
    paid: list[list[float]] = [[] for _ in envs]
    infos: list[dict[str, Any]] = [{} for _ in envs]
    for t in range(T):
        # In a shared step the even leaf decides, and the odd one repeats it.
        leader = [g - g % 2 if tree and t < T // 2 else g for g in range(G)]
        acting = sorted(set(leader))
        drawn = dict(zip(acting, policy.act([views[g] for g in acting], [rngs[g] for g in acting]), strict=True))
        for g, env in enumerate(envs):
            states[g].append(env.unwrapped.digest())  # type: ignore[attr-defined]
            decision = drawn[leader[g]]
            observation, reward, _, _, infos[g] = env.step(decision.message)
            views[g] = View.of(observation, infos[g])
            decisions[g].append(decision)
            paid[g].append(float(reward))
    records = [env.unwrapped.record for env in envs]  # type: ignore[attr-defined]
    # A wrapper that does not tell its per-step rewards is taken at what it paid.
    rewards = [info.get("step_rewards", row) for info, row in zip(infos, paid, strict=True)]
    if wrong := [len(row) for row in rewards if len(row) != T]:
        raise SettingsError(
            f'the reward told {wrong[0]} per-step rewards of an episode of {T} steps; info["step_rewards"] has one for each step'
        )
    named = [info.get("step_reward_terms", {}) for info in infos]
    if rejudge is not None:
        records = list(rejudge(records))
        named = [work_out(env, record) for env, record in zip(envs, records, strict=True)]
        rewards = [tuple(map(math.fsum, zip(*terms.values(), strict=True))) for terms in named]
    table = np.array(rewards, dtype=np.float64)
    # A reading that failed anywhere takes the whole rollout out of the group.
    failed = np.array([record.failure is not None for record in records]) | np.isnan(table).any(axis=1)
    table[failed] = np.nan
    return Group(
        stream=stream_seed,
        decisions=decisions,
        rewards=table,
        terms={name: np.where(failed[:, None], np.nan, [terms[name] for terms in named]) for name in named[0]},
        weights=term_weights(envs[0]),
        r_global=np.where(failed, np.nan, [record.r_global for record in records]),
        states=tuple(map(tuple, states)),
        trees=tuple(g // 2 for g in range(G)) if tree else None,
        records=records,
        failed=failed,
    )
