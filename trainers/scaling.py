"""How a run scales with its compute (ScaleRL) and with its number of rollouts (BroRL)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError, whole

Array = NDArray[np.float64]

_REACH = math.log(1000.0)
"""How far beyond the points a midpoint is sought, in log compute."""


@dataclass(frozen=True)
class ScalingCurve:
    """ScaleRL's curve of reward over compute: R0 + (A - R0) / (1 + (C_mid / C)^B)."""

    R0: float
    """Reward before training."""
    A: float
    """Reward that training tends to."""
    B: float
    """How steeply it rises; above 0."""
    C_mid: float
    """Compute at which half of A - R0 is reached; above 0."""


def sigmoid(compute: ArrayLike, curve: ScalingCurve) -> Array:
    """Reward that the curve gives at each compute.

    Args:
        compute: any shape, above 0, in the unit of ``curve.C_mid`` (updates, episodes, seconds).
        curve: the four numbers.

    Returns:
        Of the compute's shape.

    Raises:
        SettingsError: a compute that is not above 0 and finite.

    Source: ScaleRL, arXiv 2510.13786, equation 1.
    """
    # The same in log compute, where no power overflows: 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2.
    return _logistic(np.log(_positive(compute)), curve.R0, curve.A, math.log(curve.C_mid), curve.B)


def fit_sigmoid(compute: ArrayLike, reward: ArrayLike, R0: float | None = None) -> ScalingCurve:
    """The curve that is nearest to the points in squares.

    Warns (UserWarning) if no point lies beyond the fitted C_mid: half the rise is then extrapolated, and A, B and C_mid trade off
    against each other, so the fit says next to nothing about A.

    Args:
        compute: (n,) above 0.
        reward: (n,) mean reward at each.
        R0: reward before training, if it was measured; fitted otherwise.

    Returns:
        B is sought in [.05, 20] and C_mid within a factor of 1000 of the points.

    Raises:
        SettingsError: fewer points than numbers to fit, rewards that are not finite or all equal, or no fit found.

    Source: ScaleRL, arXiv 2510.13786; noise between runs there is about .02 of reward.
    """
    from scipy.optimize import curve_fit

    x, y = np.log(_positive(compute)), np.asarray(reward, np.float64)
    unknown = 4 if R0 is None else 3
    if x.ndim != 1 or x.shape != y.shape or len(np.unique(x)) < unknown:
        raise SettingsError(
            f"compute and reward must be (n,) with at least {unknown} different computes, got {x.shape} and {y.shape}"
        )
    if not np.isfinite(y).all() or np.ptp(y) == 0:
        raise SettingsError("rewards must be finite and not all equal: a level line has no midpoint")

    def model(x: Array, A: float, middle: float, B: float, start: float = R0 if R0 is not None else 0.0) -> Array:
        return _logistic(x, start, A, middle, B)

    first, last = np.argmin(x), np.argmax(x)
    guess, low, high = [y[last], x.mean(), 1.0], [-np.inf, x.min() - _REACH, 0.05], [np.inf, x.max() + _REACH, 20.0]
    if R0 is None:
        guess, low, high = [*guess, y[first]], [*low, -np.inf], [*high, np.inf]
    try:
        found, _ = curve_fit(model, x, y, p0=guess, bounds=(low, high), max_nfev=10_000)
    except RuntimeError as error:
        raise SettingsError(f"no scaling curve fits these {len(x)} points: {error}") from error
    A, middle, B, *start = found.tolist()
    curve = ScalingCurve(R0=start[0] if R0 is None else R0, A=A, B=B, C_mid=math.exp(middle))
    if x.max() <= middle:
        warnings.warn(
            f"the fit is not identified: its midpoint C_mid = {curve.C_mid:.3g} lies beyond the last point at "
            f"{math.exp(x.max()):.3g}; train longer before reading A, B or C_mid",
            stacklevel=2,
        )
    return curve


