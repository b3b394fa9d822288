"""Means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(scores: ArrayLike, draws: int = 4000, seed: int = 0) -> Interval:
    """Two-level percentile bootstrap of a mean over seeds and streams.

    Args:
        scores: ``(seeds, streams)``, or ``(streams,)`` for one seed. NaN (failed episodes) are left out.
        draws: resamples.
        seed: of the resampling, fixed so that a table can be made again.

    Returns:
        The mean with the 2.5 % and 97.5 % points. Seeds and streams are both resampled, so the interval speaks of other seeds and
        other streams of the same kind.
    """
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    rng = np.random.default_rng(seed)
    # How often each seed and each stream is drawn; all seeds of a resample share its streams, as they do in the data.
    seeds = rng.multinomial(table.shape[0], np.full(table.shape[0], 1 / table.shape[0]), size=draws)
    streams = rng.multinomial(table.shape[1], np.full(table.shape[1], 1 / table.shape[1]), size=draws)
    valid = ~np.isnan(table)
    counts = np.einsum("ds,sn,dn->d", seeds, valid.astype(float), streams)
    sums = np.einsum("ds,sn,dn->d", seeds, np.where(valid, table, 0.0), streams)
    if not valid.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(np.nanmean(table)), float(low), float(high))


def paired_bootstrap(a: ArrayLike, b: ArrayLike, draws: int = 4000, seed: int = 0) -> Interval:
    """Two-level percentile bootstrap of the mean difference a - b over the same streams.

    Args:
        a: ``(seeds, streams)``, or ``(streams,)`` for one seed; NaN (failed) scores are left out.
        b: the same for the other side, over the same streams in the same order; the number of seeds may differ.
        draws: resamples.
        seed: of the resampling.

    Returns:
        The mean over streams of (mean of a over seeds - mean of b over seeds) with its 2.5 % and 97.5 % points. A resample draws
        the streams once for both sides, so what makes a stream hard cancels out, and the seeds of each side apart. A stream
        without a score on one side counts on neither.

    Raises:
        ValueError: the sides have different numbers of streams.
    """
    tables = [np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in (a, b)]
    n = tables[0].shape[1]
    if tables[1].shape[1] != n:
        raise ValueError(f"expected the same streams on both sides, got {n} and {tables[1].shape[1]}")
    differences = paired_differences(a, b)
    if np.isnan(differences).all():
        return Interval(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = []
    for table in tables:
        drawn = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=draws).astype(float)
        counts, sums = drawn @ ~np.isnan(table), drawn @ np.nan_to_num(table)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    apart = means[0] - means[1]
    streams = rng.multinomial(n, np.full(n, 1 / n), size=draws) * ~np.isnan(apart)
    total = streams.sum(1)
    found = (streams * np.nan_to_num(apart)).sum(1)[total > 0] / total[total > 0]
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(float(np.nanmean(differences)), float(low), float(high))


def paired_differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Per stream the mean of a over seeds minus that of b, (streams,) float64; NaN where a side has no score."""
    means = []
    for side in (a, b):
        table = np.atleast_2d(np.asarray(side, dtype=np.float64))
        counts = (~np.isnan(table)).sum(0)
        means.append(np.where(counts > 0, np.nansum(table, 0) / np.maximum(counts, 1), np.nan))
    return means[0] - means[1]


_TIE = 1e-9


class Tally(NamedTuple):
    """How often one side is ahead."""

    wins: int
    ties: int
    losses: int


def tally(differences: ArrayLike) -> Tally:
    """How many differences are above, within and below 1e-9 of 0; NaN count nowhere."""
    values = np.asarray(differences, dtype=np.float64)
    return Tally(
        wins=int((values > _TIE).sum()),
        ties=int((np.abs(values) <= _TIE).sum()),
        losses=int((values < -_TIE).sum()),
    )


def episodes_to_reach(curve: Sequence[tuple[int, float]], level: float) -> float | None:
    """Episodes after which a learning curve first reaches ``level``, linearly interpolated; None if it never does.

    Args:
        curve: (episodes, score) in rising order of episodes.
        level: the score to reach.
    """
    before: tuple[int, float] | None = None
    for episodes, value in curve:
        if value >= level:
            if before is None:
                return float(episodes)
            share = (level - before[1]) / (value - before[1])
            return before[0] + share * (episodes - before[0])
        before = (episodes, value)
    return None


def bootstrap_pearson(pairs: Sequence[ArrayLike], draws: int = 4000, seed: int = 0) -> Interval:
    """Percentile bootstrap over groups of the Pearson correlation that pools their pairs.

    Args:
        pairs: per group (n, 2) numbers.
        draws: resamples of the groups, each of which keeps its pairs together: within a group they depend on each other.
        seed: of the resampling.

    Returns:
        The correlation with the 2.5 % and 97.5 % points; 0 where one side is constant, NaN without any pairs.
    """
    sums = np.array([correlation_sums(group) for group in pairs])
    if not len(sums) or not sums[:, 0].any():
        return Interval(float("nan"), float("nan"), float("nan"))
    counts = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=draws)
    low, high = np.percentile(correlations(counts @ sums), [2.5, 97.5])
    return Interval(float(correlations(sums.sum(0))), float(low), float(high))


def correlation_sums(pairs: ArrayLike) -> NDArray[np.float64]:
    """What a Pearson correlation needs of (n, 2) pairs: n, sums, sums of squares, sum of products; (6,) float64, additive."""
    table = np.asarray(pairs, np.float64).reshape(-1, 2)
    return np.array([len(table), *table.sum(0), *(table**2).sum(0), (table[:, 0] * table[:, 1]).sum()])


def correlations(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlations from (..., 6) sums as `correlation_sums` gives them; 0 where a side is constant."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    n = np.maximum(n, 1)
    variances = [square / n - (total / n) ** 2 for total, square in ((x, xx), (y, yy))]
    # What is left of the variance of equal numbers is rounding.
    varies = (variances[0] > 1e-12 * xx / n) & (variances[1] > 1e-12 * yy / n)
    spread = np.sqrt(np.where(varies, variances[0] * variances[1], 1.0))
    return np.where(varies, (xy / n - x * y / n**2) / spread, 0.0)
