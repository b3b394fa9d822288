"""Cutting a chunk into the texts that an agent may store."""

from __future__ import annotations

import re
from functools import lru_cache

from memenvs.memory.tokens import count_tokens
from memenvs.streams.sentences import sentences

_TOKEN = re.compile(r"\w+|[^\w\s]")


@lru_cache(maxsize=8192)
def units(chunk: str, max_item_tokens: int | None = None) -> tuple[str, ...]:
    """The sentences of a chunk; a sentence longer than an item may be is cut into pieces that fit.

    Args:
        chunk: any text.
        max_item_tokens: the environment's limit on one item, counted by `count_tokens`; None for no limit.

    Returns:
        Texts in the order of the chunk, verbatim stretches of it.
    """
    found: list[str] = []
    for sentence in sentences(chunk):
        if max_item_tokens is None or count_tokens(sentence) <= max_item_tokens:
            found.append(sentence)
            continue
        starts = [match.start() for match in _TOKEN.finditer(sentence)][::max_item_tokens]
        ends = [*starts[1:], len(sentence)]
        found.extend(sentence[a:b].strip() for a, b in zip(starts, ends, strict=True))
    return tuple(found)
