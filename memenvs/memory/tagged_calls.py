"""Tool calls in the tags of Hermes and Qwen models.

* `tagged_calls` - text in, entries out.
"""

from __future__ import annotations

import json
import re
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_SPACE = re.compile(r"\s*+")


def tagged_calls(text: str) -> list[Any] | None:
    """What stands behind each ``<tool_call>``, in order: its JSON, or the text where that is none, so that it is reported.

    Returns:
        None where no tag is followed by a JSON object: the text may hold calls in another form.
    """
    decoder = json.JSONDecoder()
    found: list[Any] = []
    position = text.find(OPEN)
    while position >= 0:
        start = _skip_space(text, position + len(OPEN))
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            ends = [place for place in (text.find(CLOSE, start), text.find(OPEN, start)) if place >= 0]
            end = min(ends, default=len(text))
            value = text[start:end].strip()
        found += value if isinstance(value, list) else [value]
        position = text.find(OPEN, end)
    return found if any(isinstance(entry, dict) for entry in found) else None


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    assert found is not None  # the pattern matches the empty text
    return found.end()
