"""How well an estimate of credit agrees with the exact one.

* `fidelity` - within an episode, against exact step Shapley values phi: all measures below at once.
* `linear_datamodelling_score` - within an episode, without phi.
* `advantage_fidelity` - over a group: the advantage an optimiser would use, beside the true one, to be pooled over
  groups and correlated.

Conventions: numbers within 1e-9 of the largest magnitude of their vector are ties, because sums over coalitions carry rounding.
A correlation with a constant vector is 0 and such an episode counts as degenerate. Credit with a NaN is of a failed episode, which
belongs in no statistics, and is refused. SciPy is imported when first needed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError
from rewards.credit.coalitions import sample_coalitions
from rewards.credit.replay import StepGame

Array = NDArray[np.float64]
_TIE_DECIMALS = 9


class Fidelity(NamedTuple):
    """Agreement of an estimate with phi in one episode."""

    spearman: float
    """See `spearman`."""
    kendall_b: float
    """See `kendall_b`."""
    top1: float
    """See `top1`."""
    negative_recall: float
    """See `negative_recall`."""
    normalised_l1: float
    """See `normalised_l1`."""
    efficiency_gap: float
    """See `efficiency_gap`."""
    degenerate: bool
    """Whether the estimate or phi is constant, so that the correlations are 0 by convention."""


def fidelity(c: ArrayLike, phi: ArrayLike) -> Fidelity:
    """All measures of one estimate.

    Args:
        c: (T,) estimated credit.
        phi: (T,) exact step Shapley values; they sum to v(all) - v(empty).

    Raises:
        SettingsError: they are not vectors of the same length and of finite numbers, or SciPy is missing.

    Source: the choice of measures is this project's; each is described where it is computed.
    """
    estimate, exact = _vectors(c, phi)
    return Fidelity(
        spearman(estimate, exact),
        kendall_b(estimate, exact),
        top1(estimate, exact),
        negative_recall(estimate, exact),
        normalised_l1(estimate, exact),
        efficiency_gap(estimate, float(exact.sum())),
        _constant(_tied(estimate)) or _constant(_tied(exact)),
    )


def spearman(c: ArrayLike, phi: ArrayLike) -> float:
    """Spearman's rank correlation with average ranks for ties; 0 where a vector is constant."""
    estimate, exact = _vectors(c, phi)
    rank = _scipy_stats().rankdata
    return _pearson(rank(_tied(estimate)), rank(_tied(exact)))


def kendall_b(c: ArrayLike, phi: ArrayLike) -> float:
    """Kendall's tau-b; 0 where a vector is constant."""
    estimate, exact = map(_tied, _vectors(c, phi))
    tau = _scipy_stats().kendalltau
    return 0.0 if _constant(estimate) or _constant(exact) else float(tau(estimate, exact).statistic)


def top1(c: ArrayLike, phi: ArrayLike) -> float:
    """Share of the steps with the largest c that also have the largest phi: 1 or 0 where c has one such step."""
    estimate, exact = map(_tied, _vectors(c, phi))
    return float(np.mean(exact[estimate == estimate.max()] == exact.max()))


def negative_recall(c: ArrayLike, phi: ArrayLike) -> float:
    """Share of the steps with phi < 0 that get c < 0; NaN where there are none, which then leaves the mean over episodes."""
    estimate, exact = map(_tied, _vectors(c, phi))
    harmful = exact < 0
    return float(np.mean(estimate[harmful] < 0)) if harmful.any() else float("nan")


def normalised_l1(c: ArrayLike, phi: ArrayLike) -> float:
    """1/2 |c / |c|_1 - phi / |phi|_1|_1, from 0 (the same up to a factor) to 1 (opposite, or on different steps).

    A vector of zeros stays as it is: it is 1/2 away from any other.
    """
    estimate, exact = (x / (np.abs(x).sum() or 1.0) for x in _vectors(c, phi))
    return float(np.abs(estimate - exact).sum() / 2)


def efficiency_gap(c: ArrayLike, gain: float) -> float:
    """|sum_t c_t - gain| with gain = v(all) - v(empty): how much credit was invented or lost."""
    return abs(float(np.sum(np.asarray(c, np.float64))) - gain)


