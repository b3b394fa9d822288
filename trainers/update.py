"""From groups of rollouts to the objective of one update: the slots put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.candidate import Decision
from trainers.rollout import Group
from trainers.slots.aggregation import AggregationSettings
from trainers.slots.choices import Slots, resolve
from trainers.slots.ratios import RatioSettings
from trainers.slots.regularisers import RegulariserSettings
from trainers.slots.types import AdvantageSettings, Array, Scored


@dataclass(frozen=True, slots=True)
class Batch:
    """The decisions of one update; a row is a decision, and a decision is one token."""

    decisions: list[Decision]
    """N."""
    old: Tensor
    """(N, 1) float32 log-probabilities when they were drawn."""
    advantages: Tensor
    """(N, 1) float32."""
    streams: Tensor
    """(N,) int64 number of the stream each belongs to."""
    mask: Tensor
    """(N, 1) bool, all True: what is not trained is not in the batch."""


def advantage_settings(slots: Slots) -> AdvantageSettings:
    """The numbers of the group and advantage slots."""
    names = ("ddof", "eps", "gamma", "lam", "alpha", "omega")
    # The published arithmetic compares a lone rollout's steps, too.
    return AdvantageSettings(**{name: getattr(slots, name) for name in names}, lone=slots.advantage == "published")


def scored(group: Group, slots: Slots, values: Array | None = None) -> Scored:
    """A group's rewards, mixed from their terms, with what the group slot may look at.

    Args:
        group: the rollouts.
        slots: filled.
        values: (G, T) of a critic.
    """
    rewards = group.rewards
    if slots.mix != "sum":
        rewards = resolve("mix", str(slots.mix))(group.terms, group.weights, advantage_settings(slots))
    tags = group.tags if slots.group == "tag" else None
    return Scored(rewards, group.r_global, group.states, tags, group.trees, values)


def advantages(groups: Sequence[Group], slots: Slots, values: Sequence[Array] | None = None) -> list[Array]:
    """Advantages (G, T) of each group.

    Args:
        groups: the streams of one update, re-rollouts of single steps among them.
        slots: filled.
        values: per group (G, T) of a critic.
    """
    settings = advantage_settings(slots)
    given = [None] * len(groups) if values is None else values
    tables = [scored(group, slots, own) for group, own in zip(groups, given, strict=True)]
    baselines = [
        resolve("group", _baseline(group, slots))(table, settings) for group, table in zip(groups, tables, strict=True)
    ]
    return resolve("advantage", str(slots.advantage))(tables, baselines, settings)


def _baseline(group: Group, slots: Slots) -> str:
    """Which group choice a group falls under: with "local", re-rollouts are compared locally and whole rollouts as wholes."""
    if slots.group == "local":
        return "local" if group.local else "trajectory"
    return str(slots.group)


def make_batch(groups: Sequence[Group], weights: Sequence[Array], selected: Sequence[NDArray[np.bool_]]) -> Batch:
    """The rows that are trained: of rollouts that did not fail, where the sampler selected them.

    Args:
        groups: the rollouts.
        weights: (G, T) advantages per group.
        selected: (G, T) per group.
    """
    decisions, old, kept, streams = [], [], [], []
    for number, (group, table, chosen) in enumerate(zip(groups, weights, selected, strict=True)):
        for g, row in enumerate(group.decisions):
            for t, decision in enumerate(row):
                # A failed rollout teaches nothing: its decisions are in neither the surrogate nor the entropy.
                if not group.failed[g] and chosen[g, t]:
                    decisions.append(decision)
                    old.append(decision.log_prob)
                    kept.append(table[g, t])
                    streams.append(number)
    return Batch(
        decisions,
        torch.tensor(old, dtype=torch.float32)[:, None],
        torch.tensor(kept, dtype=torch.float32)[:, None],
        torch.tensor(streams, dtype=torch.int64),
        torch.ones(len(decisions), 1, dtype=torch.bool),
    )


class Objective:
    """Ratio, regulariser and aggregation as one function of new log-probabilities, to be maximised.

    Args:
        slots: filled.
    """

    def __init__(self, slots: Slots) -> None:
        self._ratio = resolve("ratio", str(slots.ratio))
        self._regulariser = resolve("regulariser", str(slots.regulariser))
        self._aggregation = resolve("aggregation", str(slots.aggregation))
        self._clip = RatioSettings(float(slots.clip_low or 0.0), float(slots.clip_high or 0.0), slots.cap or "range")
        self._penalty = RegulariserSettings(beta=float(slots.beta or 0.0))

    def __call__(self, new: Tensor, batch: Batch, reference: Tensor | None, proximal: Tensor | None) -> Tensor:
        """The objective.

        Args:
            new: (N, 1) under the present weights.
            batch: the decisions.
            reference: (N, 1) under the reference policy; None where the regulariser reads none.
            proximal: (N, 1) under the weights before this update; None where the ratio reads none.

        Returns:
            A scalar.
        """
        clip = replace(self._clip, proximal=proximal)
        tokens = self._ratio(new, batch.old, batch.advantages, batch.mask, clip)
        tokens = tokens - self._regulariser(new, reference, batch.advantages, batch.mask, self._penalty)
        # One decision is one token, so that is the most that a row can have.
        return self._aggregation(tokens, batch.mask, AggregationSettings(max_tokens=1, prompts=batch.streams))


def check(slots: Slots) -> None:
    """Try the slots on an update without rollouts.

    Args:
        slots: filled.

    Raises:
        SettingsError: one of their numbers is out of range.
    """
    advantages([], slots)
    nothing = make_batch([], [], [])
    Objective(slots)(nothing.old, nothing, nothing.old, nothing.old)
