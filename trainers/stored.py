"""Groups as plain data: what a replay buffer writes into a checkpoint, and how a group is made from it again.

Messages, choices and log-probabilities are kept; the rest follows from them, because environments are deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from agents.base import View
from agents.candidate import CandidatePolicy, Decision
from trainers.rollout import Group, Rejudge, rollout


def to_plain(group: Group) -> dict[str, Any]:
    """A group as JSON-able data."""
    return {
        "stream": group.stream,
        "trees": group.trees,
        "decisions": [[[d.message, d.log_prob, d.entropy, d.chosen.tolist()] for d in row] for row in group.decisions],
    }


def from_plain(
    data: dict[str, Any], envs: Sequence[gym.Env[Any, Any]], policy: CandidatePolicy, rejudge: Rejudge | None = None
) -> Group:
    """The group again, by playing its messages.

    Args:
        data: what `to_plain` gave.
        envs: environments over the same data as the group's.
        policy: a policy of the same settings, whatever its weights: it lists what there was to choose from.
        rejudge: as in `rollout`.
    """
    rows = data["decisions"]
    played = rollout(
        envs[: len(rows)],
        _Recorded(policy, rows),
        data["stream"],
        [np.random.default_rng(0)] * len(rows),
        False,
        rejudge,
    )
    return replace(played, trees=None if data["trees"] is None else tuple(data["trees"]))


class _Recorded(CandidatePolicy):
    """Decides as recorded."""

    def __init__(self, policy: CandidatePolicy, rows: list[list[list[Any]]]) -> None:
        super().__init__(policy.settings)
        self._rows, self._t = rows, 0

    def act(
        self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None, greedy: bool = False
    ) -> list[Decision]:
        """The recorded decisions of the next step, with their candidates listed anew."""
        recorded = [row[self._t] for row in self._rows]
        self._t += 1
        return [
            Decision(message, log_prob, entropy, np.array(chosen, np.int64), candidates)
            for (message, log_prob, entropy, chosen), candidates in zip(recorded, self.candidates(views), strict=True)
        ]
