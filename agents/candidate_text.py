"""Texts as numbers, without a vocabulary file: hashed subwords for the embedding, hashed words for the similarity.

Every number is a pure function of the text (CRC-32, never Python's salted ``hash``), so all processes agree.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEXICAL_DIM = 256
"""Length of the fixed word vectors that similarities are computed from."""
SHAPES = 3
"""Number of surface features of a text."""
_MAX_TEXTS = 32_768
_WORD = re.compile(r"\w+")


@lru_cache(maxsize=65_536)
def word_buckets(word: str, buckets: int) -> tuple[int, tuple[int, ...]]:
    """Bucket of a lower-cased word and of its character trigrams, with ``<`` and ``>`` around the word."""
    marked = f"<{word}>"
    grams = tuple(zlib.crc32(b"3" + marked[i : i + 3].encode()) % buckets for i in range(len(marked) - 2))
    return zlib.crc32(b"w" + word.encode()) % buckets, grams


def _subwords(words: Sequence[str], buckets: int) -> tuple[list[int], list[float]]:
    """Bucket ids and weights of a text: each word weighs 1/n, half of it on the word and half on its trigrams."""
    ids: list[int] = []
    weights: list[float] = []
    for word in words:
        bucket, grams = word_buckets(word, buckets)
        ids.append(bucket)
        weights.append(0.5 / len(words))
        ids.extend(grams)
        weights.extend([0.5 / (len(words) * len(grams))] * len(grams))
    return ids, weights


def _lexical(written: Sequence[str]) -> NDArray[np.float32]:
    """Unit vector of hashed, signed words: names and numbers weigh most, short words, mostly grammatical, least."""
    weights: dict[str, float] = {}
    for position, word in enumerate(written):
        telling = (position > 0 and word[0].isupper()) or any(c.isdigit() for c in word)
        weight = min(len(word), 6) * (2.0 if telling else 1.0)
        weights[word.lower()] = max(weight, weights.get(word.lower(), 0.0))
    vector = np.zeros(LEXICAL_DIM, np.float32)
    for word, weight in weights.items():
        code = zlib.crc32(b"l" + word.encode())
        vector[code % LEXICAL_DIM] += weight if code & 0x10000 else -weight
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def _shape(words: Sequence[str]) -> tuple[float, float, float]:
    count = max(len(words), 1)
    digits = sum(any(c.isdigit() for c in word) for word in words)
    return float(np.log1p(len(words))) / 3, digits / count, sum(word[0].isupper() for word in words[1:]) / count


class TextTable:
    """Rows of numbers for texts, computed once per text.

    Row 0 is the empty text and serves as padding. When the table is full, `begin` starts it afresh: rows are valid until
    the next `begin` only.

    Args:
        buckets: number of hash buckets of the embedding.
    """

    def __init__(self, buckets: int) -> None:
        self.buckets = buckets
        self._reset()

    def _reset(self) -> None:
        self.epoch = object()
        """Unlike that of any other table, of this process or another, and new whenever the table starts afresh."""
        self._row = {"": 0}
        self._ids: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._weights: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
        self.lexical = np.zeros((1024, LEXICAL_DIM), np.float32)
        """Fixed word vectors, (rows, LEXICAL_DIM) float32, unit length or zero."""
        self.shapes = np.zeros((1024, SHAPES), np.float32)
        """(rows, SHAPES) float32: log length, share of words with a digit, share of capitalised words after the first."""

    def begin(self) -> None:
        """Empty the table if it has grown large; call before taking rows."""
        if len(self._ids) > _MAX_TEXTS:
            self._reset()

    def rows(self, texts: Iterable[str]) -> list[int]:
        """Row of each text; new texts are added."""
        known = self._row
        return [known[text] if text in known else self._add(text) for text in texts]

    def _add(self, text: str) -> int:
        row = len(self._ids)
        written = _WORD.findall(text)
        words = [word.lower() for word in written]
        ids, weights = _subwords(words, self.buckets)
        self._ids.append(np.array(ids, np.int64))
        self._weights.append(np.array(weights, np.float32))
        if row == len(self.lexical):
            self.lexical = np.concatenate([self.lexical, np.zeros_like(self.lexical)])
            self.shapes = np.concatenate([self.shapes, np.zeros_like(self.shapes)])
        self.lexical[row] = _lexical(written)
        self.shapes[row] = _shape(written)
        self._row[text] = row
        return row

    def bags(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Subwords of several rows, as `torch.nn.functional.embedding_bag` takes them.

        Args:
            rows: (U,) int64.

        Returns:
            Bucket ids (N,) int64, weights (N,) float32 and the offset of each row's first subword (U,) int64.
        """
        ids = [self._ids[row] for row in rows]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        offsets = np.cumsum(lengths) - lengths
        return np.concatenate(ids), np.concatenate([self._weights[row] for row in rows]), offsets
