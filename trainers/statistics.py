"""Means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


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
    rows = rng.integers(table.shape[0], size=(draws, table.shape[0]))
    # The same streams are drawn for all seeds of a resample: seeds share their held-out streams.
    columns = rng.integers(table.shape[1], size=(draws, table.shape[1]))
    means = np.array([np.nanmean(table[np.ix_(r, c)]) for r, c in zip(rows, columns, strict=True)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(np.nanmean(table)), float(low), float(high))


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
