"""Splitting text into sentences."""

from __future__ import annotations

import re
from functools import lru_cache

_BREAK = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
# "34." that opens an entry of a numbered list.
_LIST_NUMBER = re.compile(r"(?:\d+\.\s*)+")
# "Sentence: ...\nLabel: 3" and "... label: 3", as the published sets of labelled examples write it: the label in a line of its own,
# or a number at the end of the text's.
_EXAMPLE = re.compile(r"^[^\n]*\S[^\n]*(?:\n[ \t]*labels?[ \t]*:[^\n]*|[ \t]label:[ \t]*\d+[ \t]*)$", re.I | re.M)


@lru_cache(maxsize=8192)
def _split(text: str) -> tuple[str, ...]:
    found: list[str] = []
    start = 0
    for example in _EXAMPLE.finditer(text):
        found += _pieces(text[start : example.start()])
        found.append(example.group())
        start = example.end()
    found += _pieces(text[start:])
    return tuple(part for part in (piece.strip() for piece in found) if part)


def _pieces(text: str) -> list[str]:
    """The text between breaks; no break is behind a list number that is followed by text in its line."""
    found: list[str] = []
    start = 0
    for gap in _BREAK.finditer(text):
        if "\n" not in gap.group() and _LIST_NUMBER.fullmatch(text[start : gap.start()].strip()):
            continue
        found.append(text[start : gap.start()])
        start = gap.end()
    return [*found, text[start:]]


def sentences(text: str) -> list[str]:
    r"""The sentences of ``text``, stripped, in order; none is empty.

    A sentence ends after ``.``, ``!`` or ``?`` followed by white space, and at every line break (lists and dialogues have
    one entry per line). The number of a list entry ("34. Sing.") stays with it. A labelled example, a line followed by a
    line ``Label: ...`` or ending with ``label:`` and a number, stays in one piece, because a text without its label
    teaches nothing. The rule is exact on builtin streams; on other text an abbreviation such as "Dr." is a boundary too,
    which costs a reader a little context and no text: joined with spaces, the sentences hold every word.
    """
    return list(_split(text))
