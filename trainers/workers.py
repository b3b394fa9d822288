"""Who does the work: what ``--workers`` and ``--ray`` say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memenvs.errors import SettingsError, whole

if TYPE_CHECKING:
    from trainers.rollout import Group

Play = Callable[[Any, int, Sequence[int], int], list["Group"]]
"""(`trainers.parts.Parts`, update, streams, number of the first stream within the update) -> a group of rollouts per stream."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who plays. No number depends on it.

    Raises:
        SettingsError: a cluster without workers.
    """

    count: int = 0
    """Processes; 0 for this one."""
    ray: str | None = None
    """Address of a Ray cluster, see `trainers.ray_pool.RayPool`; None for this machine."""

    def __post_init__(self) -> None:
        whole("workers", self.count, 0)
        if self.ray is not None and not self.count:
            raise SettingsError(f"how many workers on the Ray cluster at {self.ray!r}? For instance --workers 8")


def bundles(streams: Sequence[int], first: int, together: int) -> list[tuple[Sequence[int], int]]:
    """Streams that are played in lock-step, and the number of the first of them: at most ``together``, whoever plays.

    A policy that forwards other rollouts beside one rounds differently, so bundles must not hang on the number of workers.
    """
    places = range(0, len(streams), together)
    return [(streams[place : place + together], first + place) for place in places]
