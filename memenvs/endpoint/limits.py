"""Requests and tokens per minute, and the clock that waiting goes by.

* `Clock` - time and waiting; tests give one of their own.
* `RateLimit` - at most so many requests and tokens in any 60 seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque

WINDOW = 60.0
"""Seconds of the window that limits hold for."""


class Clock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some point in time."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait for ``seconds``, or until ``stop`` is set."""
        stop.wait(seconds)


class Slot:
    """One request's place in the window."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.at, self.tokens = at, tokens


class RateLimit:
    """Lets requests begin so that in any window of 60 seconds neither limit is exceeded.

    Before its reply a request counts with an estimate of its tokens, afterwards with what the server reported. One request that is
    larger than the limit of tokens goes alone: it would wait for ever otherwise.

    Args:
        requests: most requests begun in 60 seconds, or None.
        tokens: most tokens in 60 seconds, or None.
        clock: what time it is.
    """

    def __init__(self, requests: int | None, tokens: int | None, clock: Clock) -> None:
        self._requests, self._tokens, self._clock = requests, tokens, clock
        self._window: deque[Slot] = deque()
        self._sum = 0
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def begin(self, tokens: int, stop: threading.Event) -> Slot | None:
        """Wait for room, then take it.

        Args:
            tokens: estimate of the request's tokens.
            stop: ends the waiting; then nothing is taken.

        Returns:
            The place in the window, None where ``stop`` is set.
        """
        while not stop.is_set():
            with self._lock:
                now = self._clock.now()
                wait = self._wait(now, tokens)
                if wait <= 0:
                    slot = Slot(now, tokens)
                    self._window.append(slot)
                    self._sum += tokens
                    return slot
            self._clock.wait(wait, stop)
        return None

    def settle(self, slot: Slot, tokens: int) -> None:
        """Replace the estimate by what was reported."""
        with self._lock:
            if slot.at + WINDOW > self._clock.now():
                self._sum += tokens - slot.tokens
                slot.tokens = tokens

    def pause(self, seconds: float) -> None:
        """Nobody begins for so long: the server asked for it."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _wait(self, now: float, tokens: int) -> float:
        """Seconds until there may be room; 0 or less if there is."""
        while self._window and self._window[0].at + WINDOW <= now:
            self._sum -= self._window.popleft().tokens
        if now < self._paused_until:
            return self._paused_until - now
        full = self._requests is not None and len(self._window) >= self._requests
        heavy = self._tokens is not None and bool(self._window) and self._sum + tokens > self._tokens
        return self._window[0].at + WINDOW - now if full or heavy else 0.0
