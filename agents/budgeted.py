"""Controls of a given memory size: which sentences are kept is decided by a rank, and the lowest ranks make room.

Compare them with a policy at the same number of tokens: what it gains is choice, not size.

* `First` - the stream's beginning. `Last` - its end. `RandomBudget` - a random subset of all of it.
"""

from __future__ import annotations

from typing import Any

from agents.base import View
from agents.controls import Control
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Stream

_UNKNOWN = float("-inf")


class Budgeted(Control):
    """Keeps the sentences of the highest rank that fit into ``memory_budget`` tokens.

    An item makes room only for a sentence of higher rank. A quota counts the DELETEs too, so a small one slows the exchange.

    Args:
        memory_budget: tokens of the memory.
        limits: ``max_operations`` and ``max_item_tokens``; see `Control`.
    """

    def __init__(self, memory_budget: int = 512, **limits: Any) -> None:
        super().__init__(memory_budget=memory_budget, **limits)
        self.budget = memory_budget
        self._rank: dict[str, float] = {}

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """See `agents.base.Agent.reset`; the stream is not looked at."""
        super().reset(seed)
        self._rank = {}

    def rank(self, number: float) -> float:
        """Rank of the sentence at place ``number`` of the stream; larger is kept rather."""
        raise NotImplementedError  # abstract

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        # A sentence that comes again has one rank, the better one, because items are told apart by their text.
        ranks: dict[str, float] = {}
        for position, text in enumerate(texts):
            rank = self.rank(view.step + position / len(texts))
            ranks[text] = max(rank, ranks.get(text, _UNKNOWN), self._rank.get(text, _UNKNOWN))
        self._rank.update(ranks)
        held = {item.content for item in view.memory}
        total = sum(item.tokens for item in view.memory)
        evictable = sorted(view.memory, key=lambda item: self._rank.get(item.content, _UNKNOWN))
        found: list[Operation] = []
        for text in sorted((t for t in ranks if t not in held), key=lambda t: -ranks[t]):
            tokens = count_tokens(text)
            out = 0
            while total + tokens > self.budget and out < len(evictable):
                if self._rank.get(evictable[out].content, _UNKNOWN) >= ranks[text]:
                    break
                total -= evictable[out].tokens
                out += 1
            writes = len(found) + out + 1
            if total + tokens > self.budget or (self.max_operations is not None and writes > self.max_operations):
                total += sum(item.tokens for item in evictable[:out])
                continue
            found += [Operation("DELETE", None, item.id) for item in evictable[:out]]
            found.append(Operation("INSERT", text))
            evictable = evictable[out:]
            total += tokens
        return found


class First(Budgeted):
    """Keeps the beginning of the stream."""

    name = "first"

    def rank(self, number: float) -> float:
        """Earlier is better."""
        return -number


class Last(Budgeted):
    """Keeps the most recent sentences and deletes the oldest."""

    name = "last"

    def rank(self, number: float) -> float:
        """Later is better."""
        return number


class RandomBudget(Budgeted):
    """Keeps a random subset of all sentences so far: those with the largest random ranks, as in reservoir sampling."""

    name = "random_budget"

    def rank(self, number: float) -> float:
        """A draw."""
        return float(self._rng.random())
