"""How well a measure of credit predicts what is learned with it: rank correlations over methods, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.credit.fidelity import advantage_fidelity
from trainers.reward_bench.attribution import METRICS
from trainers.reward_bench.summary import WHOLE, Results, scopes
from trainers.statistics import correlation_sums, correlations

Array = NDArray[np.float64]
EXACT_UP_TO = 8
"""Methods whose orders are all counted for a p-value: 8! = 40,320. Of more methods, orders are drawn."""
ORDERS = 99_999
"""Orders that are drawn."""
LESS_IS_BETTER = ("normalised_l1", "efficiency_gap")
"""Measures whose sign is turned, so that a good predictor has a positive correlation."""


class Draws(NamedTuple):
    """A number per method, as measured and as it would be on resampled data."""

    value: Array
    """(M,)."""
    resampled: Array
    """(draws, M)."""


def weighted_means(table: ArrayLike, draws: int, rng: np.random.Generator) -> Draws:
    """Means over what was measured, resampled: the same episodes for all methods.

    Args:
        table: (M, n) a number per method and episode; NaN is left out.
        draws: resamples.
        rng: of the resampling.
    """
    values = np.asarray(table, np.float64)
    known = ~np.isnan(values)
    counts = _counts(values.shape[1], draws, rng)
    sums, sizes = counts @ np.where(known, values, 0.0).T, counts @ known.T
    with np.errstate(invalid="ignore"):
        return Draws(np.nanmean(values, axis=1), sums / sizes)


def weighted_correlations(pairs: Sequence[Sequence[ArrayLike]], draws: int, rng: np.random.Generator) -> Draws:
    """Pooled correlations, resampled over groups: the same groups for all methods.

    Args:
        pairs: [M][groups] of (n, 2) numbers.
        draws: resamples.
        rng: of the resampling.
    """
    sums = np.array([[correlation_sums(group) for group in of_method] for of_method in pairs])
    counts = _counts(sums.shape[1], draws, rng)
    return Draws(correlations(sums.sum(1)), correlations(np.einsum("dg,mgk->dmk", counts, sums)))


def learned(runs: ArrayLike, draws: int, rng: np.random.Generator) -> Draws:
    """Means of held-out scores, resampled over training seeds and held-out streams: the same ones for all methods.

    Args:
        runs: (M, seeds, streams); NaN is left out.
        draws: resamples.
        rng: of the resampling.
    """
    values = np.asarray(runs, np.float64)
    known = ~np.isnan(values)
    seeds, streams = (_counts(size, draws, rng) for size in values.shape[1:])
    sums = np.einsum("ds,msn,dn->dm", seeds, np.where(known, values, 0.0), streams, optimize=True)
    sizes = np.einsum("ds,msn,dn->dm", seeds, known.astype(float), streams, optimize=True)
    with np.errstate(invalid="ignore"):
        return Draws(np.nanmean(values, axis=(1, 2)), sums / sizes)


def _counts(size: int, draws: int, rng: np.random.Generator) -> Array:
    return rng.multinomial(size, np.full(size, 1 / size), size=draws).astype(float)


def measures(names: Sequence[str], results: Results, draws: int, rng: np.random.Generator) -> dict[str, Draws]:
    """Each fidelity of the methods, from the episodes and groups that all of them served.

    Args:
        names: of M methods.
        results: of a measurement; its builtin episodes and its groups are used.
        draws: resamples.
        rng: of the resampling.

    Returns:
        Name of a measure -> its draws; those of which there are no data are left out.
    """
    inside = scopes(results)[WHOLE]
    episodes = [r for cell, r in results if inside(cell) and not r.get("flat", True) and _served(names, r)]
    groups = [r for cell, r in results if cell.kind == "advantage" and "failure" not in r and _served(names, r)]
    found: dict[str, Draws] = {}
    for metric in METRICS if episodes else ():
        sign = -1.0 if metric in LESS_IS_BETTER else 1.0
        table = [[sign * _number(e["methods"][name][metric]) for e in episodes] for name in names]
        found[metric] = weighted_means(table, draws, rng)
    if groups:
        true = [np.mean(group["halves"], axis=0) for group in groups]
        pairs = [
            [advantage_fidelity(g["methods"][name]["credit"], t) for g, t in zip(groups, true, strict=True)]
            for name in names
        ]
        found["advantage"] = weighted_correlations(pairs, draws, rng)
    return found


def _served(names: Sequence[str], result: Mapping[str, Any]) -> bool:
    return all("credit" in result["methods"][name] for name in names)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


class Prediction(NamedTuple):
    """Rank correlation over methods."""

    spearman: float
    """Between a measure and what was learned."""
    low: float
    """2.5 % point over resampled data; the methods stay the same."""
    high: float
    """97.5 % point."""
    p: float
    """See `permutation_p`."""


def predict(measure: Draws, outcome: Draws, seed: int = 0) -> Prediction:
    """How well the order of methods by a measure is their order by what was learned.

    Args:
        measure: of the methods.
        outcome: what was learned with each.
        seed: of the orders that a p-value needs, if there are too many to take all.
    """
    from scipy.stats import rankdata, spearmanr

    valid = np.isfinite(measure.resampled).all(1) & np.isfinite(outcome.resampled).all(1)
    ranks = [rankdata(np.round(side.resampled[valid], 9), axis=1) for side in (measure, outcome)]
    x, y = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    spread = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    drawn = np.divide((x * y).sum(1), spread, out=np.zeros(len(spread)), where=spread > 0)
    sides = [np.round(side.value, 9) for side in (measure, outcome)]
    if any(np.ptp(side) == 0 for side in sides):
        return Prediction(0.0, *_ends(drawn), math.nan)
    whole = float(spearmanr(*sides).statistic)
    return Prediction(whole, *_ends(drawn), permutation_p(rankdata(sides[0]), rankdata(sides[1]), seed))


def permutation_p(x: ArrayLike, y: ArrayLike, seed: int = 0) -> float:
    """Two-sided p-value of no rank correlation, by permutation, which holds for few methods and for ties.

    Args:
        x: (M,) ranks of M methods.
        y: (M,) their ranks on the other side.
        seed: of the drawn orders.

    Returns:
        The share of the orders of y, its own among them, with a correlation at least as far from 0: over all M! orders up to
        `EXACT_UP_TO` methods, over `ORDERS` random ones and its own beyond; NaN where a side is constant.
    """
    one, other = (ranks - ranks.mean() for ranks in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    if not (one.any() and other.any()):
        return math.nan
    far = abs(float(one @ other)) - 1e-9  # sums in another order round differently
    if len(one) <= EXACT_UP_TO:
        return float(np.mean(np.abs(np.array(list(permutations(other))) @ one) >= far))
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(other, (ORDERS, 1)), axis=1)
    return float((1 + np.sum(np.abs(drawn @ one) >= far)) / (ORDERS + 1))


def _ends(drawn: Array) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
