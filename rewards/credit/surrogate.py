"""LASSO surrogate: a sparse linear model of the step game, whose weights are the credit.

* `surrogate_weights` - the fit.
* `lasso` - the estimator.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from memenvs.errors import SettingsError
from memenvs.reading import Reader
from memenvs.record import EpisodeRecord
from rewards.credit.coalitions import sample_coalitions
from rewards.credit.replay import StepGame
from rewards.credit.shapley import Array
from rewards.terms import Terms


def surrogate_weights(masks: ArrayLike, values: ArrayLike, alpha: float = 0.01) -> tuple[Array, float]:
    """The linear model v(S) = b + sum_{i in S} w_i by LASSO on standardised masks, weights scaled back to the masks.

    It minimises (1 / 2n) |v - b - Z u|^2 + alpha |u|_1, with Z the masks' columns less their mean over their standard deviation
    (ddof 0), and w = u / deviation. At keep = 1/2 a weight below about 2 alpha comes out as 0 and the others lose that much.

    Args:
        masks: (n, players) of bool.
        values: (n,) v of each coalition.
        alpha: weight of the penalty, above 0.

    Returns:
        w (players,) float64 and b. A player that is in all coalitions or in none gets 0.

    Raises:
        SettingsError: ``alpha`` is not above 0, or scikit-learn is missing.

    Source: ContextCite, arXiv 2409.00729 (MadryLab/context-cite@0e646f5, solver.py: alpha .01); there v is a logit, here a score.
    """
    if not alpha > 0:
        raise SettingsError(f"alpha must be above 0, got {alpha}")
    try:
        from sklearn.linear_model import Lasso
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise SettingsError("the LASSO surrogate needs scikit-learn: pip install -e '.[train]'") from error
    scaler = StandardScaler().fit(masks)
    model = Lasso(alpha=alpha).fit(scaler.transform(masks), values)
    weights: Array = model.coef_ / scaler.scale_
    return weights, float(model.intercept_ - weights @ scaler.mean_)


def lasso(
    record: EpisodeRecord, reader: Reader, masks: int = 64, keep: float = 0.5, alpha: float = 0.01, seed: int = 0
) -> Terms:
    """Credit as the weights of a LASSO surrogate of the step game. Costs up to ``masks`` times n readings.

    Args:
        record: a finished episode.
        reader: who answers.
        masks: random coalitions of steps.
        keep: probability of a step to take part.
        alpha: weight of the penalty.
        seed: decides the coalitions.

    Returns:
        T floats of either sign; a step without a write gets 0. They need not sum to v(all) - v(empty).

    Raises:
        SettingsError: a value out of range.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings.

    Source: see `surrogate_weights` and `rewards.credit.coalitions.sample_coalitions`; steps in the place of sources are ours.
    """
    game = StepGame(record, reader)
    credit = [0.0] * record.T
    if game.players:
        # The 0 keeps these coalitions apart from those that `linear_datamodelling_score` draws for the same seed.
        fitted = surrogate_weights(*sample_coalitions(game.value, game.players, masks, keep, (seed, 0)), alpha)
        for player, weight in zip(game.players, fitted[0].tolist(), strict=True):
            credit[player] = weight
    return tuple(credit)
