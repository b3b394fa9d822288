"""UnicodeText: a text space that holds any string up to a length."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Text


class UnicodeText(Text):
    """Any ``str`` of at most ``max_length`` characters."""

    def __init__(self, max_length: int, *, seed: int | None = None) -> None:
        super().__init__(max_length, min_length=0, seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a str that fits."""
        return isinstance(x, str) and len(x) <= self.max_length
