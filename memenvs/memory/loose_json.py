"""JSON as language models write it: single quotes, bare words, comments of a code fence, commas too many or too few, a cut-off end.

* `loads_loose` - text in, value out.

Published managers read the arguments of tool calls with the package json_repair. This reader gives the same value where the text
has one plausible meaning (compared with json_repair 0.64.5).
"""

from __future__ import annotations

import json
import re
from typing import Any

_OPENING = re.compile(r"[\[{]")
_GAP = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_WORD = {"key": re.compile(r"[^:,{}\[\]\n]*"), "value": re.compile(r"[^,}\]\n]*")}
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”"}
# What follows a quotation mark that ends a string: a separator, the end, or the next key, its comma forgotten.
_AFTER = {
    "key": re.compile(r"\s*(:|$)"),
    "value": re.compile(r"\s*([,}\]]|$|[\"'“][^\"'”\n]{1,80}[\"'”]\s*:)"),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_NAMES = {"true": True, "false": False, "null": None, "none": None}


def loads_loose(text: str) -> Any:
    """Read JSON, or what was meant as JSON.

    Args:
        text: the JSON, code fences and prose around it allowed.

    Returns:
        Its value; a list where several objects stand beside each other.

    Raises:
        ValueError: there is neither valid JSON nor the beginning of an object or a list, or it is nested too deeply.
    """
    try:
        return json.loads(text, strict=False)  # line breaks inside of strings are common
    except ValueError:
        pass
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    values = []
    position = 0
    try:
        while found := _OPENING.search(text, position):
            value, position = _value(text, found.start())
            values.append(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not values:
        raise ValueError(f"expected a JSON object, got {text[:40]!r}")
    return values[0] if len(values) == 1 else values


def _value(text: str, position: int, role: str = "value") -> tuple[Any, int]:
    """The value, or key, that begins at ``position``, and where it ends."""
    first = text[position : position + 1]
    if role == "value" and first == "{":
        return _object(text, position + 1)
    if role == "value" and first == "[":
        return _list(text, position + 1)
    if first in _QUOTES:
        return _string(text, position + 1, _QUOTES[first], role)
    found = _WORD[role].match(text, position)
    assert found is not None  # the pattern matches the empty text
    word = found.group().strip()
    if role == "key":
        return word, found.end()
    if word.lower() in _NAMES:
        return _NAMES[word.lower()], found.end()
    try:
        return json.loads(word), found.end()  # a number
    except ValueError:
        return word, found.end()


def _string(text: str, position: int, quote: str, role: str) -> tuple[str, int]:
    """A string up to the quotation mark that ends it: one with a separator behind it; others belong to the text."""
    parts: list[str] = []
    while position < len(text):
        char = text[position]
        position += 1
        if char == quote and _AFTER[role].match(text, position):
            break
        if char == "\\" and position < len(text):
            escape = text[position]
            code = text[position + 1 : position + 5]
            if escape == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", code):
                parts.append(chr(int(code, 16)))
                position += 5
                continue
            parts.append(_ESCAPES.get(escape, "\\" + escape))
            position += 1
            continue
        parts.append(char)
    # Two escapes may have been the halves of one character.
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"), position


def _object(text: str, position: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while (position := _skip(text, position)) < len(text):
        if text[position] in "}]":
            return found, position + 1
        key, after = _value(text, position, "key")
        after = _skip(text, after, _SPACE)
        if text[after : after + 1] == ":":
            after = _skip(text, after + 1, _SPACE)
            found[key], after = _value(text, after)
        position = max(after, position + 1)  # a key without a value says nothing
    return found, position


def _list(text: str, position: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while (position := _skip(text, position)) < len(text):
        if text[position] in "}]":
            return found, position + 1
        value, after = _value(text, position)
        found.append(value)
        position = max(after, position + 1)
    return found, position


def _skip(text: str, position: int, pattern: re.Pattern[str] = _GAP) -> int:
    """Past white space and commas."""
    found = pattern.match(text, position)
    assert found is not None  # the pattern matches the empty text
    return found.end()
