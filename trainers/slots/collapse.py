"""Has the group agreed on an answer because it is right, or because everyone says the same?

A consensus rewards agreement, and the cheapest agreement is to give the same answer always. `collapse` measures it, and goes with
every `trainers.slots.consensus.ConsensusJudge`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memenvs.scoring.metrics import exact_match, normalize


@dataclass(frozen=True, slots=True)
class Collapse:
    """How far the answers to one question have become one."""

    identical: float
    """Share of the answers that are the most frequent one, after normalisation; in (0, 1]."""
    distinct: float
    """Effective number of distinct answers, exp of the entropy of their shares; from 1 to G."""
    agreement: float
    """Share of the answers that match a reference; NaN without references."""
    collapsed: bool
    """Identical without being right: `identical` reaches its threshold, and `agreement` does not reach its own."""


def collapse(
    answers: Sequence[str], references: Sequence[str] = (), identical: float = 0.9, agreement: float = 0.5
) -> Collapse:
    """Measure the answers to one question.

    Args:
        answers: of the G rollouts, at least one.
        references: acceptable answers. Without any, identical answers are always flagged: nothing speaks for them.
        identical: share of identical answers from which on a group may be flagged.
        agreement: share of right answers from which on it is not.
    """
    shares = [count / len(answers) for count in Counter(map(normalize, answers)).values()]
    right = math.fsum(exact_match(answer, references) for answer in answers) / len(answers) if references else math.nan
    return Collapse(
        identical=max(shares),
        distinct=math.exp(-math.fsum(share * math.log(share) for share in shares)),
        agreement=right,
        collapsed=len(answers) > 1 and max(shares) >= identical and not right >= agreement,
    )


def summary(seen: Iterable[Collapse]) -> dict[str, float]:
    """Means over questions, for a training log.

    Returns:
        ``identical``, ``distinct``, ``agreement`` (left out where no question had references) and ``collapsed``, the share of
        flagged questions. Empty if there are no questions.
    """
    found = list(seen)
    if not found:
        return {}
    known = [one.agreement for one in found if not math.isnan(one.agreement)]
    return {
        "identical": math.fsum(one.identical for one in found) / len(found),
        "distinct": math.fsum(one.distinct for one in found) / len(found),
        "collapsed": sum(one.collapsed for one in found) / len(found),
    } | ({"agreement": math.fsum(known) / len(known)} if known else {})
