"""What builders need of `memenvs.streams.chunking`.

* `packed` - which texts stand in which chunk.
* `whole_sentences` - sentences of hard-wrapped text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from memenvs.memory.tokens import TokenCounter
from memenvs.streams.chunking import pack_contexts
from memenvs.streams.sentences import sentences

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")


def packed(
    texts: Sequence[str], count: TokenCounter, least: int, most: int, draw: random.Random
) -> list[tuple[str, list[int]]]:
    """The chunks of `pack_contexts`, each with the indices of its texts.

    Args:
        texts: none empty, without white space around.
        count: of tokens.
        least, most: between them the target of each chunk is drawn.
        draw: draws it.
    """
    found, position = [], 0
    for chunk in pack_contexts(texts, count, most, least, draw):
        inside, length = [position], len(texts[position])
        while length < len(chunk):
            inside.append(inside[-1] + 1)
            length += len("\n\n") + len(texts[inside[-1]])
        found.append((chunk, inside))
        position = inside[-1] + 1
    return found


def whole_sentences(text: str) -> list[str]:
    """Sentences of a text with hard-wrapped lines: an empty line ends one, a line break alone does not. No word is lost."""
    flat = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text))
    return [sentence for paragraph in flat for sentence in sentences(paragraph)]
