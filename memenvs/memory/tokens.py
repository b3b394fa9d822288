"""Splitting text: the search tokens of the index and the token counts of budgets and rewards."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_WORD = re.compile(r"\b\w+\b")
_TOKEN = re.compile(r"\w+|[^\w\s]")

TokenCounter = Callable[[str], int]
"""Text in, number of tokens out; must be a pure function."""
Tokenizer = Callable[[str], tuple[str, ...]]
"""Text in, the words that BM25 counts out; must be a pure function."""


@lru_cache(maxsize=16384)
def search_tokens(text: str) -> tuple[str, ...]:
    r"""Lower-cased ``\b\w+\b`` words, the tokens that BM25 counts.

    Source: wangyu-ustc/Mem-alpha@9c0e1f6, the tokenizer in front of its BM25 (specification, not code).
    """
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=16384)
def split_tokens(text: str) -> tuple[str, ...]:
    """Pieces between white space, case and punctuation kept.

    Source: the tokeniser in front of the BM25 of HUST-AI-HYZ/MemoryAgentBench@455306d (langchain's default).
    """
    return tuple(text.split())


SEARCH_TOKENS: dict[str, Tokenizer] = {"words": search_tokens, "split": split_tokens}
"""Tokenisers of the index by name."""


@lru_cache(maxsize=16384)
def count_tokens(text: str) -> int:
    """Number of words and punctuation marks in ``text``: the default token counter, called "words" in results.

    It needs no vocabulary file and no network. It is not o200k: multiply by about 1.3 for English prose.
    """
    return len(_TOKEN.findall(text))
