"""Playing the streams of a suite, in this process or over others: a stream is one job, with all arms that have not played it.

* `StreamJob`, `play_stream` - one stream.
* `play_streams` - all of them.
* `Unplayed` - why there is no episode.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import cloudpickle

from agents.base import AgentError
from memenvs.record import EpisodeRecord
from trainers.pool import in_parallel
from trainers.suites.arms import ArmUnavailable, play
from trainers.suites.arms_recorded import Recorded, recorded
from trainers.suites.costs import COSTS, PLAYING, grown, usage_of
from trainers.suites.later import Later
from trainers.suites.plan import Plan
from trainers.workers import Workers


@dataclass(frozen=True, slots=True)
class StreamJob:
    """One stream."""

    index: int
    """In the data."""
    arms: tuple[str, ...]
    """What plays it, in order: the one whose memory size others get comes before these."""
    size: int | None = None
    """Memory tokens of that one, where it has played the stream already."""
    told: Mapping[str, Recorded] = field(default_factory=dict)
    """Shuffled arm -> what was written to the memory that it shows, where that was played already."""


@dataclass(frozen=True, slots=True)
class Unplayed:
    """An arm has no episode of a stream."""

    reason: str
    """Why not."""
    for_good: bool
    """Whether the data lacks what it needs; else its model failed, and may not fail again."""


Played = Iterable[tuple[str, EpisodeRecord | Unplayed]]
"""Arms with their episodes, all questions open."""


def play_stream(plan: Plan, job: StreamJob) -> Iterator[tuple[str, EpisodeRecord | Unplayed]]:
    """All arms of the job on its stream, one after the other."""
    size = job.size
    for name in job.arms:
        try:
            record = _episode(plan, name, job.index, size, job.told.get(name))
        except ArmUnavailable as error:
            yield name, Unplayed(str(error), for_good=True)
            continue
        except AgentError as error:
            yield name, Unplayed(str(error), for_good=False)
            continue
        if name == plan.reference:
            size = record.memory_tokens
        yield name, record


def play_streams(
    plan: Plan, jobs: Sequence[StreamJob], workers: Workers = Workers()
) -> Iterator[tuple[StreamJob, Played]]:
    """Play the jobs.

    Yields:
        Each job with its episodes: in order and episode by episode as they are played here, or stream by stream as workers finish.
        The episodes are the same whoever plays.

    Raises:
        MemenvsError: a process was killed; on Ray, time and again.
        SettingsError: Ray is not installed, or the cluster is too small.
    """
    if not workers.count:
        yield from ((job, play_stream(plan, job)) for job in jobs)
        return
    # Questions are read by the caller: a reader's connections and limits belong to one process.
    work = partial(_play_packed, cloudpickle.dumps(replace(plan, reader=Later(plan.reader.name))))
    if workers.ray is None:
        yield from in_parallel(work, jobs, workers.count)
        return
    from trainers.ray_pool import on_ray

    yield from on_ray(work, jobs, workers.count, address=workers.ray)


def _episode(plan: Plan, name: str, index: int, size: int | None, told: Recorded | None = None) -> EpisodeRecord:
    """The episode with all its questions open."""
    arm = plan.arms[name] if told is None else recorded(plan.arms[name], told)
    manager = (
        None if arm.by_rule or arm.make is None or told is not None else arm.make(arm.settings_for(plan.settings), None)
    )
    begun, before = time.perf_counter(), usage_of(manager)
    record = play(
        arm, plan.dataset, index, plan.settings, Later(plan.reader.name), plan.seed,
        size if arm.needs_budget else None, streams=range(plan.streams),
    )  # fmt: skip
    spent = {PLAYING: time.perf_counter() - begun} | grown("manager", before, usage_of(manager))
    about: dict[str, Any] = {"suite": plan.suite.name, "agent": name, COSTS: spent}
    about |= {"weights": plan.weights[name]} if name in plan.weights else {}
    return replace(record, settings={**record.settings, **about})


def _play_packed(plan: bytes, job: StreamJob) -> list[tuple[str, EpisodeRecord | Unplayed]]:
    return list(play_stream(_unpacked(plan), job))


@lru_cache(maxsize=1)
def _unpacked(plan: bytes) -> Plan:
    """A process unpacks the plan once, so that the models of its arms are loaded once."""
    found: Plan = cloudpickle.loads(plan)
    return found
