"""The JSON lists in a model's reply, in time linear in its length.

* `json_lists` - text in, lists out.

Trying ``json`` at every bracket reads a reply that is cut off within many lists once per list. Here brackets are paired first, and
none that a scan passed outside of strings is scanned again. A scan that begins within what another took for a string takes for
strings what that one took for none, so that no character is passed by more than two of them.
"""

from __future__ import annotations

import json
import re
from typing import Any

_DEPTH = 100
"""How deep lists and objects are paired: questions are three deep, and what is no JSON is tried once per depth."""
# No backslash stands outside of strings: there a scan ends.
_TOKEN = re.compile(r'[^\[\]{}"\\]*+(?:(?P<open>[\[{])|(?P<close>[\]}])|"(?:[^"\\]++|\\.)*+")', re.DOTALL)


def json_lists(text: str) -> list[list[Any]]:
    """Every JSON list in a text that is not within another one, in order: models write words, fences and thoughts around them.

    Where a list is broken or cut off, those within it are found. One that is more than 100 deep is taken for broken.
    """
    ends: dict[int, int] = {}
    found: list[list[Any]] = []
    start = text.find("[")
    while start >= 0:
        if start not in ends:
            _pair(text, start, ends)
        end = ends[start]
        if end:
            try:
                found.append(json.loads(text[start:end]))
            except ValueError:
                end = 0
        start = text.find("[", end or start + 1)
    return found


def _pair(text: str, start: int, ends: dict[int, int]) -> None:
    """Read on from a bracket until it is closed, or the text ends or gets too deep.

    Args:
        text: the reply.
        start: of the bracket.
        ends: opening bracket -> behind the closing one, 0 where there is none. Every bracket that is passed is entered.
    """
    opened: list[int] = []
    position = start
    while token := _TOKEN.match(text, position):
        position = token.end()
        if token["open"]:
            if len(opened) == _DEPTH:
                break
            opened.append(position - 1)
        elif token["close"]:
            ends[opened.pop()] = position
            if not opened:
                return
    ends.update(dict.fromkeys(opened, 0))
