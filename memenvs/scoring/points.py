"""Summaries without a judge: which of the points of the reference a prediction tells.

A reference is a list of keywords or a text. Keywords (several references, or short pieces between ";" and "," and no full stop at
the end) are told if their words stand in the prediction one after the other. Each sentence of a text is a point, told by the share
of its content words (no function words) that the prediction has anywhere.

MemoryAgentBench lets a model count told points; Mem-alpha counts keywords in evaluation and takes ROUGE-L in training. This stands
between: it needs no model, looks for whole words, and does not ask for the reference's order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from memenvs.reading.lexicon import FUNCTION_WORDS
from memenvs.scoring.metrics import normalize

KEYWORD_WORDS = 6
"""Most words of a keyword; a longer piece is prose."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def points(references: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """What the references want told, and whether it is keywords (True) or sentences."""
    pieces = list(references) if len(references) > 1 else re.split(r"[;,]", references[0])
    keywords = tuple(dict.fromkeys(piece.strip() for piece in pieces if normalize(piece)))
    if all(len(piece.split()) <= KEYWORD_WORDS for piece in keywords) and not references[0].rstrip().endswith(
        (".", "!", "?")
    ):
        return keywords, True
    sentences = (sentence.strip() for reference in references for sentence in _SENTENCE.split(reference))
    return tuple(dict.fromkeys(sentence for sentence in sentences if _content(sentence))), False


def points_recall(prediction: str, references: Sequence[str]) -> float:
    """Mean over the points of how far the prediction tells them; 0 where there is no point.

    Like every recall it does not punish what is said beside the points: a reader's answer has a longest length.
    """
    wanted, keywords = points(references)
    if not wanted:
        return 0.0
    text = f" {normalize(prediction)} "
    if keywords:
        return sum(f" {normalize(point)} " in text for point in wanted) / len(wanted)
    said = _content(prediction)
    return sum(len(_content(point) & said) / len(_content(point)) for point in wanted) / len(wanted)


def _content(text: str) -> frozenset[str]:
    return frozenset(normalize(text).split()) - FUNCTION_WORDS
