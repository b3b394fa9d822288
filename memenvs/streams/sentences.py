"""Splitting text into sentences."""

from __future__ import annotations

import re
from functools import lru_cache

_BREAK = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
# "Sentence: ...\nLabel: 3", as the published sets of labelled examples write it, label in a line of its own.
_EXAMPLE = re.compile(
    r"^[ \t]*(?:sentence|sample|text|question)[ \t]*:[^\n]*\n[ \t]*labels?[ \t]*:[^\n]*$", re.I | re.M
)


@lru_cache(maxsize=8192)
def _split(text: str) -> tuple[str, ...]:
    found: list[str] = []
    start = 0
    for example in _EXAMPLE.finditer(text):
        found += _BREAK.split(text[start : example.start()])
        found.append(example.group())
        start = example.end()
    found += _BREAK.split(text[start:])
    return tuple(part for part in (piece.strip() for piece in found) if part)


def sentences(text: str) -> list[str]:
    r"""The sentences of ``text``, stripped, in order; none is empty.

    A sentence ends after ``.``, ``!`` or ``?`` followed by white space, and at every line break (lists and dialogues have
    one entry per line). A labelled example, a line ``Sentence: ...`` followed by a line ``Label: ...`` (or ``Sample:``,
    ``Labels:``), stays in one piece, because a text without its label teaches nothing. The rule is exact on builtin
    streams; on other text an abbreviation such as "Dr." is a boundary too, which costs a reader a little context and no
    text: joined with spaces, the sentences hold every word.
    """
    return list(_split(text))
