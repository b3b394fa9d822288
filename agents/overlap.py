"""How alike two texts are, by their words."""

from __future__ import annotations

from functools import lru_cache

from memenvs.memory.tokens import search_tokens


@lru_cache(maxsize=16384)
def _words(text: str) -> tuple[frozenset[str], float]:
    words = frozenset(search_tokens(text))
    return words, float(sum(_weight(word) for word in words))


def _weight(word: str) -> int:
    # Short words are mostly grammatical and say little about the subject.
    return min(len(word), 6)


def weights(text: str) -> dict[str, int]:
    """The words that `overlap` compares, lower-cased, each with its weight."""
    return {word: _weight(word) for word in _words(text)[0]}


def overlap(a: str, b: str) -> float:
    """Share of words that two texts have in common, in [0, 1]; 1 for equal words, 0 where one text has none.

    The Dice coefficient over sets of lower-cased words, a word weighing its length up to 6.
    """
    (words_a, weight_a), (words_b, weight_b) = _words(a), _words(b)
    if not weight_a or not weight_b:
        return 0.0
    return 2 * sum(map(_weight, words_a & words_b)) / (weight_a + weight_b)
