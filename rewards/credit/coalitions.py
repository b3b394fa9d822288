"""Random coalitions of a game and what they are worth: the data of surrogates and of the linear datamodelling score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import SettingsError, whole
from rewards.credit.shapley import Array, Value


class Coalitions(NamedTuple):
    """Sampled coalitions."""

    masks: NDArray[np.bool_]
    """(n, players): who takes part."""
    values: Array
    """(n,) float64: v of each."""


def sample_coalitions(
    value: Value, players: Sequence[int], samples: int = 64, keep: float = 0.5, seed: int | Sequence[int] = 0
) -> Coalitions:
    """Coalitions in which each player takes part with probability ``keep``, independently, with their values.

    Args:
        value: v; called ``samples`` times.
        players: different players.
        samples: coalitions, at least 2.
        keep: in (0, 1).
        seed: decides the coalitions, not negative; several numbers as `numpy.random.default_rng` takes them.

    Raises:
        SettingsError: ``samples`` or ``keep`` out of range.

    Source: ContextCite, arXiv 2409.00729 (MadryLab/context-cite@0e646f5, context_citer.py: 64 masks, kept with probability .5).
    """
    whole("samples", samples, 2)
    if not 0 < keep < 1:
        raise SettingsError(f"keep must be a probability between 0 and 1, neither of them, got {keep}")
    masks = np.random.default_rng(seed).random((samples, len(players))) < keep
    coalitions = [frozenset(p for p, kept in zip(players, mask, strict=True) if kept) for mask in masks.tolist()]
    return Coalitions(masks, np.array([value(coalition) for coalition in coalitions], np.float64))
