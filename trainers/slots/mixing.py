"""The reward mix: from reward terms to one reward per step.

Every choice is ``f(terms, weights, settings) -> rewards``: (G, T) arrays of one stream's rollouts by name, and what each
counts. A rollout with a NaN in any term failed: it leaves the statistics of all terms and its rewards are NaN.

Raises, all of them:
    SettingsError: no terms, terms of different shapes, ragged or infinite ones, or weights for unknown terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from memenvs.errors import SettingsError, did_you_mean
from trainers.slots.normalise import normalised
from trainers.slots.types import AdvantageSettings, Array, MixSlot, reward_table


def summed(terms: Mapping[str, Array], weights: Mapping[str, float], settings: AdvantageSettings) -> Array:
    """The per-step sum of the terms, to the last bit what the reward wrappers paid.

    The wrappers' terms include their weights, so ``weights`` are checked and not used.

    Source: Fine-Mem, arXiv 2601.08435.
    """
    tables = _tables(terms, weights)
    shape = next(iter(tables.values())).shape
    cells = zip(*(table.ravel().tolist() for table in tables.values()), strict=True)
    return np.array([math.fsum(cell) for cell in cells], np.float64).reshape(shape)


def gdpo(terms: Mapping[str, Array], weights: Mapping[str, float], settings: AdvantageSettings) -> Array:
    """Each term normalised over the rollouts at each step, then the weighted sum.

    A z-score forgets the weight that a wrapper put into its term, so ``weights`` say what each counts; 1 if not named. A term
    that all rollouts share at a step adds 0. GDPO divides the sum by its standard deviation over the batch: that is the
    advantage ``decoupled``.

    Source: GDPO, arXiv 2601.05242; huggingface/trl@f2cd577 ``multi_objective_aggregation="normalize_then_sum"``, where eps is
    1e-4.
    """
    tables = _tables(terms, weights)
    total: Array = np.zeros_like(next(iter(tables.values())))
    labels = np.broadcast_to(np.arange(total.shape[1]), total.shape)
    for name, table in tables.items():
        total += weights.get(name, 1.0) * normalised(table, labels, settings.ddof, settings.eps)
    return total


MIXINGS: Mapping[str, MixSlot] = {"sum": summed, "gdpo": gdpo}
"""Choices of the slot."""


def _tables(terms: Mapping[str, Array], weights: Mapping[str, float]) -> dict[str, Array]:
    """The terms as new arrays, with NaN rows for rollouts that failed in any."""
    if not terms:
        raise SettingsError("mixing needs at least one reward term; does the environment have a reward wrapper?")
    for name, weight in weights.items():
        if name not in terms:
            raise SettingsError(
                f"weight for unknown term {name!r}; terms: {', '.join(terms)}.{did_you_mean(name, terms)}"
            )
        if not math.isfinite(weight):
            raise SettingsError(f"weight of {name!r} must be finite, got {weight}")
    tables = {name: reward_table(values) for name, values in terms.items()}
    shapes = {name: table.shape for name, table in tables.items()}
    if len(set(shapes.values())) > 1:
        raise SettingsError(f"all terms must have one shape (G, T), got {shapes}")
    failed = np.any([np.isnan(table).any(axis=1) for table in tables.values()], axis=0)
    for table in tables.values():
        table[failed] = np.nan
    return tables
