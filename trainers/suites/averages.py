"""Means of sub-tasks, both averages over them, and their intervals.

The published averages of Mem-alpha cannot be had from the columns beside them (its table 1 prints .642 where the columns' mean is
.619), so both readings are always given: the mean over sub-tasks, where each counts once, and the mean over streams or
questions, where each of these counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.statistics import Interval
from trainers.suites.suite import Suite
from trainers.suites.summary import Summary

DRAWS = 4000
"""Resamples."""
NOTHING = Interval(float("nan"), float("nan"), float("nan"))
Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Averages:
    """The numbers of one arm. An interval whose ends are NaN says that one stream says nothing of other streams."""

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


def averages(summaries: Sequence[Summary], names: Sequence[str], suite: Suite, seed: int = 0) -> Averages:
    """The numbers of one arm.

    Args:
        summaries: one per stream.
        names: of the sub-tasks.
        suite: says what counts once, what is published and what belongs together.
        seed: of the resampling, fixed so that a table can be made again.

    Returns:
        Means with 95 % percentile intervals of a bootstrap over streams. For sub-tasks, streams are drawn among those of their own
        source, and there is no interval where one stream is all there is of a source; the mean over units draws among all streams.
        Questions without a score count nowhere.
    """
    total = np.array([[_cell(s, name)[0] for name in names] for s in summaries], np.float64)
    count = np.array([[_cell(s, name)[1] for name in names] for s in summaries], np.float64)
    published = [i for i, name in enumerate(names) if suite.is_published(name)]
    scored = [i for i in published if count[:, i].any()]
    strata = [s.stratum for s in summaries]
    weights, several = _resamples(strata, seed)
    mixed, _ = _resamples([""] * len(strata), seed)
    grouped: dict[str, list[int]] = {}
    for column in suite.columns:
        if column.group and column.name in names and count[:, names.index(column.name)].any():
            grouped.setdefault(column.group, []).append(names.index(column.name))

    def columns(w: Table) -> Table:
        """(draws, sub-tasks) means under these weights of the streams."""
        if suite.unit == "question":
            return _ratio(w @ total, w @ count)
        return _ratio(w @ np.divide(total, count, out=np.zeros_like(total), where=count > 0), w @ (count > 0))

    def units(w: Table) -> Table:
        own_total, own_count = total[:, published].sum(1), count[:, published].sum(1)
        if suite.unit == "question":
            return _ratio(w @ own_total, w @ own_count)
        means = np.divide(own_total, own_count, out=np.zeros_like(own_total), where=own_count > 0)
        return _ratio(w @ means, w @ (own_count > 0))

    def groups(w: Table) -> Table:
        found = columns(w)
        return np.stack([_mean(found[:, members]) for members in grouped.values()], 1)

    def interval(of: Callable[[Table], Table], draws: Table, known: bool) -> Interval:
        point = float(of(np.ones((1, len(summaries))))[0])
        drawn = of(draws)
        drawn = drawn[~np.isnan(drawn)]
        if not known or not drawn.size or np.isnan(point):
            return Interval(point, float("nan"), float("nan"))
        low, high = np.percentile(drawn, [2.5, 97.5])
        return Interval(point, float(low), float(high))

    def of_columns(members: Sequence[int]) -> Interval:
        return interval(lambda w: _mean(columns(w)[:, list(members)]), weights, varies(members))

    def varies(members: Sequence[int]) -> bool:
        return all(several[count[:, i] > 0].all() for i in members)

    return Averages(
        subtasks={name: of_columns([i]) for i, name in enumerate(names)},
        groups={name: of_columns(members) for name, members in grouped.items()},
        of_subtasks=of_columns(scored) if scored else NOTHING,
        of_groups=interval(lambda w: _mean(groups(w)), weights, varies([i for own in grouped.values() for i in own]))
        if grouped
        else NOTHING,
        of_units=interval(units, mixed, len(summaries) > 1) if scored else NOTHING,
    )


def _cell(summary: Summary, name: str) -> tuple[float, int]:
    cell = summary.cells.get(name)
    return (cell.total, cell.scored) if cell else (0.0, 0)


def _resamples(strata: Sequence[str], seed: int) -> tuple[Table, NDArray[np.bool_]]:
    """(draws, streams) how often each stream is drawn; and which streams have others of their source."""
    rng = np.random.default_rng(seed)
    weights = np.ones((DRAWS, len(strata)))
    several = np.zeros(len(strata), bool)
    members: Mapping[str, list[int]] = {name: [] for name in sorted(set(strata))}
    for i, name in enumerate(strata):
        members[name].append(i)
    for own in members.values():
        if len(own) > 1:
            several[own] = True
            weights[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=DRAWS)
    return weights, several


def _ratio(numerator: Table, denominator: Table) -> Table:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _mean(columns: Table) -> Table:
    """Mean over the last axis; NaN where any is: a resample without a sub-task says nothing of the average."""
    return columns.mean(-1)
