"""Splitting text into sentences."""

from __future__ import annotations

import re
from functools import lru_cache

_BREAK = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


@lru_cache(maxsize=8192)
def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in _BREAK.split(text)) if part)


def sentences(text: str) -> list[str]:
    r"""The sentences of ``text``, stripped, in order; none is empty.

    A sentence ends after ``.``, ``!`` or ``?`` followed by white space, and at every line break (lists, dialogues and
    labelled examples have one entry per line). The rule is exact on builtin streams; on other text an abbreviation
    such as "Dr." is a boundary too, which costs a reader a little context and no text: joined with spaces, the
    sentences hold every word.
    """
    return list(_split(text))
