"""Controls: agents that any learned policy has to beat, or at least to know.

* `Control` - what they share: the environment's limits, passed in, and episode bookkeeping.
* `KeepEverything`, `Nothing`, `Random` - store all, nothing, or sentences at random.

More of them: `agents.budgeted` (equal memory size), `agents.scripted` (rules), `agents.hindsight` (upper anchor).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.base import SKIP_MESSAGE, View, message
from agents.units import units
from memenvs.errors import SettingsError
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Stream


class Control:
    """An agent without parameters. Pass it the limits of the environment, so that none of its operations is refused.

    Args:
        max_operations: writes per step; None for no quota.
        max_item_tokens: tokens of one item; longer sentences are cut into pieces that fit. None for no limit.
        memory_budget: tokens of the whole memory; None for no limit.

    Raises:
        SettingsError: a limit below 1.
    """

    name = "control"

    def __init__(
        self,
        max_operations: int | None = None,
        max_item_tokens: int | None = None,
        memory_budget: int | None = None,
    ) -> None:
        limits = {
            "max_operations": max_operations, "max_item_tokens": max_item_tokens, "memory_budget": memory_budget,
        }  # fmt: skip
        for name, value in limits.items():
            if value is not None and value < 1:
                raise SettingsError(f"{name} must be at least 1 or None, got {value}")
        self.max_operations, self.max_item_tokens, self.memory_budget = max_operations, max_item_tokens, memory_budget
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """See `agents.base.Agent.reset`; the stream is not looked at."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        view = View.of(observation, info)
        return message(self.operations(view, units(view.chunk, self.max_item_tokens)))

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """The operations of one step.

        Args:
            view: what the agent sees.
            texts: the chunk's sentences, cut to the size of an item.
        """
        raise NotImplementedError  # abstract

    def inserts(self, view: View, texts: list[str]) -> list[Operation]:
        """INSERTs of the first texts that quota and budget allow."""
        room = None if self.memory_budget is None else self.memory_budget - sum(item.tokens for item in view.memory)
        found: list[Operation] = []
        for text in texts:
            if self.max_operations is not None and len(found) >= self.max_operations:
                break
            if room is not None:
                tokens = count_tokens(text)
                if tokens > room:
                    continue
                room -= tokens
            found.append(Operation("INSERT", text))
        return found


class KeepEverything(Control):
    """Stores each sentence as one item, in order, as far as the limits allow."""

    name = "keep_everything"

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        return self.inserts(view, list(texts))


class Nothing(Control):
    """Stores nothing."""

    name = "nothing"

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """Always the explicit SKIP."""
        return SKIP_MESSAGE


class Random(Control):
    """Stores random sentences: as many as the quota allows or, without a quota, each one with probability 1/2."""

    name = "random"

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        n = len(texts)
        count = int(self._rng.binomial(n, 0.5)) if self.max_operations is None else min(self.max_operations, n)

        return self.inserts(view, [texts[i] for i in sorted(self._rng.permutation(n)[:count])])
