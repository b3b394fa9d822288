"""Playing several streams side by side with an agent that decides for many at once: a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from agents.base import View
from memenvs.record import EpisodeRecord
from trainers.evaluation import EpisodeScore


class ManyAtOnce(Protocol):
    """An agent that decides for several episodes with one call."""

    together: int
    """Most episodes that it is worth to play side by side."""

    def messages(self, views: Sequence[View], rngs: Sequence[np.random.Generator]) -> list[str]:
        """One message per view.

        Raises:
            AgentError: one of them could not be had.
        """
        ...


def evaluate_together(
    make: Callable[[], gym.Env[Any, Any]],
    agent: ManyAtOnce,
    streams: Sequence[int],
    seed: int = 0,
    keep: Callable[[EpisodeRecord], None] | None = None,
) -> list[EpisodeScore]:
    """Play streams in lock-step, as many at a time as the agent likes; each as `trainers.evaluation.evaluate` plays it.

    Args:
        make: an environment over the held-out split; called once per stream side by side.
        agent: who manages the memories.
        streams: indices in the environment's dataset.
        seed: of the agent's draws.
        keep: called with each record, in order.

    Returns:
        One score per stream, in order.

    Raises:
        AgentError: the agent could not decide.
    """
    envs = [make() for _ in range(min(agent.together, len(streams)))]
    scores = []
    for first in range(0, len(streams), max(1, len(envs))):
        batch = list(zip(envs, streams[first : first + len(envs)], strict=False))
        views = [View.of(*env.reset(seed=seed, options={"stream": index})) for env, index in batch]
        rngs = [np.random.default_rng(seed * 1_000_003 + index) for _, index in batch]
        active = list(range(len(batch)))
        while active:  # streams differ in length: those that are over leave the batch
            messages = agent.messages([views[i] for i in active], [rngs[i] for i in active])
            going = []
            for i, message in zip(active, messages, strict=True):
                observation, _, done, _, info = batch[i][0].step(message)
                views[i] = View.of(observation, info)
                going += [] if done else [i]
            active = going
        records = [env.unwrapped.record for env, _ in batch]  # type: ignore[attr-defined]
        for record in records:
            if keep is not None:
                keep(record)
            scores.append(EpisodeScore.of(record))
    return scores
