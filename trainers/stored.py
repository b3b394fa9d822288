"""Groups as plain data: what a replay buffer writes into a checkpoint, and how a group is made from it again.

Messages, choices, log-probabilities and what was paid are kept; the rest follows from them, because environments are deterministic.
Rewards are not worked out again: that may cost readings, ask a judge, or play on with a policy that is another one by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from agents.base import View
from agents.candidate import CandidatePolicy, Decision
from rewards.wrapper import term_weights
from trainers.layers import share_reader
from trainers.rollout import Group, rollout
from trainers.slots.types import Array
from trainers.suites.later import Later


class Decisions(Protocol):
    """How one kind of decision becomes plain data and a decision again."""

    def to_plain(self, decision: Any) -> Any:
        """A decision as JSON-able data."""
        ...

    def from_plain(self, kept: Sequence[Any], views: Sequence[View]) -> Sequence[Any]:
        """Decisions again, each from what `to_plain` gave and the view that it was made at."""
        ...


class CandidateDecisions:
    """Those of the candidate policy.

    Args:
        policy: a policy of the same settings, whatever its weights: one like it lists what there was to choose from.
    """

    def __init__(self, policy: CandidatePolicy) -> None:
        self._lister = CandidatePolicy(policy.settings)

    def to_plain(self, decision: Decision) -> Any:
        """Message, log-probability, entropy and choices."""
        return [decision.message, decision.log_prob, decision.entropy, decision.chosen.tolist()]

    def from_plain(self, kept: Sequence[Any], views: Sequence[View]) -> list[Decision]:
        """The decisions, with their candidates listed anew."""
        return [
            Decision(message, log_prob, entropy, np.array(chosen, np.int64), candidates)
            for (message, log_prob, entropy, chosen), candidates in zip(
                kept, self._lister.candidates(views), strict=True
            )
        ]


def to_plain(group: Group, decisions: Decisions) -> dict[str, Any]:
    """A group as JSON-able data."""
    return {
        "stream": group.stream,
        "trees": group.trees,
        "decisions": [[decisions.to_plain(decision) for decision in row] for row in group.decisions],
        "rewards": _listed(group.rewards),
        "terms": {name: _listed(values) for name, values in group.terms.items()},
        "r_global": _listed(group.r_global),
    }


def from_plain(data: dict[str, Any], envs: Sequence[gym.Env[Any, Any]], decisions: Decisions) -> Group:
    """The group again, by playing its messages. The reader is not asked, so the group's records have no answers.

    Args:
        data: what `to_plain` gave.
        envs: environments over the same data as the group's.
        decisions: of the group's kind.
    """
    rows = data["decisions"]
    # Without their reward wrappers, which would have to be paid again.
    bare: list[Any] = [env.unwrapped for env in envs[: len(rows)]]
    readers = [env.reader for env in bare]
    try:
        share_reader(bare, Later(readers[0].name))  # what was answered is in the rewards
        played = rollout(bare, _Recorded(rows, decisions), data["stream"], [np.random.default_rng(0)] * len(rows))
    finally:
        for env, reader in zip(bare, readers, strict=True):
            env.reader = reader
    rewards = _array(data["rewards"])
    return replace(
        played,
        rewards=rewards,
        terms={name: _array(values) for name, values in data["terms"].items()},
        weights=term_weights(envs[0]),
        r_global=_array(data["r_global"]),
        trees=None if data["trees"] is None else tuple(data["trees"]),
        failed=np.isnan(rewards[:, 0]),
    )


def _listed(table: Array) -> Any:
    """Nested lists with None for NaN, which JSON does not have."""
    listed = table.astype(object)
    listed[np.isnan(table)] = None
    return listed.tolist()


def _array(listed: Any) -> Array:
    return np.array(listed, np.float64)


class _Recorded:
    """Decides as recorded."""

    def __init__(self, rows: list[list[Any]], decisions: Decisions) -> None:
        self._rows, self._decisions, self._t = rows, decisions, 0

    def act(
        self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None, greedy: bool = False
    ) -> Sequence[Any]:
        """The recorded decisions of the next step."""
        recorded = [row[self._t] for row in self._rows]
        self._t += 1
        return self._decisions.from_plain(recorded, views)
