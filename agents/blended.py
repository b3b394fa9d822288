"""Agents between good and bad, for measurements that need episodes of every quality.

* `Careless` - random writes, harmful ones among them.
* `Blended` - a good agent that is a bad one at some steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.base import View, make_agent
from agents.controls import Control
from memenvs.errors import SettingsError
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Stream


class Careless(Control):
    """Stores random sentences and now and then overwrites or deletes a random item, whatever it says.

    Args:
        harm: chance of each write to be an UPDATE or a DELETE, half each, while there is an item to hit.
        limits: see `Control`.

    Raises:
        SettingsError: ``harm`` is outside [0, 1].
    """

    name = "careless"

    def __init__(self, harm: float = 0.5, **limits: Any) -> None:
        _check_chance("harm", harm)
        super().__init__(**limits)
        self.harm = harm

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        n = len(texts)
        count = int(self._rng.binomial(n, 0.5)) if self.max_operations is None else min(self.max_operations, n)
        chosen = [texts[i] for i in self._rng.permutation(n)[:count]]
        # No item is hit twice: a message is carried out DELETE first, and what is gone cannot be updated.
        targets = [view.memory[i] for i in self._rng.permutation(len(view.memory))[:count]]
        deleted: list[Operation] = []
        updates, inserts = [], []
        for text, draw in zip(chosen, self._rng.random(count), strict=True):
            if draw >= self.harm or not targets:
                inserts.append(text)
            elif draw < self.harm / 2:
                deleted.append(Operation("DELETE", None, targets.pop().id))
            else:
                updates.append((targets.pop(), text))
        gone = {operation.id for operation in deleted}
        total = sum(item.tokens for item in view.memory if item.id not in gone)
        found = deleted
        for item, text in updates:
            grown = total + count_tokens(text) - item.tokens
            if self.memory_budget is None or grown <= self.memory_budget:
                found.append(Operation("UPDATE", text, item.id))
                total = grown
        for text in inserts:
            grown = total + count_tokens(text)
            if self.memory_budget is None or grown <= self.memory_budget:
                found.append(Operation("INSERT", text))
                total = grown
        return found


class Blended:
    """At each step the good agent with a given chance, else the bad one.

    Its draws and those of the two are made from one seed. With agents that look at nothing but the present step, as the scripted
    and the careless one do, it is a stochastic Markov policy: it can play on from any memory.

    Args:
        share: chance of the good agent, in [0, 1].
        good, bad: names for `agents.base.make_agent`.
        limits: of the environment, for both; see `agents.controls.Control`.

    Raises:
        SettingsError: ``share`` is outside [0, 1], or an agent is unknown or does not take the limits.
    """

    name = "blended"

    def __init__(self, share: float = 0.5, good: str = "scripted", bad: str = "careless", **limits: Any) -> None:
        _check_chance("share", share)
        self.share = share
        self._agents = (make_agent(good, **limits), make_agent(bad, **limits))
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """See `agents.base.Agent.reset`; the stream is handed on."""
        self._rng = np.random.default_rng(seed)
        for agent in self._agents:
            agent.reset(int(self._rng.integers(2**31)), stream)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """The message of one of the two."""
        return self._agents[int(self._rng.random() >= self.share)].act(observation, info)


def _check_chance(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # NaN too
        raise SettingsError(f"{name} must be a chance from 0 to 1, got {value}")
