"""Pairwise comparison: an answer is good if it wins against the others.

Source: SERL, arXiv 2511.07922; AlwaysOu/SERL@d32c960 ``trl/reward_utils.py`` (specification, not code).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from memenvs.errors import ScorerError, SettingsError, whole
from trainers.slots.judging import Judged
from trainers.slots.types import Array

CHOICES = ("1", "2")
"""Valid judgements: the first or the second of the pair is better. All others are invalid."""


def ordered_pairs(count: int, rounds: int = 2) -> list[tuple[int, int]]:
    """Every pair of ``count`` answers ``rounds`` times, half of them in swapped order, since judges favour a place.

    Raises:
        SettingsError: ``rounds`` is not an even number of at least 2.
    """
    if whole("rounds", rounds, 2) % 2:
        raise SettingsError(f"rounds must be even, half of the comparisons being swapped, got {rounds}")
    return [pair for i, j in combinations(range(count), 2) for pair in [(i, j), (j, i)] * (rounds // 2)]


def copeland_scores(
    pairs: Sequence[tuple[int, int]],
    choices: Sequence[str],
    count: int,
    lengths: ArrayLike | None = None,
    alpha: float = 0.2,
) -> Array:
    """R_A of each answer: its wins over its comparisons.

    With ``lengths`` a win counts beta = |loser| / |winner| if 1 - alpha < |winner| / |loser| < 1 + alpha, else 0: winning by
    length alone does not pay, and the shorter of two is worth more.

    Args:
        pairs: (first, second) of each comparison.
        choices: ``"1"`` or ``"2"``; anything else is invalid.
        count: G, the number of answers.
        lengths: (G,) words of each answer; None counts every win as 1 (plain Copeland).
        alpha: tolerated difference of length; published: .2.

    Returns:
        (G,) from 0 to 1, or to 1 / (1 - alpha) with ``lengths``; NaN without any valid comparison.

    Invalid judgements are no comparisons here; the published code divides by all of them, so that an invalid judgement is a
    loss for both. Where all are valid the two are equal.
    """
    words = None if lengths is None else np.asarray(lengths, np.float64)
    wins, compared = np.zeros(count), np.zeros(count)
    for (first, second), choice in zip(pairs, choices, strict=True):
        if choice in CHOICES:
            winner, loser = (first, second) if choice == "1" else (second, first)
            compared[[first, second]] += 1
            wins[winner] += 1.0 if words is None else _worth(words[winner], words[loser], alpha)
    with np.errstate(invalid="ignore"):
        return wins / np.where(compared > 0, compared, np.nan)


def _worth(winner: float, loser: float, alpha: float) -> float:
    return loser / winner if (1 - alpha) * loser < winner < (1 + alpha) * loser else 0.0


def judgement_rewards(pairs: Sequence[tuple[int, int]], choices: Sequence[str], scores: ArrayLike) -> Array:
    """R_J of each judgement, which trains the judge: sign(R_A(winner) - R_A(loser)), and -1 for an invalid one.

    Args:
        pairs, choices: see `copeland_scores`.
        scores: (G,) R_A.

    Returns:
        One of -1, 0, 1 per judgement.
    """
    table = np.asarray(scores, np.float64)
    return np.array(
        [
            np.sign(table[first] - table[second]) * (1 if choice == "1" else -1) if choice in CHOICES else -1.0
            for (first, second), choice in zip(pairs, choices, strict=True)
        ]
    )


class CopelandJudge:
    """SERL's pairwise comparison as a judge.

    With length control the scores are (1 - alpha) R_A, so that they stay in [0, 1] and keep their order.

    Args:
        compare: (question, first, second) -> ``"1"`` or ``"2"``, the better answer; anything else is no judgement.
        rounds: comparisons per pair, half of them swapped; published: 4. A call costs rounds G (G - 1) / 2 comparisons.
        length_control: see `copeland_scores`; words are split at white space.
        alpha: see `copeland_scores`.

    Raises:
        SettingsError: no ``compare``, an odd number of rounds, or alpha outside (0, 1).
        ScorerError: from a call: ``compare`` raised.
    """

    def __init__(
        self,
        compare: Callable[[str, str, str], str] | None = None,
        rounds: int = 2,
        length_control: bool = True,
        alpha: float = 0.2,
    ) -> None:
        if compare is None:
            raise SettingsError(
                'the judge copeland needs compare: a callable (question, first, second) -> "1" or "2", the better answer'
            )
        if not 0 < alpha < 1:
            raise SettingsError(f"alpha must be above 0 and below 1, got {alpha!r}")
        ordered_pairs(0, rounds)
        self.compare, self.rounds, self.length_control, self.alpha = compare, rounds, length_control, alpha

    def __call__(self, question: str, references: tuple[str, ...], answers: Sequence[Judged]) -> Array:
        """(G,) scores; NaN for an answer without any valid comparison."""
        texts = [answer.text for answer in answers]
        pairs = ordered_pairs(len(texts), self.rounds)
        choices = [self._ask(question, texts[first], texts[second]) for first, second in pairs]
        if not self.length_control:
            return copeland_scores(pairs, choices, len(texts))
        words = [len(text.split()) for text in texts]
        return (1 - self.alpha) * copeland_scores(pairs, choices, len(texts), words, self.alpha)

    def _ask(self, question: str, first: str, second: str) -> str:
        try:
            return self.compare(question, first, second)
        except Exception as error:
            raise ScorerError(f"the comparison of two answers to {question!r} failed: {error}") from error
