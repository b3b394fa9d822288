"""Time-Dialog's answers: options, an order, a point in time.

The published evaluation (Elvin-Yiming-Du/Memory-T1@9e3f9a3, eval/calculate_scores_rl.py) compares sets of what stands between
blanks, so that every order of the same events is right, and reads no date with a time of day. Here an order must be the order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from memenvs.scoring.metrics import substring_match

_OPTIONS = re.compile(r"[A-Z](?:[\s,]+[A-Z])*")
_LEADING = re.compile(r"([A-Z])[.):](?:\s|$)")
_ORDER = re.compile(r"(?:\(\d+\)\s*)+")
_ANSWER = re.compile(r"answer\s*(?:is|:)\s*", re.IGNORECASE)
_DAYS = ("%Y-%m-%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y")
_TIMES = ("%Y-%m-%dT%H:%M:%S", "%I:%M:%S %p, %B %d, %Y", "%I:%M %p, %B %d, %Y")


def option_order_or_time(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction says what a reference says, in the reference's form.

    Options ("A", "B D"): the same letters, in any order. An order ("(1)(3)(2)"): the same numbers in the same order. A point in
    time: the same day, and the same second where the reference tells one. Anything else: its words, as `substring_match`.
    """
    said = _ANSWER.split(prediction.strip())[-1].strip()
    return float(any(_right(said, prediction, reference.strip()) for reference in references))


def _right(said: str, prediction: str, reference: str) -> bool:
    if _OPTIONS.fullmatch(reference):
        return _letters(said) == set(re.findall(r"[A-Z]", reference))
    if _ORDER.fullmatch(reference):
        orders = _ORDER.findall(said)
        return bool(orders) and re.findall(r"\d+", orders[-1]) == re.findall(r"\d+", reference)
    gold, told = _time(reference), _time(said)
    if gold is not None and told is not None:
        return gold[0] == told[0] and (gold[1] is None or gold[1] == told[1])
    return substring_match(prediction, [reference]) == 1


def _letters(said: str) -> set[str]:
    """The options named; none in a sentence that is no list of letters and does not begin with one."""
    if _OPTIONS.fullmatch(said.rstrip(".")):
        return set(re.findall(r"[A-Z]", said))
    leading = _LEADING.match(said)
    return {leading[1]} if leading else set()


def _time(text: str) -> tuple[str, str | None] | None:
    """(day, time of day) of a text that is nothing else."""
    for form in (*_DAYS, *_TIMES):
        try:
            found = datetime.strptime(text.strip().rstrip("."), form)
        except ValueError:
            continue
        return found.date().isoformat(), found.time().isoformat() if form in _TIMES else None
    return None
