"""The same queries over many memories that share their texts, as counterfactual memories do.

`Rankings` gives what a `BM25Index` made anew for each memory would give, only faster: the words of a text are counted once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memenvs.memory.tokens import search_tokens


class _Text(NamedTuple):
    at: NDArray[np.int64]
    """Places among the words of all queries whose word the text holds."""
    frequencies: NDArray[np.float64]
    """How often it holds them, (len(at),)."""
    length: int
    """Words of the text."""


class Rankings:
    """Exact BM25 with the idf ln(1 + (N - df + .5) / (df + .5)), `BM25Index`'s ``"lucene"``, for a fixed list of queries.

    Args:
        queries: the queries.
        k1: term-frequency saturation.
        b: length normalisation.
    """

    def __init__(self, queries: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = k1, b
        words = [search_tokens(query) for query in queries]
        self._queries = len(words)
        self._words = [word for of_query in words for word in of_query]
        self._query_of = np.repeat(np.arange(len(words)), [len(of_query) for of_query in words])
        self._texts: dict[str, _Text] = {}

    def top_k(self, texts: Sequence[str], k: int) -> list[list[int]]:
        """Per query the places of the ``min(k, N)`` best texts, best first; ties (to 9 decimals) in the order of ``texts``."""
        n = len(texts)
        if not n:
            return [[] for _ in range(self._queries)]
        found = [self._texts.get(text) or self._count(text) for text in texts]
        at = np.concatenate([text.at for text in found])
        tf = np.concatenate([text.frequencies for text in found])
        place = np.repeat(np.arange(n), [len(text.at) for text in found])
        lengths = np.array([text.length for text in found])
        idf = np.array([math.log(1 + (n - df + 0.5) / (df + 0.5)) for df in range(n + 1)])
        df = np.bincount(at, minlength=len(self._words))
        factor = self.k1 * (1 - self.b + self.b * lengths / (lengths.sum() / n or 1.0))
        # Summed in the order of the query's words, as the index does, so that the scores agree to the last bit.
        parts = idf[df[at]] * (tf * (self.k1 + 1) / (tf + factor[place]))
        scores = np.bincount(self._query_of[at] * n + place, parts, self._queries * n).reshape(-1, n)
        best: list[list[int]] = np.argsort(-np.round(scores, 9), axis=1, kind="stable")[:, :k].tolist()
        return best

    def _count(self, text: str) -> _Text:
        held: dict[str, int] = {}
        words = search_tokens(text)
        for word in words:
            held[word] = held.get(word, 0) + 1
        at = np.array([i for i, word in enumerate(self._words) if word in held], np.int64)
        frequencies = np.array([held[self._words[i]] for i in at], np.float64)
        self._texts[text] = _Text(at, frequencies, len(words))
        return self._texts[text]
