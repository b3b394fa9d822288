"""What asking a model cost."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from memenvs.endpoint.replies import KINDS, Failure, Reply


class Usage:
    """Counts of requests and tokens; safe to add to from several threads.

    Every request that was asked for is counted once: as ``answered`` by the server, ``cached`` (a cache had it, or the same request
    was just under way), or ``failed``.

    Args:
        price_in: of a million tokens read; None where it is not known.
        price_out: of a million tokens written.
    """

    def __init__(self, price_in: float | None = None, price_out: float | None = None) -> None:
        self.price_in, self.price_out = price_in, price_out
        self.answered = 0
        """Requests that the server answered: those that are paid for."""
        self.cached = 0
        """Requests that cost nothing."""
        self.failed: Counter[str] = Counter()
        """Requests without a reply, by kind (`memenvs.endpoint.replies.KINDS`)."""
        self.retries = 0
        """Tries beyond the first."""
        self.truncated = 0
        """Answered requests whose reply was cut off at its longest."""
        self.prompt_tokens = 0
        """Read by the model, as the server reports; completions without text included."""
        self.completion_tokens = 0
        """Written by the model."""
        self.unreported = 0
        """Answered requests whose tokens the server did not report; they count as 0 tokens."""
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """Requests that were asked for."""
        return self.answered + self.cached + self.failed.total()

    @property
    def hit_rate(self) -> float:
        """Share of the requests that a cache answered; 0.0 before the first."""
        return self.cached / self.requests if self.requests else 0.0

    @property
    def cost(self) -> float | None:
        """What the tokens cost, in the unit of the prices; None where no price is given."""
        if self.price_in is None and self.price_out is None:
            return None
        return (self.prompt_tokens * (self.price_in or 0) + self.completion_tokens * (self.price_out or 0)) / 1e6

    def count(self, outcome: Reply | Failure, cached: bool) -> None:
        """Count one request that came to its end.

        Args:
            outcome: what it came to.
            cached: whether it cost nothing: a cache had the reply, or another asker waited for the same and pays.
        """
        with self._lock:
            if isinstance(outcome, Failure):
                self.failed[outcome.kind] += 1
                if not cached:
                    self.prompt_tokens += outcome.prompt_tokens
                    self.completion_tokens += outcome.completion_tokens
            elif cached:
                self.cached += 1
            else:
                self.answered += 1
                self.truncated += outcome.truncated
                self.unreported += outcome.prompt_tokens is None or outcome.completion_tokens is None
                self.prompt_tokens += outcome.prompt_tokens or 0
                self.completion_tokens += outcome.completion_tokens or 0

    def retried(self) -> None:
        """Count one more try."""
        with self._lock:
            self.retries += 1

    def to_json(self) -> dict[str, Any]:
        """As JSON-able data: counts that may be added up and taken from each other, and ``cost``, which is None without prices."""
        with self._lock:
            return {
                "requests": self.requests,
                "answered": self.answered,
                "cached": self.cached,
                "failed": {kind: self.failed[kind] for kind in KINDS if self.failed[kind]},
                "retries": self.retries,
                "truncated": self.truncated,
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
                "unreported": self.unreported,
                "cost": self.cost,
            }
