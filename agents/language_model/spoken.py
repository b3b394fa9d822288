"""The part of a model's text that is meant for the environment."""

from __future__ import annotations

import json


def spoken(text: str) -> str:
    """A message without the thoughts before it: what follows ``</think>``; nothing where the thoughts were cut off.

    JSON as a whole, such as calls of tools, has no thoughts before it: ``</think>`` within it belongs to what it says.
    """
    _, end, after = text.rpartition("</think>")
    if end:
        return text if _is_json(text) else after.lstrip()
    return "" if text.lstrip().startswith("<think>") else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True
