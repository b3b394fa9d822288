"""Self-scored answers: the model that answers says how sure it is.

Source: arXiv 2505.11227 (Self-PRM: re-ranking by a model's own process reward, against majority voting).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from memenvs.errors import SettingsError, did_you_mean
from memenvs.scoring.metrics import normalize
from trainers.slots.consensus import nearness
from trainers.slots.judging import Judged
from trainers.slots.types import Array

RULES = ("score", "best", "vote", "majority")
"""What `SelfPrmJudge` makes of the self-scores."""


def best_of_n(answers: Sequence[str], self_scores: ArrayLike) -> str:
    """The answer with the highest self-score; the first of equals."""
    return answers[int(np.argmax(self_scores))]


def weighted_vote(answers: Sequence[str], weights: ArrayLike) -> str:
    """The answer whose class has the largest sum of weights; the first of equals.

    Answers are of one class if they are equal after `memenvs.scoring.metrics.normalize`; the class's first answer is given.
    """
    sums: dict[str, float] = {}
    for answer, weight in zip(answers, np.asarray(weights, np.float64), strict=True):
        sums[normalize(answer)] = sums.get(normalize(answer), 0.0) + float(weight)
    winner = max(sums, key=lambda name: sums[name])
    return next(answer for answer in answers if normalize(answer) == winner)


def majority(answers: Sequence[str]) -> str:
    """The most frequent answer: `weighted_vote` with equal weights."""
    return weighted_vote(answers, np.ones(len(answers)))


class SelfPrmJudge:
    """Self-scores as a judge.

    Args:
        rule: ``"score"``: the self-scores, min-max within the group (all 0 if they are equal). Or 1 for the answers that equal
            the chosen one and 0 for the others, chosen by ``"best"`` (highest self-score), ``"vote"`` (score-weighted) or
            ``"majority"`` (for comparison; needs no self-scores).

    Raises:
        SettingsError: an unknown rule; from a call: an answer without self-score, or negative ones in a vote.
    """

    def __init__(self, rule: str = "score") -> None:
        if rule not in RULES:
            raise SettingsError(
                f"rule must be one of {', '.join(RULES)}, got {rule!r}.{did_you_mean(str(rule), RULES)}"
            )
        self.rule = rule

    def __call__(self, question: str, references: tuple[str, ...], answers: Sequence[Judged]) -> Array:
        """(G,) scores; NaN where the self-score is NaN."""
        own = self._self_scores(question, answers)
        scores, valid = np.full(len(answers), np.nan), ~np.isnan(own)
        if not valid.any():
            return scores
        texts = [answer.text for answer, known in zip(answers, valid, strict=True) if known]
        if self.rule == "score":
            scores[valid] = nearness(-own[valid])
        else:
            chosen = best_of_n(texts, own[valid]) if self.rule == "best" else weighted_vote(texts, own[valid])
            scores[valid] = [float(normalize(text) == normalize(chosen)) for text in texts]
        return scores

    def _self_scores(self, question: str, answers: Sequence[Judged]) -> Array:
        if self.rule == "majority":
            return np.ones(len(answers))
        given = [answer.self_score for answer in answers]
        if missing := sum(score is None for score in given):
            raise SettingsError(
                f"the judge self_prm needs a self_score for every answer; {missing} of {len(answers)} to {question!r} have none"
            )
        own = np.array(given, np.float64)
        if np.isinf(own).any() or (self.rule == "vote" and (own < 0).any()):
            raise SettingsError(
                f"self-scores must be finite{' and not negative' if self.rule == 'vote' else ''}, got {own.tolist()}"
            )
        return own