def linear_datamodelling_score(c: ArrayLike, game: StepGame, subsets: int = 64, seed: int = 0) -> float:
    """Spearman correlation of sum_{t in S} c_t with v(S) over random coalitions S, each of the T steps in with probability 1/2.

    Args:
        c: (T,) estimated credit.
        game: the episode's step game.
        subsets: coalitions, at least 2.
        seed: decides them. They are others than those on which `rewards.credit.surrogate.lasso` is fitted with the same seed.

    Raises:
        SettingsError: c is not (T,) finite numbers, or ``subsets`` is below 2.
        ReaderError: the reader failed.

    Source: TRAK, arXiv 2303.14186, where the score comes from; ContextCite, arXiv 2409.00729, which uses it for sources.
    """
    credit, _ = _vectors(c, np.zeros(game.T))
    masks, values = sample_coalitions(game.value, range(game.T), subsets, seed=(seed, 1))
    return spearman(masks @ credit, values)


def advantage_fidelity(credit: ArrayLike, true_advantage: ArrayLike, eps: float = 1e-6) -> Array:
    """The advantage that a per-step group would get from an estimate, beside the true one.

    Estimated: (c - mean) / (std + eps) over the group, per step, with ddof 1; 0 where the group's credit is equal. True: A less its
    mean over the group, per step.

    Args:
        credit: (G, T) estimated credit of a stream's G rollouts.
        true_advantage: (G, T) Monte-Carlo Q(M_{t-1}, P_t) - V(M_{t-1}).
        eps: added to the standard deviation.

    Returns:
        (pairs, 2) float64 of (estimated, true). Rollouts with a NaN in either have failed and are left out; where fewer than two
        are left, there are no pairs.

    Raises:
        SettingsError: the arrays are not (G, T) of the same shape.

    Source: the measure is this project's; the estimate is normalised as by verl ``core_algos.compute_grpo_outcome_advantage``
    (volcengine/verl@b178a3c), the truth is VinePPO's advantage, arXiv 2410.01679.
    """
    estimated, true = np.asarray(credit, np.float64), np.asarray(true_advantage, np.float64)
    if estimated.ndim != 2 or estimated.shape != true.shape:
        raise SettingsError(f"expected two arrays (G, T) of the same shape, got {estimated.shape} and {true.shape}")
    valid = np.isfinite(estimated).all(axis=1) & np.isfinite(true).all(axis=1)
    if valid.sum() < 2:
        return np.empty((0, 2))
    estimated, true = estimated[valid], true[valid]
    z = (estimated - estimated.mean(axis=0)) / (estimated.std(axis=0, ddof=1) + eps)
    # Equal credit leaves rounding noise of the mean, which a small eps would blow up.
    z = np.where(estimated.max(axis=0) == estimated.min(axis=0), 0.0, z)
    return np.stack([z.ravel(), (true - true.mean(axis=0)).ravel()], axis=1)


def _vectors(c: ArrayLike, phi: ArrayLike) -> tuple[Array, Array]:
    estimate, exact = np.asarray(c, np.float64), np.asarray(phi, np.float64)
    if estimate.ndim != 1 or not estimate.size or estimate.shape != exact.shape:
        raise SettingsError(f"expected two vectors of the same T, got shapes {estimate.shape} and {exact.shape}")
    if not (np.isfinite(estimate).all() and np.isfinite(exact).all()):
        raise SettingsError("credit must be finite; leave failed episodes out instead of comparing them")
    return estimate, exact


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise SettingsError("rank correlations need SciPy: pip install -e '.[train]'") from error
    return stats


def _tied(x: Array) -> Array:
    """The vector over its largest magnitude, rounded so that what differs by rounding is equal."""
    return np.asarray(np.round(x / (np.abs(x).max() or 1.0), _TIE_DECIMALS), np.float64)


def _constant(x: Array) -> bool:
    return bool(x.max() == x.min())


def _pearson(x: Array, y: Array) -> float:
    return 0.0 if _constant(x) or _constant(y) else float(np.corrcoef(x, y)[0, 1])
