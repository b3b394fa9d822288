"""Rollouts in lock-step.

* `Group` - the G rollouts of one stream.
* `rollouts` - those of several streams at once; `rollout`, of one.
* `view` - what a sampler sees of a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.base import View
from memenvs.errors import MemenvsError, ReaderError, SettingsError
from memenvs.record import EpisodeRecord
from memenvs.together import read_together
from rewards.wrapper import term_weights, work_out
from trainers.slots.sampling import GroupView

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


def rollouts(
    envs: Sequence[Sequence[gym.Env[Any, Any]]],
    policy: Policy,
    streams: Sequence[int],
    rngs: Sequence[Sequence[np.random.Generator]],
    tree: bool = False,
    rejudge: Rejudge | None = None,
) -> list[Group]:
    """Play several streams, each of them G times, in lock-step.

    At each step the policy decides for all rollouts with one call, and all that environments with one reader ask goes out in one
    call of it. Shorter streams leave earlier. A rollout whose reader failed goes on, as the others do, and leaves its group.

    Args:
        envs: [S][G] environments, those of a group equal: the seed gives them the same stream and questions. Their wrappers leave
            messages as they are.
        policy: decides.
        streams: (S,) seeds of the resets.
        rngs: [S][G] generators, one per rollout, so that a rollout does not depend on its neighbours.
        tree: rollouts 2i and 2i + 1 of a group share their first T // 2 steps: two leaves of one tree.
        rejudge: scores the global questions anew; rewards are then worked out from the records that it gives.

    Returns:
        A group per stream, in order.

    Raises:
        MemenvsError: the rollouts of a group do not share stream and length; statistics over them would mean nothing.
        SettingsError: the reward does not tell one reward per step.
        EpisodeError: a wrapper changed a message.
    """
    playing = [_Playing(*group, tree) for group in zip(envs, streams, rngs, strict=True)]
    for t in range(max((group.T for group in playing), default=0)):
        active = [group for group in playing if t < group.T]
        deciding = [(group, g) for group in active for g in group.deciding(t)]
        drawn = policy.act([group.views[g] for group, g in deciding], [group.rngs[g] for group, g in deciding])
        for (group, g), decision in zip(deciding, drawn, strict=True):
            group.decide(t, g, decision)
        read_together(
            [env for group in active for env in group.envs],
            [decisions[t].message for group in active for decisions in group.decisions],
        )
        for group in active:
            group.step(t)
    return [group.finished(rejudge) for group in playing]


def rollout(
    envs: Sequence[gym.Env[Any, Any]],
    policy: Policy,
    stream_seed: int,
    rngs: Sequence[np.random.Generator],
    tree: bool = False,
    rejudge: Rejudge | None = None,
) -> Group:
    """Play one stream G times; see `rollouts`."""
    (group,) = rollouts([envs], policy, [stream_seed], [rngs], tree, rejudge)
    return group


class _Playing:
    """The rollouts of one stream, under way."""

    def __init__(
        self, envs: Sequence[gym.Env[Any, Any]], stream: int, rngs: Sequence[np.random.Generator], tree: bool
    ) -> None:
        starts = [env.reset(seed=stream) for env in envs]
        if len({(info["stream"], info["T"]) for _, info in starts}) != 1:
            raise MemenvsError("the rollouts of a group must share one stream; did the environments ignore their seed?")
        self.envs, self.stream, self.rngs, self.tree = envs, stream, rngs, tree
        self.views = [View.of(*start) for start in starts]
        self.T = self.views[0].T
        self.decisions: list[list[Any]] = [[] for _ in envs]
        self._states: list[list[str]] = [[] for _ in envs]
        self._paid: list[list[float]] = [[] for _ in envs]
        self._infos: list[dict[str, Any]] = [{} for _ in envs]

    def _shared(self, t: int) -> bool:
        return self.tree and t < self.T // 2

    def deciding(self, t: int) -> range:
        """Who decides at step t: all, or in a shared step the even leaves, whom the odd ones follow."""
        return range(0, len(self.envs), 2 if self._shared(t) else 1)

    def decide(self, t: int, g: int, decision: Any) -> None:
        """Take a decision of rollout g, for its sibling too in a shared step."""
        for leaf in range(g, min(g + 2, len(self.envs)) if self._shared(t) else g + 1):
            self._states[leaf].append(self.envs[leaf].unwrapped.digest())  # type: ignore[attr-defined]
            self.decisions[leaf].append(decision)

    def step(self, t: int) -> None:
        """Second half of step t in every environment."""
        for g, env in enumerate(self.envs):
            observation, reward, _, _, self._infos[g] = env.step(self.decisions[g][t].message)
            self.views[g] = View.of(observation, self._infos[g])
            self._paid[g].append(float(reward))

    def finished(self, rejudge: Rejudge | None) -> Group:
        """The group, after the last step."""
        records = [env.unwrapped.record for env in self.envs]  # type: ignore[attr-defined]
        # A wrapper that does not tell its per-step rewards is taken at what it paid.
        rewards = [info.get("step_rewards", row) for info, row in zip(self._infos, self._paid, strict=True)]
        if wrong := [len(row) for row in rewards if len(row) != self.T]:
            raise SettingsError(
                f"the reward told {wrong[0]} per-step rewards of an episode of {self.T} steps; "
                'info["step_rewards"] has one for each step'
            )
        named = [info.get("step_reward_terms", {}) for info in self._infos]
        if rejudge is not None:
            records = list(rejudge(records))
            named = [work_out(env, record) for env, record in zip(self.envs, records, strict=True)]
            rewards = [tuple(map(math.fsum, zip(*terms.values(), strict=True))) for terms in named]
        table = np.array(rewards, dtype=np.float64)
        # A reading that failed anywhere takes the whole rollout out of the group.
        failed = np.array([record.failure is not None for record in records]) | np.isnan(table).any(axis=1)
        table[failed] = np.nan
        return Group(
            stream=self.stream,
            decisions=self.decisions,
            rewards=table,
            terms={name: np.where(failed[:, None], np.nan, [terms[name] for terms in named]) for name in named[0]},
            weights=term_weights(self.envs[0]),
            r_global=np.where(failed, np.nan, [record.r_global for record in records]),
            states=tuple(map(tuple, self._states)),
            trees=tuple(g // 2 for g in range(len(self.envs))) if self.tree else None,
            records=records,
            failed=failed,
        )


def check_played(groups: Sequence[Group], update: int) -> None:
    """See that there is something to learn from.

    Args:
        groups: that were played; none is sound too.
        update: number of finished updates.

    Raises:
        ReaderError: the reader failed in every rollout of them.
    """
    if not groups or not all(group.failed.all() for group in groups):
        return
    reasons = (record.failure for group in groups for record in group.records if record.failure)
    reason = next(reasons, "the reward of a step is NaN")
    raise ReaderError(
        f"every rollout of update {update + 1} failed, so it was not made: {reason}. The run is "
        f"kept as it was after update {update}; the same command goes on from there (memenvs train with --resume auto)"
    )


def view(stream: int, group: Group) -> GroupView:
    """What a sampler sees of a group."""
    tokens = np.array([record.memory_tokens for record in group.records], dtype=np.float64)
    return GroupView(stream, group.rewards, group.r_global, tokens, group.failed)
