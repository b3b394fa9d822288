"""Advantages: rewards of a group of rollouts, normalised within the group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError, did_you_mean

GROUPS = ("step", "trajectory", "pooled")
"""Which samples share a baseline."""
SCALES = ("std", "none")
"""What centred rewards are divided by."""


def group_advantages(
    rewards: ArrayLike, group: str = "step", scale: str = "std", ddof: int = 1, eps: float = 1e-6
) -> NDArray[np.float64]:
    """Advantages of the G rollouts of one stream.

    * ``"step"`` (Fine-Mem): A[g, t] = (r[g, t] - mean) / (std + eps) over the G rewards of step t.
    * ``"trajectory"`` (GRPO): the same over the G returns, sums over steps; every step gets its rollout's value.
    * ``"pooled"`` (Mem-alpha): the same over all G x T rewards together.

    Args:
        rewards: (G, T) per-step rewards. A row with a NaN is a failed rollout: it leaves the statistics and gets 0.
        group: one of `GROUPS`.
        scale: ``"std"``, or ``"none"`` to centre only (Dr. GRPO).
        ddof: 1 for the unbiased standard deviation (verl), 0 for the population's.
        eps: added to the standard deviation.

    Returns:
        (G, T) float64. Where a step, or the group, has fewer than two valid rollouts or equal rewards, 0.

    Raises:
        SettingsError: an unknown name, rewards that are not (G, T), or an infinite reward.

    Source: verl ``core_algos.compute_grpo_outcome_advantage`` (volcengine/verl@b178a3c) for the formula, ddof and eps;
    a singleton gets 0 here, not its raw reward, because a raw reward has no baseline.
    """
    for name, value, known in (("group", group, GROUPS), ("scale", scale, SCALES)):
        if value not in known:
            raise SettingsError(
                f"unknown {name} {value!r}; known: {', '.join(known)}.{did_you_mean(str(value), known)}"
            )
    if ddof not in (0, 1):
        raise SettingsError(f"ddof must be 0 or 1, got {ddof}")
    table = _table(rewards)
    valid = ~np.isnan(table).any(axis=1)
    advantages = np.zeros_like(table)
    if valid.sum() < 2:
        return advantages
    kept = table[valid]
    samples = {"step": kept, "trajectory": kept.sum(axis=1, keepdims=True), "pooled": kept.reshape(-1, 1)}[group]
    centred = samples - samples.mean(axis=0)
    if scale == "std":
        centred = centred / (samples.std(axis=0, ddof=ddof) + eps)
    # Equal rewards leave rounding noise of the mean, which a small std would blow up.
    centred = np.where(samples.max(axis=0) == samples.min(axis=0), 0.0, centred)
    advantages[valid] = centred.reshape(kept.shape) if group == "pooled" else centred
    return advantages


def _table(rewards: ArrayLike) -> NDArray[np.float64]:
    if isinstance(rewards, Sequence):
        lengths = [len(row) for row in rewards if isinstance(row, (Sequence, np.ndarray))]
        if len(set(lengths)) > 1:
            raise SettingsError(
                f"rewards must be (G, T) with the same T for all rollouts of a stream, got lengths {lengths}; "
                "no action ends an episode early, so a shorter row is a rollout of another stream"
            )
    table = np.array(rewards, np.float64)
    if table.ndim != 2:
        raise SettingsError(f"rewards must be (G, T), got an array of shape {table.shape}")
    if np.isinf(table).any():
        raise SettingsError("rewards must be finite, or NaN for a failed rollout; got an infinite one")
    return table
