"""Advantages: rewards of a group of rollouts, normalised within the group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError, did_you_mean
from trainers.slots import advantages, groups
from trainers.slots.published import published as as_published
from trainers.slots.types import AdvantageSettings, Scored, reward_table

GROUPS = ("step", "trajectory", "pooled")
"""Which samples share a baseline, as far as rewards alone can tell."""
SCALES = ("std", "none")
"""What centred rewards are divided by."""


def group_advantages(
    rewards: ArrayLike,
    group: str = "step",
    scale: str = "std",
    ddof: int = 1,
    eps: float = 1e-6,
    *,
    published: bool = False,
    states: Sequence[Sequence[str]] | None = None,
    tags: Sequence[Sequence[str]] | None = None,
    trees: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Advantages of the G rollouts of one stream.

    * ``"step"`` (Fine-Mem): A[g, t] = (r[g, t] - mean) / (std + eps) over the G rewards of step t.
    * ``"trajectory"`` (GRPO): the same over the G returns, sums over steps; every step gets its rollout's value.
    * ``"pooled"`` (Mem-alpha): the same over all G x T rewards together.
    * ``"state"`` (GiGPO): returns, plus returns to go from equal ``states``.
    * ``"local"`` (LoGo): as ``"step"``, where each step must have started from one of ``states`` in all rollouts.
    * ``"tree"`` (Tree-GRPO): returns of all leaves, plus those of the same of ``trees``.
    * ``"tag"`` (RLVMR): rewards of the steps with the same of ``tags``.

    These are the group slot (`trainers.slots.groups`) with two choices of the advantage slot (`trainers.slots.advantages`); their
    other numbers (discounts, weights) are at their defaults here.

    Args:
        rewards: (G, T) per-step rewards. A row with a NaN is a failed rollout: it leaves the statistics and gets 0.
        group: one of the above; the first three, `GROUPS`, need nothing but rewards.
        scale: ``"std"``, or ``"none"`` to centre only (Dr. GRPO).
        ddof: 1 for the unbiased standard deviation (verl), 0 for the population's.
        eps: added to the standard deviation.
        published: compute in float32 as the published code does, where a reward without a comparison stays as it is (divided by
            1 + eps) and equal rewards may leave a rounding error; needs torch, and ddof 1.
        states: [G][T] digest of the state before each step; ``"state"`` and ``"local"`` need it.
        tags: [G][T] kind of each step; ``"tag"`` needs it.
        trees: [G] tree of each leaf; ``"tree"`` needs it.

    Returns:
        (G, T) float64. Where a step, or the group, has fewer than two valid rollouts or equal rewards, 0 (but see ``published``).

    Raises:
        SettingsError: an unknown name, rewards that are not (G, T), an infinite reward, or a group without what it needs.
        MemenvsError: ``"local"`` with different states in one step.

    Source: verl ``core_algos.compute_grpo_outcome_advantage`` (volcengine/verl@b178a3c) for the formula, ddof and eps;
    a singleton gets 0 here, not its raw reward, because a raw reward has no baseline; ``published`` gives the raw one.
    """
    for name, value, known in (("group", group, tuple(groups.GROUPS)), ("scale", scale, SCALES)):
        if value not in known:
            raise SettingsError(
                f"unknown {name} {value!r}; known: {', '.join(known)}.{did_you_mean(str(value), known)}"
            )
    settings = AdvantageSettings(ddof=ddof, eps=eps, lone=published)
    table = reward_table(rewards)
    scored = Scored(
        rewards=table,
        outcomes=table.sum(axis=1),
        states=None if states is None else tuple(tuple(row) for row in states),
        tags=None if tags is None else tuple(tuple(row) for row in tags),
        trees=None if trees is None else tuple(trees),
    )
    baselines = [groups.GROUPS[group](scored, settings)]
    if published:
        if ddof != 1:
            raise SettingsError(f"published advantages have the unbiased standard deviation, ddof 1; got {ddof}")
        return advantages.compared(
            [scored], baselines, lambda b: as_published(b.samples, b.labels, eps, scale == "std")
        )[0]
    compare = advantages.zscore if scale == "std" else advantages.centred
    return compare([scored], baselines, settings)[0]
