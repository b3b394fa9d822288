"""Playing the streams of a suite, in this process or over others.

* `StreamJob`, `play_stream` - one stream, its arms one after the other.
* `play_block` - several streams: language models play them side by side, then come the others.
* `play_streams` - all of them.
* `Unplayed` - why there is no episode.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import cloudpickle

from agents.base import AgentError
from memenvs.record import EpisodeRecord
from trainers.playing_together import side_by_side
from trainers.pool import in_parallel
from trainers.suites.arms import ArmUnavailable, play
from trainers.suites.arms_recorded import Recorded, recorded
from trainers.suites.costs import COSTS, PLAYING, Costs, added, grown, usage_of
from trainers.suites.game import Game
from trainers.suites.later import Later
from trainers.suites.plan import Plan
from trainers.workers import Workers

BLOCK = 16
"""Most streams that a language model plays side by side: what it reads of each is in memory, and a kill costs what is under way."""


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


Found = EpisodeRecord | Unplayed
"""An episode, all questions open, or why there is none."""


def play_stream(plan: Plan, job: StreamJob) -> Iterator[tuple[str, Found]]:
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


def play_block(plan: Plan, jobs: Sequence[StreamJob]) -> Iterator[tuple[int, str, Found]]:
    """Play the streams of some jobs.

    Yields:
        Stream, arm, and what came of it: as soon as an episode is over.
    """
    sizes = {job.index: job.size for job in jobs}
    many = [name for name, arm in plan.arms.items() if arm.together]
    for name in many:
        for index, found in _side_by_side(plan, name, [job.index for job in jobs if _asked(job, name)]):
            if name == plan.reference and isinstance(found, EpisodeRecord):
                sizes[index] = found.memory_tokens
            yield index, name, found
    for job in jobs:
        others = tuple(name for name in job.arms if name not in many or not _asked(job, name))
        for name, found in play_stream(plan, replace(job, arms=others, size=sizes[job.index])):
            yield job.index, name, found


def play_streams(
    plan: Plan, jobs: Sequence[StreamJob], workers: Workers = Workers()
) -> Iterator[tuple[int, str, Found]]:
    """Play the jobs.

    Yields:
        As `play_block`: episode by episode as they are played here, or block by block as workers finish. The episodes are the same
        whoever plays; a language model's within the process, but for rounding (`trainers.playing_together`).

    Raises:
        MemenvsError: a process was killed; on Ray, time and again.
        SettingsError: Ray is not installed, or the cluster is too small.
    """
    most = min(BLOCK, -(-len(jobs) // max(1, workers.count))) if any(arm.together for arm in plan.arms.values()) else 1
    blocks = [jobs[first : first + most] for first in range(0, len(jobs), max(1, most))]
    if not workers.count:
        for block in blocks:
            yield from play_block(plan, block)
        return
    # Questions are read by the caller: a reader's connections and limits belong to one process.
    work = partial(_play_packed, cloudpickle.dumps(replace(plan, reader=Later(plan.reader.name))))
    if workers.ray is None:
        done = in_parallel(work, blocks, workers.count)
    else:
        from trainers.ray_pool import on_ray

        done = on_ray(work, blocks, workers.count, address=workers.ray)
    for _, played in done:
        yield from played


def _asked(job: StreamJob, name: str) -> bool:
    """Whether the job's stream is played by asking the arm's agent."""
    return name in job.arms and name not in job.told


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
    return replace(record, settings={**record.settings, **_about(plan, name, spent)})


def _about(plan: Plan, name: str, spent: Costs) -> dict[str, Any]:
    about: dict[str, Any] = {"suite": plan.suite.name, "agent": name, COSTS: spent}
    return about | ({"weights": plan.weights[name]} if name in plan.weights else {})


def _side_by_side(plan: Plan, name: str, indices: Sequence[int]) -> Iterator[tuple[int, Found]]:
    """The episodes of a language model."""
    arm = plan.arms[name]
    if not indices or arm.make is None:
        return
    settings = arm.settings_for(plan.settings)
    manager: Any = arm.make(settings, None)
    asked, reader, refused = _Metered(manager), Later(plan.reader.name), []

    def games() -> Iterator[_MeteredGame]:
        for index in indices:
            try:
                game = Game(arm, manager, plan.dataset, index, settings, reader, plan.seed, streams=range(plan.streams))
            except ArmUnavailable as error:
                refused.append((index, Unplayed(str(error), for_good=True)))
            else:
                yield _MeteredGame(game, asked)

    for played, error in side_by_side(asked, games()):
        if error is not None:
            yield played.game.index, Unplayed(str(error), for_good=False)
        else:
            record = played.game.record({})
            yield played.game.index, replace(record, settings={**record.settings, **_about(plan, name, played.spent)})
    yield from refused


class _Metered:
    """A language model, and each episode's share of what it was asked last."""

    def __init__(self, manager: Any) -> None:
        self.together, self._manager = int(manager.together), manager
        self.share: Costs = {}

    def messages(self, views: Any, rngs: Any) -> Sequence[str | AgentError]:
        begun, before = time.perf_counter(), usage_of(self._manager)
        found: Sequence[str | AgentError] = self._manager.messages(views, rngs)
        spent = {PLAYING: time.perf_counter() - begun} | grown("manager", before, usage_of(self._manager))
        given = sum(not isinstance(one, AgentError) for one in found)
        self.share = {amount: value / max(1, given) for amount, value in spent.items()}
        return found


class _MeteredGame:
    """A game that adds up its shares."""

    def __init__(self, game: Game, asked: _Metered) -> None:
        self.game, self.rng, self.spent, self._asked = game, game.rng, {PLAYING: 0.0}, asked

    @property
    def view(self) -> Any:
        return self.game.view

    @property
    def done(self) -> bool:
        return self.game.done

    def step(self, message: str) -> None:
        begun = time.perf_counter()
        self.game.step(message)
        self.spent = added((self.spent, self._asked.share, {PLAYING: time.perf_counter() - begun}))


def _play_packed(plan: bytes, jobs: Sequence[StreamJob]) -> list[tuple[int, str, Found]]:
    return list(play_block(_unpacked(plan), jobs))


@lru_cache(maxsize=1)
def _unpacked(plan: bytes) -> Plan:
    """A process unpacks the plan once, so that the models of its arms are loaded once."""
    found: Plan = cloudpickle.loads(plan)
    return found
