"""The parts of the measurement, each of which is worked out alone: one episode, or one group of rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import gymnasium as gym

import memenvs
from trainers.reward_bench.settings import BenchSettings

BEHAVIOURS = {"clean": 1.0, "mixed": 0.5, "messy": 0.25}
"""Name -> share of steps at which the scripted agent acts; at the others the careless one does (`agents.blended`)."""
POLICY = "policy"
"""Behaviour of a cell that is played by a trained policy."""
MIXED_ENV = "FineMem-Memalpha-v0"
"""The id whose streams ask questions of every family."""


Kind = Literal["attribution", "sweep", "advantage"]


@dataclass(frozen=True)
class Cell:
    """One part."""

    kind: Kind
    """What is measured on it: credit of an episode against exact Shapley values, the same at another k, or the credit of a group's
    rollouts against Monte-Carlo advantages."""
    data: str
    """"builtin" or the path of real streams."""
    env_id: str
    """Registered id, which decides the question family of builtin streams."""
    family: str
    """Its family; "real" for real streams."""
    behaviour: str
    """Who plays: in `BEHAVIOURS`, or `POLICY`."""
    k: int
    """Items retrieved per question."""
    stream: int
    """Index in the test split."""

    @property
    def key(self) -> str:
        """Unique within a measurement."""
        return f"{self.kind} {self.data} {self.family} {self.behaviour} k={self.k} stream={self.stream}"


def families() -> dict[str, str]:
    """Registered text environment over builtin streams -> question family.

    With a flat memory alone: estimators that leave items out need one ranked list of them.
    """
    return {
        info.id: info.family
        for info in memenvs.envs()
        if info.data == "builtin" and info.observation == "text" and _memory(info.id) == "flat"
    }


def _memory(env_id: str) -> str:
    return str(gym.spec(env_id).kwargs.get("memory", "flat"))


def all_cells(settings: BenchSettings, streams_in: Callable[[str], int]) -> list[Cell]:
    """Every part of a measurement, in an order in which an early stop leaves some of everything.

    No builtin stream is played twice for the same measure, so that episodes are independent; real streams, of which there are few,
    are played with each behaviour.

    Args:
        settings: its sizes.
        streams_in: number of test streams of a source of real data.
    """
    cells: list[tuple[int, Cell]] = []

    def add(kind: Kind, data: str, env_id: str, family: str, behaviour: str, k: int, first: int, count: int) -> None:
        for number in range(count):
            cells.append((number, Cell(kind, data, env_id, family, behaviour, k, first + number)))  # noqa: PERF401

    for place, behaviour in enumerate(BEHAVIOURS):
        for env_id, family in families().items():
            first = place * settings.episodes
            add("attribution", "builtin", env_id, family, behaviour, settings.k, first, settings.episodes)
        for data in settings.data:
            count = min(settings.data_episodes, streams_in(data))
            add("attribution", data, MIXED_ENV, "real", behaviour, settings.k, 0, count)
    # Further on in the split than any of the streams above.
    first = len(BEHAVIOURS) * settings.episodes
    for k in settings.sweep:
        add("sweep", "builtin", MIXED_ENV, "mixed", "mixed", k, first, settings.sweep_episodes)
    first += settings.sweep_episodes
    player = "mixed" if settings.policy is None else POLICY
    add("advantage", "builtin", MIXED_ENV, "mixed", player, settings.k, first, settings.groups)
    return [cell for _, cell in sorted(cells, key=lambda entry: entry[0])]
