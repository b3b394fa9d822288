"""Signed feature hashing: text to a short vector, the same in every process."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from memenvs.memory.tokens import search_tokens


@lru_cache(maxsize=65536)
def _bucket(word: str, size: int) -> tuple[int, float]:
    # crc32 rather than hash(): the latter changes with PYTHONHASHSEED.
    code = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    return code % size, 1.0 if code >> 31 else -1.0


def hash_words(text: str, size: int) -> np.ndarray:
    """Sum of +-1 per word in the word's bucket, scaled to length 1.

    Args:
        text: any text; lower-cased words count.
        size: number of buckets.

    Returns:
        float32 ``(size,)``; zeros where there is no word.
    """
    vector = np.zeros(size, np.float32)
    for word in search_tokens(text):
        bucket, sign = _bucket(word, size)
        vector[bucket] += sign
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector
