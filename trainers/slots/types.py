"""What the slots pass to each other: numpy arrays over the G rollouts of one stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """The G rollouts of one stream with their rewards: what advantages are made from.

    A rollout with a NaN among its rewards, or for its outcome, is failed: both become NaN throughout.

    Raises:
        SettingsError: something has another shape than stated, or is infinite.
    """

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

    def __post_init__(self) -> None:
        rewards = reward_table(self.rewards)
        outcomes = np.array(self.outcomes, np.float64)
        G, T = rewards.shape
        if outcomes.shape != (G,):
            raise SettingsError(f"outcomes must be ({G},), one per rollout, got an array of shape {outcomes.shape}")
        if np.isinf(outcomes).any():
            raise SettingsError("outcomes must be finite, or NaN for a failed rollout; got an infinite one")
        failed = np.isnan(rewards).any(axis=1) | np.isnan(outcomes)
        rewards[failed] = outcomes[failed] = np.nan
        object.__setattr__(self, "rewards", rewards)
        object.__setattr__(self, "outcomes", outcomes)
        for name in ("states", "tags"):
            rows = getattr(self, name)
            if rows is not None and [len(row) for row in rows] != [T] * G:
                raise SettingsError(f"{name} must be {G} rows of {T}, got rows of {[len(row) for row in rows]}")
        if self.trees is not None and len(self.trees) != G:
            raise SettingsError(f"trees must be {G} numbers, one per rollout, got {len(self.trees)}")
        if self.values is not None:
            values = np.array(self.values, np.float64)
            if values.shape != (G, T):
                raise SettingsError(f"values must be ({G}, {T}) like the rewards, got an array of shape {values.shape}")
            if not np.isfinite(values[~failed]).all():
                raise SettingsError("values must be finite wherever the rollout did not fail; did the critic diverge?")
            object.__setattr__(self, "values", values)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(G,): rollouts that leave all statistics."""
        return np.isnan(self.outcomes)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Which samples are compared with each other.

    Raises:
        SettingsError: samples and labels differ in shape.
    """

    samples: Array
    """(G, T), or (G, 1) where a whole rollout is one sample; NaN rows are failed rollouts."""
    labels: NDArray[np.int64]
    """Of the samples' shape: samples with the same label share a baseline."""
    weight: float = 1.0
    """Of this comparison in the sum over the baselines of a stream."""

    def __post_init__(self) -> None:
        if self.samples.shape != self.labels.shape:
            raise SettingsError(
                f"each sample needs one label, got samples {self.samples.shape} and labels {self.labels.shape}"
            )


@dataclass(frozen=True, slots=True)
class AdvantageSettings:
    """Numbers of the group and advantage slots.

    Raises:
        SettingsError: a number outside its range.
    """

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
    lone: bool = False
    """Whether the only rollout of a stream has advantages too. False: they are 0, there is nothing to compare it with."""

    def __post_init__(self) -> None:
        if self.ddof not in (0, 1):
            raise SettingsError(f"ddof must be 0 or 1, got {self.ddof}")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("eps", "alpha", "omega"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")


GroupSlot: TypeAlias = Callable[[Scored, AdvantageSettings], tuple[Baseline, ...]]
"""Which samples of one stream's rollouts share a baseline."""
AdvantageSlot: TypeAlias = Callable[[Sequence[Scored], Sequence[tuple[Baseline, ...]], AdvantageSettings], list[Array]]
"""All streams of an update with their baselines in, one (G, T) array of advantages per stream out."""
MixSlot: TypeAlias = Callable[[Mapping[str, Array], Mapping[str, float], AdvantageSettings], Array]
"""(G, T) reward terms and their weights in, (G, T) rewards out."""


def reward_table(rewards: ArrayLike) -> Array:
    """Rewards as a new (G, T) float64 array.

    Raises:
        SettingsError: rows of different lengths, another number of dimensions, no numbers, or an infinite reward.
    """
    if isinstance(rewards, Sequence):
        lengths = [len(row) for row in rewards if isinstance(row, (Sequence, np.ndarray))]
        if len(set(lengths)) > 1:
            raise SettingsError(
                f"rewards must be (G, T) with the same T for all rollouts of a stream, got lengths {lengths}; "
                "no action ends an episode early, so a shorter row is a rollout of another stream"
            )
    try:
        table = np.array(rewards, np.float64)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"rewards must be (G, T) numbers: {error}") from error
    if table.ndim != 2:
        raise SettingsError(f"rewards must be (G, T), got an array of shape {table.shape}")
    if np.isinf(table).any():
        raise SettingsError("rewards must be finite, or NaN for a failed rollout; got an infinite one")
    return table
