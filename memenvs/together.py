"""One call of the reader for a step of many environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium as gym

from memenvs.env import MemoryEnv
from memenvs.reading import read


def read_together(envs: Sequence[gym.Env[Any, Any]], actions: Sequence[str]) -> None:
    """First half of a step of each environment: its message is carried out, and its questions are read.

    Environments that share a reader, the same object, are read with one call of it. ``step`` with the same message is the second
    half; it may go through wrappers that leave messages as they are.

    Args:
        envs: memenvs environments in mid-episode, each once.
        actions: a message for each.

    Raises:
        EpisodeError: an episode is over or was not begun.
    """
    cores = [cast(MemoryEnv, env.unwrapped) for env in envs]
    asked = [core.prepare(action) for core, action in zip(cores, actions, strict=True)]
    sharing: dict[int, list[int]] = {}
    for place, core in enumerate(cores):
        sharing.setdefault(id(core.reader), []).append(place)
    for places in sharing.values():
        reader = cores[places[0]].reader
        answers, failure = read(reader, [reading for place in places for reading in asked[place]])
        for place in places:
            own, why = None, failure
            if answers is not None:
                own, answers = answers[: len(asked[place])], answers[len(asked[place]) :]
            elif len(places) > 1:
                # One unreadable question must not spoil the other episodes: each is read on its own.
                own, why = read(reader, asked[place])
            cores[place].supply(actions[place], own, why)
