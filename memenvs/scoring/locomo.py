"""LoCoMo's F1 by question category, as published.

Source: snap-research/LoCoMo@0e22967: task_eval/evaluation.py. Differs from SQuAD's F1: words are stemmed (Porter), "and" is
dropped like an article. Stems need the library ``nltk``: ``pip install -e '.[bench]'``.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from functools import lru_cache
from typing import Any

from memenvs.errors import ScorerError
from memenvs.scoring.published import Gold, references_of

CATEGORIES = {"1": "multi-hop", "2": "temporal", "3": "open-domain", "4": "single-hop", "5": "adversarial"}
"""The data's category numbers."""

_DROPPED = re.compile(r"\b(a|an|the|and)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ABSENT = ("no information available", "not mentioned")


def category_in(source: str) -> str:
    """The category that a source names ("locomo-3").

    Raises:
        ScorerError: it names none.
    """
    category = source.removeprefix("locomo-")
    if category not in CATEGORIES:
        known = ", ".join(f"locomo-{number} ({name})" for number, name in CATEGORIES.items())
        raise ScorerError(f"LoCoMo's score depends on the question's category, {known}; got {source!r}")
    return category


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    try:
        from nltk.stem import PorterStemmer
    except ImportError as error:
        raise ScorerError("LoCoMo's F1 needs the library nltk: pip install -e '.[bench]'") from error
    return PorterStemmer()


def stems(text: str) -> list[str]:
    """The stems of a text's words, lower-cased, without punctuation, a, an, the, and.

    Raises:
        ScorerError: nltk is not installed.
    """
    return [_stemmer().stem(word) for word in _DROPPED.sub(" ", text.lower().translate(_PUNCTUATION)).split()]


def stem_f1(prediction: str, reference: str) -> float:
    """F1 of the bags of stems; 0 where they share none, even if both are empty."""
    ours, theirs = stems(prediction), stems(reference)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def parts_f1(prediction: str, reference: str) -> float:
    """Mean over the reference's comma-separated parts of the best `stem_f1` of a comma-separated part of the prediction."""
    parts = prediction.split(",")
    scores = [max(stem_f1(part, wanted) for part in parts) for wanted in reference.split(",")]
    return sum(scores) / len(scores)


def category_f1(prediction: str, gold: Gold, category: str) -> float:
    """The published score of one answer.

    Args:
        prediction: the answer.
        gold: the reference; the data has one per question.
        category: "1" multi-hop (`parts_f1`), "2" temporal and "4" single-hop (`stem_f1`), "3" open-domain (`stem_f1` with what
            stands before the first ";"), "5" adversarial (1 if the prediction says that it is not mentioned).

    Raises:
        ScorerError: nltk is not installed.
    """
    if category == "5":
        return float(any(words in prediction.lower() for words in _ABSENT))
    reference = references_of(gold)[0]
    if category == "1":
        return parts_f1(prediction, reference)
    return stem_f1(prediction, reference.split(";")[0].strip() if category == "3" else reference)
