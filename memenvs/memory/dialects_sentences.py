"""The dialect "sentences": operations that point at the chunk's sentences instead of repeating them.

* `parse_spans` - message text and chunk in, `ParseReport` out; total.
* `numbered` - the chunk as it is shown to who writes such messages.
* `span_of` - the span that holds a text, for writing them.

A message is a native list in which ``"span"`` stands for the content: ``{"op": "INSERT", "span": [3]}`` writes the third sentence,
``{"op": "UPDATE", "id": "2.0", "span": [3, 5]}`` the third to the fifth, joined by spaces. Sentences are those of
`memenvs.streams.sentences`, numbered from 1. A content in words is taken too, so agents that know of no spans play on. It saves a
model most of its tokens, and a small one need not learn to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memenvs.memory.operations import (
    Malformed,
    Operation,
    ParseReport,
    entries_in,
    malformed,
    native_entries,
    native_operation,
)
from memenvs.streams.sentences import sentences

_EXAMPLE = '[{"op": "INSERT", "span": [1]}]'


def parse_spans(text: str, chunk: str) -> ParseReport:
    """Read a message; see `memenvs.memory.parse_operations`."""
    entries = entries_in(text, native_entries)
    if entries is None:
        return ParseReport((), f"no JSON list of operations found; expected for instance {_EXAMPLE}")
    if not entries:
        return ParseReport((), 'the list of operations is empty; to change nothing send [{"op": "SKIP"}]')
    known = sentences(chunk)
    return ParseReport(tuple(_operation(entry, known) for entry in entries))


def _operation(entry: Any, known: Sequence[str]) -> Operation | Malformed:
    if not isinstance(entry, dict) or "span" not in entry:
        return native_operation(entry)
    if "content" in entry:
        return malformed(entry, 'give either "span" or "content", not both')
    bounds = entry["span"]
    # true and false are whole numbers to Python, 3.0 is none.
    if not isinstance(bounds, list) or len(bounds) not in (1, 2) or any(type(n) is not int for n in bounds):
        return malformed(entry, '"span" must be [n] or [first, last], numbers of sentences')
    first, last = bounds[0], bounds[-1]
    if not 1 <= first <= last <= len(known):
        return malformed(entry, f"no such span: the chunk has the sentences 1 to {len(known)}, first before last")
    return native_operation({**entry, "content": " ".join(known[first - 1 : last])})


def numbered(chunk: str) -> str:
    """One line ``sentence [number]`` per sentence; further lines of a sentence are indented.

    The number stands behind: by then a causal model has read what it is the number of, and a small one learns to point.
    """
    return "\n".join(text.replace("\n", "\n    ") + f" [{n}]" for n, text in enumerate(sentences(chunk), 1))


def span_of(text: str, chunk: str) -> list[int] | None:
    """The first span, and the shortest from there, whose sentences are ``text``; None if it is no stretch of whole sentences."""
    known = sentences(chunk)
    for first, sentence in enumerate(known):
        found = sentence
        for last in range(first, len(known)):
            if last > first:
                found += " " + known[last]
            if found == text:
                return [first + 1] if first == last else [first + 1, last + 1]
            if not text.startswith(found):
                break
    return None
