"""Packing texts into chunks.

* `pack` - whole texts, greedily, up to a target that may be drawn anew for every chunk.
* `pieces` - a long text as chunks of whole sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.sentences import sentences

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")


def pack(sizes: Sequence[int], target: Callable[[], int], between: int = 0) -> list[list[int]]:
    """Indices of the texts of each chunk, in order.

    A target is drawn for the first chunk and after each chunk that is closed; a chunk is closed when the next text would exceed
    its target. A single text may exceed it: texts are never split (`create_chunks` in wangyu-ustc/Mem-alpha@9c0e1f6:
    process_data.py).

    Args:
        sizes: tokens of each text.
        target: gives the size that the next chunk may reach.
        between: tokens of what joins two texts.
    """
    chunks: list[list[int]] = []
    limit, filled = target(), 0
    for index, size in enumerate(sizes):
        if chunks and filled + size <= limit:
            chunks[-1].append(index)
            filled += size + between
            continue
        if chunks:
            limit = target()
        chunks.append([index])
        filled = size + between
    return chunks


def pieces(text: str, most: int, count: TokenCounter = count_tokens) -> list[str]:
    """``text`` as chunks of whole sentences with at most ``most`` tokens each; a longer sentence is a chunk of its own.

    Lines of one paragraph are joined first, so that the ends of hard-wrapped lines are not taken for ends of sentences. No word
    is lost.
    """
    flat = [" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text)]
    parts = [sentence for paragraph in flat for sentence in sentences(paragraph)]
    groups = pack([count(part) for part in parts], lambda: most)
    return [" ".join(parts[i] for i in group) for group in groups]
