"""Rollout replay: stored groups that are trained again, with the log-probabilities they were drawn with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from memenvs.errors import whole
from trainers.slots.sampling import Replayed


def _as_is(entry: Any) -> Any:
    return entry


class RolloutReplay:
    """The newest group of each of at most ``capacity`` streams.

    The entries are the trainer's; nothing here looks inside. They must hold the log-probabilities under the policy that drew them,
    since that is the policy the ratio divides by.

    Args:
        capacity: groups that are kept; the oldest goes first. DOTS: 512.
        keep_solved: also keep groups whose mean outcome is 0 or 1. DOTS does not: they have no advantage.
        encode: entry -> JSON-able, for `state`. By default entries are JSON-able themselves.
        decode: back again.

    Raises:
        SettingsError: a capacity below 1.

    Source: arXiv 2506.05316; ASTRAL-Group/data-efficient-llm-rl@59df918, whose release adds a batch twice in later epochs (here
    once).
    """

    def __init__(
        self,
        capacity: int = 512,
        keep_solved: bool = False,
        encode: Callable[[Any], Any] = _as_is,
        decode: Callable[[Any], Any] = _as_is,
    ) -> None:
        self.capacity = whole("capacity", capacity, 1)
        self.keep_solved, self._encode, self._decode = keep_solved, encode, decode
        self.items: list[Replayed] = []

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Replayed) -> None:
        """Store a group in place of the stream's earlier one; a group that is not kept takes the earlier one along."""
        self.items = [kept for kept in self.items if kept.stream != item.stream]
        if item.mask.any() and (self.keep_solved or 0 < item.mean < 1):
            self.items = [*self.items, item][-self.capacity :]

    def sample(self, count: int, rng: np.random.Generator) -> list[Replayed]:
        """``count`` different groups, or all if there are fewer."""
        return [self.items[place] for place in rng.permutation(len(self.items))[:count]]

    def state(self) -> list[dict[str, Any]]:
        """The items, JSON-able."""
        return [
            {"stream": i.stream, "mean": i.mean, "mask": i.mask.tolist(), "entry": self._encode(i.entry)}
            for i in self.items
        ]

    def restore(self, state: list[Mapping[str, Any]]) -> None:
        """Go on from a `state`."""
        self.items = [
            Replayed(int(i["stream"]), float(i["mean"]), np.array(i["mask"], bool), self._decode(i["entry"]))
            for i in state
        ]
