"""Means of sub-tasks, both averages over them, and their intervals.

The published averages of Mem-alpha cannot be had from the columns beside them (its table 1 prints .642 where the columns' mean is
.619), so both readings are always given: the mean over sub-tasks, where each counts once, and the mean over streams or
questions, where each of these counts once.

An interval speaks of other streams of the same sources, drawn by a bootstrap. From fewer than `FEW` streams of a source nothing can
be said of others: the range of n values covers their median with probability 1 - 2^(1 - n) at most, which is 95 % from six on.
There, a suite that counts streams has no interval; one that counts questions draws the questions of these streams, and the
interval speaks of other questions on the same streams (`Averages.drawn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.statistics import Interval
from trainers.suites.suite import Suite
from trainers.suites.summary import Cell, Summary

DRAWS = 4000
"""Resamples."""
FEW = 6
"""Streams, or questions, that an interval takes at least."""
NOTHING = Interval(float("nan"), float("nan"), float("nan"))
Table = NDArray[np.float64]
Drawn = Literal["streams", "questions", ""]
"""What an interval speaks of; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Averages:
    """The numbers of one arm. Where there is no interval its ends are NaN."""

    subtasks: dict[str, Interval]
    """Name of the sub-task -> mean."""
    groups: dict[str, Interval]
    """Name of the group -> mean of its sub-tasks."""
    of_subtasks: Interval
    """Mean of the published sub-tasks that have a score."""
    of_groups: Interval
    """Mean of the groups."""
    of_units: Interval
    """Mean over all streams, or over all questions, of the published sub-tasks."""
    of_common: Interval
    """Mean of the sub-tasks that every row of the table has."""
    drawn: dict[str, Drawn]
    """Name of the sub-task -> what its interval speaks of."""


def averages(
    summaries: Sequence[Summary], names: Sequence[str], suite: Suite, seed: int = 0, common: Sequence[str] = ()
) -> Averages:
    """The numbers of one arm.

    Args:
        summaries: one per stream.
        names: of the sub-tasks.
        suite: says what counts once, what is published and what belongs together.
        seed: of the resampling, fixed so that a table can be made again.
        common: the sub-tasks that every row of the table has.

    Returns:
        Means with 95 % percentile intervals of a bootstrap: for sub-tasks and their means within each source, of streams or of
        questions as above; for the mean over units among all streams, at least `FEW`. An average has one where all its sub-tasks
        have. Questions without a score count nowhere.
    """
    one = _Arm(summaries, names, suite, seed)
    published = [i for i, name in enumerate(names) if suite.is_published(name)]
    scored = [i for i in published if one.count[:, i].any()]
    grouped: dict[str, list[int]] = {}
    for column in suite.columns:
        if column.group and column.name in names and one.count[:, names.index(column.name)].any():
            grouped.setdefault(column.group, []).append(names.index(column.name))
    return Averages(
        subtasks={name: one.mean_of([[i]]) for i, name in enumerate(names)},
        groups={name: one.mean_of([members]) for name, members in grouped.items()},
        of_subtasks=one.mean_of([scored]) if scored else NOTHING,
        of_groups=one.mean_of(list(grouped.values())) if grouped else NOTHING,
        of_units=one.mean_of_units(published) if scored else NOTHING,
        of_common=one.mean_of([[names.index(name) for name in common]]) if scored and common else NOTHING,
        drawn={name: one.drawn[i] for i, name in enumerate(names)},
    )


class _Arm:
    """The means of one arm's sub-tasks, and what they are in each resample."""

    def __init__(self, summaries: Sequence[Summary], names: Sequence[str], suite: Suite, seed: int) -> None:
        self.by_question, self.seed = suite.unit == "question", seed
        cells = [[s.cells.get(name, Cell()) for name in names] for s in summaries]
        self.total = np.array([[cell.total for cell in line] for line in cells], np.float64)
        self.count = np.array([[cell.scored for cell in line] for line in cells], np.float64)
        strata = np.array([s.stratum for s in summaries])
        self.drawn: list[Drawn] = []
        """Per sub-task what is drawn."""
        self.draws = np.full((DRAWS, len(names)), np.nan)
        """(draws, sub-tasks) means."""
        weights = _stream_draws(strata, seed)
        numerator, denominator = self._units()
        self.point = _ratio(numerator.sum(0, keepdims=True), denominator.sum(0, keepdims=True))
        rng = np.random.default_rng([seed, 1])
        for i in range(len(names)):
            summed, counted = np.zeros(DRAWS), np.zeros(DRAWS)
            drawn: Drawn = "streams"
            there = self.count[:, i] > 0
            for name in np.unique(strata[there]):
                own = there & (strata == name)
                if own.sum() >= FEW:
                    summed += weights[:, own] @ numerator[own, i]
                    counted += weights[:, own] @ denominator[own, i]
                    continue
                scores = np.array(
                    [score for line, mine in zip(cells, own, strict=True) if mine for score in line[i].scores]
                )
                if not self.by_question or len(scores) < FEW:
                    drawn = ""
                    break
                drawn = "questions"
                picked = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=DRAWS)
                summed += picked @ scores
                counted += len(scores)
            self.drawn.append(drawn if there.any() else "")
            if self.drawn[-1]:
                self.draws[:, i] = _ratio(summed, counted)

    def mean_of(self, groups: Sequence[Sequence[int]]) -> Interval:
        """Mean over groups of the means over their sub-tasks."""
        point, drawn = (
            np.stack([means[:, list(members)].mean(-1) for members in groups], 1).mean(-1)
            for means in (self.point, self.draws)
        )
        known = all(self.drawn[i] for members in groups for i in members)
        return _interval(float(point[0]), drawn if known else drawn[:0])

    def mean_of_units(self, members: Sequence[int]) -> Interval:
        """Mean over streams or questions, whatever their sub-task."""
        total, count = self.total[:, members].sum(1), self.count[:, members].sum(1)
        if not self.by_question:
            total, count = _ratio(total, count, 0.0), (count > 0).astype(float)
        point = float(total.sum() / count.sum())
        if (count > 0).sum() < FEW:
            return _interval(point, np.empty(0))
        weights = _stream_draws(np.zeros(len(count)), self.seed)
        return _interval(point, _ratio(weights @ total, weights @ count))

    def _units(self) -> tuple[Table, Table]:
        """(streams, sub-tasks) what is added up, and how much each counts."""
        if self.by_question:
            return self.total, self.count
        return _ratio(self.total, self.count, 0.0), (self.count > 0).astype(float)


def _stream_draws(strata: NDArray[Any], seed: int) -> Table:
    """(draws, streams) how often each stream is drawn among those of its source."""
    rng = np.random.default_rng(seed)
    weights = np.ones((DRAWS, len(strata)))
    for name in np.unique(strata):
        own = strata == name
        weights[:, own] = rng.multinomial(own.sum(), np.full(own.sum(), 1 / own.sum()), size=DRAWS)
    return weights


def _interval(point: float, drawn: Table) -> Interval:
    """The percentiles of resamples; one without a sub-task says nothing of the average."""
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size or np.isnan(point):
        return Interval(point, float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(point, float(low), float(high))


def _ratio(numerator: Table, denominator: Table, empty: float = float("nan")) -> Table:
    return np.divide(numerator, denominator, out=np.full_like(numerator, empty), where=denominator > 0)
