"""GRPO's advantages in the published code's own arithmetic: float32, in torch's order of summation.

The slot's "zscore" and "centred" compute in float64 and say that a sample without a comparison is worth 0. The published function
does neither: equal rewards can leave a rounding error of the mean, divided by eps, and a sample alone keeps its raw reward. With
this file a published number can be had to the last bit; to train, choose the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import SettingsError
from trainers.slots.types import Array


def published(samples: Array, labels: NDArray[np.int64], eps: float = 1e-6, scale: bool = True) -> Array:
    """(x - mean) / (std + eps) within each label, with the unbiased std; a sample alone has mean 0 and std 1.

    Args:
        samples: any shape; NaN is absent and stays NaN.
        labels: of the same shape.
        eps: added to the standard deviation.
        scale: False to centre only.

    Raises:
        SettingsError: torch is not installed.

    Source: verl ``core_algos.compute_grpo_outcome_advantage`` in wangyu-ustc/Mem-alpha@9c0e1f6, which is volcengine/verl's.
    """
    try:
        import torch
    except ImportError as error:
        raise SettingsError("the published advantages are computed with torch: pip install -e '.[train]'") from error
    out = np.full(samples.shape, np.nan)
    for label in np.unique(labels[~np.isnan(samples)]):
        own = (labels == label) & ~np.isnan(samples)
        x = torch.tensor(samples[own], dtype=torch.float32)
        alone = len(x) == 1
        mean = torch.tensor(0.0) if alone else x.mean()
        deviation = torch.tensor(1.0) if alone else x[None].std()
        out[own] = ((x - mean) / (deviation + eps) if scale else x - mean).double().numpy()
    return out
