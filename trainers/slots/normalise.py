"""Samples against the others that share their label. Any shape in, the same shape out.

A NaN sample is absent: it leaves the statistics and stays NaN. A sample that is alone under its label, or equal to all
others there, is worth exactly 0: there is nothing to compare it with. (verl's GRPO hands a lone sample on unchanged,
which is a reward without a baseline; GiGPO's step groups give 0.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.slots.types import Array

WHITENING_EPS = 1e-8
"""Added to the variance in `whitened`, as verl's masked_whiten does."""


def centred(samples: Array, labels: NDArray[np.int64]) -> Array:
    """Samples minus the mean of their label: x - mean.

    Args:
        samples: any shape; NaN is absent.
        labels: of the same shape.

    Source: Dr. GRPO's advantage (sail-sg/understand-r1-zero@dfca49d); GiGPO's "mean_norm".
    """
    return _placed(samples, _deviations(samples, labels).values)


def normalised(samples: Array, labels: NDArray[np.int64], ddof: int = 1, eps: float = 1e-6) -> Array:
    """Z-scores within each label: (x - mean) / (std + eps).

    Args:
        samples: any shape; NaN is absent.
        labels: of the same shape.
        ddof: 1 for the unbiased standard deviation, 0 for the population's.
        eps: added to the standard deviation.

    Source: verl ``core_algos.compute_grpo_outcome_advantage`` (volcengine/verl@b178a3c).
    """
    values, owner, counts = _deviations(samples, labels)
    variance = np.bincount(owner, values**2) / np.maximum(counts - ddof, 1)
    scale = (np.sqrt(variance) + eps)[owner]
    # Without eps, a label of equal samples would be 0 / 0.
    return _placed(samples, np.divide(values, scale, out=np.zeros_like(values), where=scale > 0))


def left_out(samples: Array, labels: NDArray[np.int64]) -> Array:
    """Samples minus the mean of the others of their label, which is K / (K - 1) (x - mean of all K).

    Args:
        samples: any shape; NaN is absent.
        labels: of the same shape.

    Source: verl ``core_algos.compute_rloo_outcome_advantage``; apple/ml-loop@6ade7b9 ``phi_agents/rl/train.py``.
    """
    values, owner, counts = _deviations(samples, labels)
    return _placed(samples, values * (counts / np.maximum(counts - 1, 1))[owner])


def whitened(samples: Array) -> Array:
    """All samples together: (x - mean) / sqrt(unbiased variance + 1e-8).

    Args:
        samples: any shape; NaN is absent.

    Source: verl ``torch_functional.masked_whiten``.
    """
    values = _deviations(samples, np.zeros(samples.shape, np.int64)).values
    variance = np.sum(values**2) / max(values.size - 1, 1)
    return _placed(samples, values / np.sqrt(variance + WHITENING_EPS))


class _Deviations(NamedTuple):
    """Of the samples that are present, in the order of their array."""

    values: Array
    """x - mean of the label."""
    owner: NDArray[np.intp]
    """Which label, from 0."""
    counts: NDArray[np.intp]
    """Samples per label."""


def _deviations(samples: Array, labels: NDArray[np.int64]) -> _Deviations:
    present = ~np.isnan(samples)
    x = samples[present]
    _, owner, counts = np.unique(labels[present], return_inverse=True, return_counts=True)
    lowest, highest = np.full(counts.shape, np.inf), np.full(counts.shape, -np.inf)
    np.minimum.at(lowest, owner, x)
    np.maximum.at(highest, owner, x)
    means = np.bincount(owner, x) / counts
    # Equal samples leave rounding noise of the mean, which a small std would blow up.
    return _Deviations(np.where((lowest == highest)[owner], 0.0, x - means[owner]), owner, counts)


def _placed(samples: Array, values: Array) -> Array:
    """``values`` where samples are present, NaN elsewhere."""
    out = np.full(samples.shape, np.nan)
    out[~np.isnan(samples)] = values
    return out
