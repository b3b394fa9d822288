"""What the slots pass to each other: numpy arrays over the G rollouts of one stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """The G rollouts of one stream with their rewards: what advantages are made from."""

    rewards: Array
    """(G, T) per-step rewards; a row of NaN is a failed rollout, which leaves all statistics and gets advantage 0."""
    outcomes: Array
    """(G,) r_global; NaN for failed rollouts."""
    states: tuple[tuple[str, ...], ...] | None = None
    """[G][T] digest of stream, step and memory before each step: equal digests are the same state."""
    tags: tuple[tuple[str, ...], ...] | None = None
    """[G][T] what kind of thing each step did, for instance "INSERT" or "SKIP"."""
    trees: tuple[int, ...] | None = None
    """[G] which tree each leaf belongs to: leaves of a tree share their steps up to a branching."""
    values: Array | None = None
    """(G, T) a critic's value of the state before each step."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Which samples are compared with each other."""

    samples: Array
    """(G, T), or (G, 1) where a whole rollout is one sample; NaN rows are failed rollouts."""
    labels: NDArray[np.int64]
    """Of the samples' shape: samples with the same label share a baseline."""
    weight: float = 1.0
    """Of this comparison in the sum over the baselines of a stream."""


@dataclass(frozen=True, slots=True)
class AdvantageSettings:
    """Numbers of the group and advantage slots."""

    ddof: int = 1
    """1 divides by the unbiased standard deviation (verl, TRL), 0 by the population's (DeepSearch, RTT)."""
    eps: float = 1e-6
    """Added to the standard deviation: 1e-6 in verl and GiGPO, 1e-4 in TRL."""
    gamma: float = 1.0
    """Discount per step: returns to go, GAE, GiGPO's step returns."""
    lam: float = 0.95
    """GAE's lambda."""
    alpha: float = 0.5
    """Mixes: weight of the outcome (RLVMR, ReMemR1), or of the turn (MT-GRPO)."""
    omega: float = 1.0
    """Weight of the second baseline: same states (GiGPO), siblings (trees), local re-rollouts (LoGo)."""
