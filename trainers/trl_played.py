"""What the processes of `trainers.trl_adapter` tell each other about their rollouts, and what all of them work out from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from memenvs.errors import MemenvsError
from trainers.slots.choices import Slots, resolve
from trainers.slots.types import Scored
from trainers.trl_batch import token_weights
from trainers.update import advantage_settings

PerStep = dict[int, tuple[float, ...]]
"""A number per step of each rollout, by the rollout's own number."""


@dataclass(frozen=True, slots=True)
class Played:
    """One rollout, without what training does not read."""

    stream: int
    """Seed of the stream."""
    number: int
    """Of the rollout among those of all processes; G in a row are a group."""
    rewards: tuple[float, ...]
    """Per step; NaN in each where a reading failed."""
    outcome: float
    """r_global; NaN where a reading failed."""
    states: tuple[str, ...]
    """Digest before each step."""
    tokens: tuple[int, ...]
    """Length of each step's message."""

    @property
    def failed(self) -> bool:
        """Whether a reading failed; the rollout then teaches nothing."""
        return bool(np.isnan(self.outcome))


def advantages(played: Sequence[Played], slots: Slots, size: int) -> PerStep:
    """Advantages by the group and advantage slots.

    Args:
        played: the rollouts of all processes.
        slots: filled.
        size: G; so many rollouts in a row are a group.

    Raises:
        MemenvsError: the rollouts of a group did not play one stream.
    """
    groups: dict[int, list[Played]] = {}
    for one in sorted(played, key=lambda one: one.number):
        groups.setdefault(one.number // size, []).append(one)
    if any(len({(one.stream, len(one.rewards)) for one in group}) > 1 for group in groups.values()):
        raise MemenvsError(
            "the rollouts of a group must share one stream and its length; do environments ignore their seed?"
        )
    scored = [
        Scored(
            np.array([one.rewards for one in group]),
            np.array([one.outcome for one in group]),
            tuple(one.states for one in group),
        )
        for group in groups.values()
    ]
    numbers = advantage_settings(slots)
    baselines = [resolve("group", str(slots.group))(table, numbers) for table in scored]
    tables = resolve("advantage", str(slots.advantage))(scored, baselines, numbers)
    return {
        one.number: tuple(map(float, row))
        for group, table in zip(groups.values(), tables, strict=True)
        for one, row in zip(group, table, strict=True)
    }


def weights(played: Sequence[Played], slots: Slots, size: int, max_tokens: int) -> PerStep:
    """What a token of each step counts in the objective of the batch, by the aggregation slot; failed rollouts count nowhere.

    Args:
        played: the rollouts of all processes.
        slots: filled.
        size: G; so many rollouts in a row are a group.
        max_tokens: of a message.
    """
    steps = [(one.number, tokens) for one in played if not one.failed for tokens in one.tokens]
    lengths, groups = [tokens for _, tokens in steps], [number // size for number, _ in steps]
    table: PerStep = {}
    found = token_weights(lengths, groups, str(slots.aggregation), max_tokens)
    for (number, _), weight in zip(steps, found, strict=True):
        table[number] = (*table.get(number, ()), weight)
    return table


def measures(played: Sequence[Played]) -> dict[str, float]:
    """What is logged of the rollouts of all processes.

    Returns:
        ``failures`` and ``completions/mean_length`` (tokens), and over rollouts that did not fail the means ``r_global`` and
        ``step_reward``, which are left out if there are none.
    """
    whole = [one for one in played if not one.failed]
    told = {
        "failures": float(len(played) - len(whole)),
        "completions/mean_length": float(np.mean([n for one in played for n in one.tokens])),
    }
    if whole:
        told["r_global"] = float(np.mean([one.outcome for one in whole]))
        told["step_reward"] = float(np.mean([np.mean(one.rewards) for one in whole]))
    return told


def rewards_of(env: gym.Env[Any, Any], info: Mapping[str, Any], T: int) -> tuple[tuple[float, ...], float]:
    """Per-step rewards and r_global of a finished episode of T steps, NaN where a reading failed.

    Raises:
        MemenvsError: the episode did not give one reward per step.
    """
    record = env.unwrapped.record  # type: ignore[attr-defined]
    rewards = tuple(map(float, info.get("step_rewards", ())))
    if len(rewards) != T:
        raise MemenvsError(f"expected a reward wrapper that tells {T} per-step rewards, got {len(rewards)}")
    if record.failure is not None or np.isnan(rewards).any():
        return (float("nan"),) * T, float("nan")
    return rewards, float(record.r_global)
