"""The wrappers of a training environment.

* `layers` - all of them.
* `share_reader` - one reader for several environments.
* `follow` - tells those that play on by themselves which policy is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agents.base import View
from agents.candidate import CandidatePolicy
from memenvs.episode import Observation
from memenvs.reading import Reader


def share_reader(envs: Sequence[gym.Env[Any, Any]], reader: Reader) -> None:
    """Let environments of equal settings ask one reader, which then counts for all of them."""
    for env in envs:
        env.unwrapped.reader = reader  # type: ignore[attr-defined]


def follow(envs: Sequence[gym.Env[Any, Any]], policy: CandidatePolicy) -> None:
    """Give the policy to every wrapper that has a method ``follow``: Monte-Carlo credit plays on with it."""

    def plays_on(observations: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[str]:
        views = [View.seen(seen) for seen in observations]
        return [decision.message for decision in policy.act(views, rngs)]

    for env in envs:
        for layer in layers(env):
            if hasattr(layer, "follow"):
                layer.follow(plays_on)


def layers(env: Any) -> Iterator[Any]:
    """All wrappers from ``env`` inwards."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env
