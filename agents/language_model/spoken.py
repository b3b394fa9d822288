"""The part of a model's text that is meant for the environment."""

from __future__ import annotations

import json

THINK, THOUGHT = "<think>", "</think>"
"""Before and after thoughts, as Qwen3 and DeepSeek-R1 write them."""


def spoken(text: str, begun: bool = False) -> str:
    """A message without the thoughts before it: what follows ``</think>``; nothing where the thoughts were cut off.

    JSON as a whole, such as calls of tools, has no thoughts before it: ``</think>`` within it belongs to what it says.

    Args:
        text: what the model wrote.
        begun: whether the prompt ends in ``<think>``, so that the text begins within the thoughts.
    """
    _, end, after = text.rpartition(THOUGHT)
    if end:
        return text if _is_json(text) else after.lstrip()
    return "" if begun or text.lstrip().startswith(THINK) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True