def learning_rate_for(batch: float, base_rate: float, base_batch: float) -> float:
    """Step size for another batch size: base_rate sqrt(batch / base_batch).

    Args:
        batch: samples per update, streams times rollouts.
        base_rate: step size that suits ``base_batch``.
        base_batch: samples per update that it was found with.

    Raises:
        SettingsError: a number that is not above 0.

    Source: BroRL, arXiv 2510.01180 (512 rollouts in place of 16).
    """
    for name, value in (("batch", batch), ("base_rate", base_rate), ("base_batch", base_batch)):
        if not (math.isfinite(value) and value > 0):
            raise SettingsError(f"{name} must be a finite number above 0, got {value}")
    return base_rate * math.sqrt(batch / base_batch)


def unsampled_second_moment(probabilities: ArrayLike, rollouts: int) -> Array:
    """What each choice is expected to add to the unsampled second moment: p² (1 - p)^N, its p² if none of N rollouts drew it.

    Args:
        probabilities: (K,) of the choices.
        rollouts: N.

    Returns:
        (K,); the sum over the right, or the wrong, choices is the expected U of `positive_mass_change`.

    Source: BroRL, arXiv 2510.01180, Lemma 2.
    """
    whole("rollouts", rollouts, 1)
    p = _probabilities(probabilities)
    return p**2 * (1 - p) ** rollouts


def positive_mass_change(
    probabilities: ArrayLike,
    correct: ArrayLike,
    sampled: ArrayLike,
    learning_rate: float,
    rollouts: int,
    right: float = 1.0,
    wrong: float = -1.0,
) -> float:
    """How much probability the right choices gain, to first order, from one update of a softmax policy's logits.

    (eta / N) [(R_c - S) Q_neg A + (S - R_w) Q_pos B + S (Q_pos U_neg - Q_neg U_pos)], where Q is the mass of right (pos) and wrong
    (neg) choices, A and B the sums of p² over the sampled right and wrong ones, U_pos and U_neg those over the unsampled, and
    S = R_c P_pos + R_w P_neg with the sampled masses P. The first two terms are never negative if R_w <= S <= R_c; the last one is
    what missing choices can spoil, and more rollouts make it vanish.

    Args:
        probabilities: (K,) of the choices, summing to 1.
        correct: (K,) bool.
        sampled: (K,) bool, the choices that any rollout drew.
        learning_rate: eta.
        rollouts: N.
        right: reward R_c of a right choice.
        wrong: reward R_w of a wrong one.

    Raises:
        SettingsError: shapes differ, the probabilities are none, or there is no rollout.

    Source: BroRL, arXiv 2510.01180, Theorem 1.
    """
    whole("rollouts", rollouts, 1)
    p = _probabilities(probabilities)
    good, drawn = np.asarray(correct, bool), np.asarray(sampled, bool)
    if not p.shape == good.shape == drawn.shape or abs(p.sum() - 1) > 1e-6:
        raise SettingsError(
            f"probabilities, correct and sampled must be (K,) and the first sum to 1, got {p.shape}, {good.shape}, "
            f"{drawn.shape} and {p.sum():.6g}"
        )
    positive, negative = p[good].sum(), p[~good].sum()
    centre = right * p[good & drawn].sum() + wrong * p[~good & drawn].sum()
    seen_good, seen_bad, missed_good, missed_bad = (
        (p[choices] ** 2).sum() for choices in (good & drawn, ~good & drawn, good & ~drawn, ~good & ~drawn)
    )
    change = (right - centre) * negative * seen_good + (centre - wrong) * positive * seen_bad
    change += centre * (positive * missed_bad - negative * missed_good)
    return float(learning_rate / rollouts * change)


def _logistic(x: Array, R0: float, A: float, middle: float, B: float) -> Array:
    return R0 + (A - R0) * (1 + np.tanh(B * (x - middle) / 2)) / 2


def _positive(compute: ArrayLike) -> Array:
    values = np.asarray(compute, np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise SettingsError("compute must be above 0 and finite; give the reward before training as R0")
    return values


def _probabilities(values: ArrayLike) -> Array:
    p = np.asarray(values, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise SettingsError("probabilities must be (K,) in [0, 1]")
    return p
