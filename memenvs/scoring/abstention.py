"""Scoring questions that the stream does not answer: the right answer is to say so."""

from __future__ import annotations

import re
from collections.abc import Sequence

# "no information available" and "not mentioned" are LoCoMo's rule (snap-research/locomo@3eb6f2c: task_eval/evaluation.py,
# category 5); the others say the same in the words that readers use.
_SAYS_SO = re.compile(
    r"\bno (information|mention|answer)\b|\bnot (been )?(mentioned|specified|provided|stated|given|enough information)\b"
    r"|\b(do|does|did|was|were|is|are|has|have) ?n[o']t (know|say|mention|tell|contain|enough)\b"
    r"|\b(can ?not|can't|unable to|impossible to) (be )?(answer|determine|tell|say)|\bunknown\b|\bunanswerable\b",
    re.I,
)


def abstains(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction says that there is no answer, or is empty, which is how an extractive reader says it.

    The references are not looked at.
    """
    text = prediction.replace("’", "'").strip()
    return float(not text or _SAYS_SO.search(text) is not None)
