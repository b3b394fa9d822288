"""RUDDER / SPA: the return redistributed by the differences of a learned prediction.

* `ReturnPredictor` - predicts the return from the steps so far.
* `contributions`, `redistribute` - from predictions to credit.
* `redistribution` - the estimator.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import DataError, SettingsError
from memenvs.record import EpisodeRecord
from rewards.credit.features import STEP_FEATURES, step_features
from rewards.terms import Terms

Array = NDArray[np.float64]
FORMAT = 1
"""Version of the file's layout and of the features."""


@dataclass(frozen=True)
class ReturnPredictor:
    """R ~ b + sum_t w . x_t, a ridge regression on the summed features of the steps.

    The form is that of SPA-RL (WangHanLinHenry/SPA-RL-Agent@ed20087), contributions of steps that sum to the return and are fitted
    to it by squares, with a linear model in the place of its network.
    """

    weights: tuple[float, ...]
    """w, one per name in `rewards.credit.features.STEP_FEATURES`."""
    intercept: float
    """b."""

    @classmethod
    def fit(cls, records: Sequence[EpisodeRecord], l2: float = 10.0) -> ReturnPredictor:
        """Minimise sum (R - b - w . X)^2 + l2 |w s|^2, X the summed features of an episode, s their standard deviations (ddof 0).

        Args:
            records: finished episodes; failed ones are left out.
            l2: weight of the penalty, above 0. Few episodes need more of it than many.

        Raises:
            DataError: fewer than two records are left, or one contradicts itself.
            SettingsError: ``l2`` is not above 0.
        """
        if not l2 > 0:
            raise SettingsError(f"l2 must be above 0, got {l2}")
        kept = [record for record in records if record.failure is None and math.isfinite(record.r_global)]
        if len(kept) < 2:
            failed = len(records) - len(kept)
            raise DataError(
                f"a predictor needs at least 2 finished episodes, got {len(kept)}; {failed} failed and were left out"
            )
        X = np.array([step_features(record).sum(axis=0) for record in kept])
        R = np.array([record.r_global for record in kept])
        deviation = X.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        Z = (X - X.mean(axis=0)) / scale
        weights = np.linalg.solve(Z.T @ Z + l2 * np.eye(Z.shape[1]), Z.T @ (R - R.mean())) / scale
        return cls(tuple(weights.tolist()), float(R.mean() - weights @ X.mean(axis=0)))

    def prefixes(self, record: EpisodeRecord) -> Array:
        """What the return looks like after each step, (T,) float64: (t / T) b + sum_{s <= t} w . x_s, t from 1 to T.

        b says nothing about any step, so all of them share it.
        """
        return np.cumsum(step_features(record) @ np.array(self.weights) + self.intercept / record.T)

    def save(self, path: str | Path) -> None:
        """Write one JSON object. `load` gives an equal predictor."""
        weights = dict(zip(STEP_FEATURES, self.weights, strict=True))
        data = {"format": FORMAT, "intercept": self.intercept, "weights": weights}
        Path(path).write_text(json.dumps(data, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> ReturnPredictor:
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, or it holds something else or another version.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read a predictor from {path}: {error}; ReturnPredictor.save writes one") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else type(data).__name__
            raise DataError(
                f'{path}: expected a predictor with "format": {FORMAT}, got {found!r}; fit and save it again'
            )
        weights = data.get("weights")
        if not isinstance(weights, dict) or tuple(weights) != STEP_FEATURES:
            raise DataError(f'{path}: "weights" must name the {len(STEP_FEATURES)} features in their order')
        numbers = [data.get("intercept"), *weights.values()]
        if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
            raise DataError(f"{path}: intercept and weights must be finite numbers")
        return cls(tuple(map(float, weights.values())), float(data["intercept"]))


def contributions(prefix_predictions: ArrayLike) -> Array:
    """c_t = R_t - R_{t-1} with R_0 = 0, (T,) float64 from the (T,) predictions after each step.

    Source: RUDDER, arXiv 1806.07857.
    """
    return np.diff(np.asarray(prefix_predictions, np.float64), prepend=0.0)


def redistribute(prefix_predictions: ArrayLike, actual_return: float) -> Terms:
    """The contributions, and what the last prediction misses of the return spread evenly.

    Args:
        prefix_predictions: (T,) predicted return after each step.
        actual_return: what the episode earned; NaN makes all credit NaN.

    Returns:
        T floats that sum to ``actual_return``, to rounding.

    Raises:
        SettingsError: the predictions are not (T,) finite numbers.

    Source: RUDDER, arXiv 1806.07857 (return decomposition, even spread of the prediction error).
    """
    predicted = np.asarray(prefix_predictions, np.float64)
    if predicted.ndim != 1 or not predicted.size or not np.isfinite(predicted).all():
        raise SettingsError(f"predictions must be (T,) finite numbers, got {predicted}")
    return tuple((contributions(predicted) + (actual_return - predicted[-1]) / predicted.size).tolist())


def redistribution(record: EpisodeRecord, predictor: ReturnPredictor) -> Terms:
    """r_global redistributed by a learned predictor. Costs no reading.

    Args:
        record: a finished episode.
        predictor: fitted on other episodes, best of the same kind of stream and agent.

    Returns:
        T floats of either sign that sum to r_global; all NaN where a question failed.

    Raises:
        SettingsError: ``predictor`` is none.
        DataError: the record contradicts itself.
    """
    if not isinstance(predictor, ReturnPredictor):
        raise SettingsError(
            f"expected a ReturnPredictor, got {predictor!r}; ReturnPredictor.fit(records) and ReturnPredictor.load(path) give one"
        )
    return redistribute(predictor.prefixes(record), record.r_global)
