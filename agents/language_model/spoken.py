"""The part of a model's text that is meant for the environment."""

from __future__ import annotations


def spoken(text: str) -> str:
    """A message without the thoughts before it: what follows ``</think>``; nothing where the thoughts were cut off."""
    _, end, after = text.rpartition("</think>")
    if end:
        return after.lstrip()
    return "" if text.lstrip().startswith("<think>") else text
