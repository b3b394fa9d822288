"""A clock that does not make tests wait."""

from __future__ import annotations

import threading

from memenvs.endpoint.limits import Clock


class FakeClock(Clock):
    """Waiting moves it on at once. ``waits`` are the seconds that were waited for, in order."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.waits: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float, stop: threading.Event) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds
