"""The reading stage: every arm plays every stream once; then its questions are read, and those that failed once more.

Stream by stream, so that a large stream is made once for all arms, and an evaluation that is stopped has every arm on the same
streams. A server is asked the questions of several streams at once, where streams have too few to keep it busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from memenvs.errors import SettingsError
from memenvs.memory.architectures import FLAT
from memenvs.record import EpisodeRecord
from trainers.suites.arms_list import ArmUnavailable
from trainers.suites.arms_recorded import Recorded, memory_from
from trainers.suites.arms_shuffled import partners
from trainers.suites.costs import COSTS, Meter, added
from trainers.suites.kept import KeptRecords, index_of
from trainers.suites.later import reading_of, unread, with_answers
from trainers.suites.plan import Plan
from trainers.suites.playing import StreamJob, Unplayed, play_streams
from trainers.workers import Workers

WAITING = "waiting"
"""Folder of the episodes that are played and not yet read, so that a kill loses none of them."""


@dataclass(slots=True)
class Progress:
    """How far the reading stage is."""

    played: int = 0
    """Episodes that are on the disk, those of an earlier run included."""
    episodes: int = 0
    """Episodes there will be."""
    readings: int = 0
    """Questions put to the reader by this run."""
    failed: int = 0
    """Questions without an answer, as things stand."""
    calls: float = 0
    """Requests that a server answered."""


@dataclass(slots=True)
class Outcome:
    """What the reading stage left."""

    files: dict[str, KeptRecords] = field(default_factory=dict)
    """Arm -> its records; without those that could not be played."""
    unavailable: dict[str, list[str]] = field(default_factory=dict)
    """Arm -> why it cannot play streams, once for each of them."""
    unplayed: dict[str, list[str]] = field(default_factory=dict)
    """Arm -> why its model gave no message, once for each stream; the same command again plays them again."""


def read_suite(
    plan: Plan,
    folder: Path,
    report: Callable[[Progress], None] = lambda progress: None,
    workers: Workers = Workers(),
) -> Outcome:
    """Play and read what the folder does not hold yet.

    Args:
        plan: what is played.
        folder: receives ``records/<arm>.jsonl``; what lies there of the same plan is kept.
        report: called after every batch of episodes.
        workers: who plays; this process reads the questions. The records are the same whoever plays.

    Returns:
        The records of every arm that could play, complete but for questions on which the reader failed twice; and what arms could
        not play, for the data lacks what they need or their model failed twice.

    Raises:
        SettingsError: the folder has records of an arm that was trained further since.
        MemenvsError: a worker was killed; what is on the disk counts, and the same call goes on from there.
    """
    return _Reading(plan, folder, report, workers).run()


class _Reading:
    """The state of the stage: what is played, what waits to be read, what failed."""

    def __init__(self, plan: Plan, folder: Path, report: Callable[[Progress], None], workers: Workers) -> None:
        self.plan, self.report, self.workers = plan, report, workers
        self.meter = Meter(plan.reader)
        self.outcome = Outcome({name: KeptRecords(folder / "records" / f"{name}.jsonl") for name in plan.arms})
        self.drafts = {name: KeptRecords(folder / WAITING / f"{name}.jsonl") for name in plan.arms}
        self.waiting: dict[str, list[EpisodeRecord]] = {name: [] for name in plan.arms}
        self.sizes: dict[str, dict[int, int]] = {name: {} for name in plan.arms}
        """Arm -> stream -> tokens of the memory; a stream that is not there was not played."""
        self.failed = dict.fromkeys(plan.arms, 0)
        """Arm -> questions without an answer."""
        self.progress = Progress()

    def run(self) -> Outcome:
        """Everything that is not done yet."""
        self._take_over()
        self._show()
        self._play_all()
        if self.outcome.unplayed:
            self._play_all()
        self._ask_again()
        for name, sizes in self.sizes.items():
            if not sizes:
                del self.outcome.files[name]
            elif list(sizes) != sorted(sizes):  # workers finish in any order, and a manager that failed plays later
                self.outcome.files[name].replace(sorted(self.outcome.files[name], key=index_of))
        return self.outcome

    def _take_over(self) -> None:
        """What an earlier run left: episodes that were read, and those that were only played."""
        for name, kept in self.outcome.files.items():
            for record in kept:
                _check_weights(self.plan, name, record)
                self.sizes[name][index_of(record)] = record.memory_tokens
                self.failed[name] += len(unread(record))
                self.progress.played += 1
            for record in self.drafts[name]:
                _check_weights(self.plan, name, record)
                if index_of(record) not in self.sizes[name]:
                    self.sizes[name][index_of(record)] = record.memory_tokens
                    self.waiting[name].append(record)

    def _play_all(self) -> None:
        self.outcome.unavailable.clear()
        self.outcome.unplayed.clear()
        # Memories are made first, and shuffled as they were made: a model is not asked for them twice.
        for jobs in (self._jobs, self._shuffled_jobs):
            for index, name, found in play_streams(self.plan, jobs(), self.workers):
                self._note(name, index, found)
                if any(_open(records) >= self.plan.batch for records in self.waiting.values()):
                    self._read_waiting()
            self._read_waiting()

    def _jobs(self) -> list[StreamJob]:
        """The streams that some arm has not played."""
        names = [name for name in _in_order(self.plan) if self._shows(name) is None]
        missing = [tuple(n for n in names if i not in self.sizes[n]) for i in range(self.plan.streams)]
        known = self.sizes.get(self.plan.reference, {})
        return [StreamJob(index, arms, known.get(index)) for index, arms in enumerate(missing) if arms]

    def _shows(self, name: str) -> str | None:
        """Whose memories a shuffled arm shows, if they are played here."""
        return memory_from(self.plan.arms[name], self.plan.arms.items())

    def _shuffled_jobs(self) -> list[StreamJob]:
        """The streams that a shuffled arm has not played, with the memories that others made."""
        told: dict[int, dict[str, Recorded]] = {}
        for name in _in_order(self.plan):
            source = self._shows(name)
            missing = [i for i in range(self.plan.streams) if i not in self.sizes[name]]
            if source is None or not missing:
                continue
            try:
                others = partners(self.plan.dataset, self.plan.seed, range(self.plan.streams))
            except ArmUnavailable as error:
                self.outcome.unavailable[name] = [str(error)] * len(missing)
                continue
            made = {index_of(record): Recorded.of(record) for record in self.outcome.files[source]}
            for index in missing:
                if others[index] in made:
                    told.setdefault(index, {})[name] = made[others[index]]
                else:
                    self._note(
                        name, index, Unplayed(f"{source} has no memory of stream {others[index]}", for_good=False)
                    )
        return [StreamJob(index, tuple(arms), told=arms) for index, arms in sorted(told.items())]

    def _note(self, name: str, index: int, found: EpisodeRecord | Unplayed) -> None:
        if isinstance(found, Unplayed):
            reasons = self.outcome.unavailable if found.for_good else self.outcome.unplayed
            reasons.setdefault(name, []).append(found.reason)
            return
        self.drafts[name].append(found)
        self.sizes[name][index] = found.memory_tokens
        self.waiting[name].append(found)

    def _read_waiting(self) -> None:
        """Read what waits, and put it on the disk."""
        for name, records in self.waiting.items():
            for record in self._read(name, records):
                self.outcome.files[name].append(record)
                self.progress.played += 1
            records.clear()
            self.drafts[name].path.unlink(missing_ok=True)
            self._show()

    def _ask_again(self) -> None:
        for name, kept in self.outcome.files.items():
            if self.failed[name]:
                self.failed[name] = 0
                kept.replace(record for batch in _batches(kept, self.plan.batch) for record in self._read(name, batch))
                self._show()

    def _read(self, name: str, records: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
        found, costs = read_records(records, self.meter)
        self.failed[name] += _open(found)
        self.progress.readings += int(costs.get("readings", 0))
        self.progress.calls += costs.get("reader_answered", 0)
        return found

    def _show(self) -> None:
        left_out = sum(map(len, (*self.outcome.unavailable.values(), *self.outcome.unplayed.values())))
        self.progress.episodes = self.plan.streams * len(self.plan.arms) - left_out
        self.progress.failed = sum(self.failed.values())
        self.report(self.progress)


def read_records(records: Sequence[EpisodeRecord], meter: Meter) -> tuple[list[EpisodeRecord], dict[str, float]]:
    """The records with their open questions put to the reader, all at once, and what that cost.

    A record's costs grow by its share of the questions.
    """
    readings = [[reading_of(record, record.questions[i]) for i in unread(record)] for record in records]
    total = sum(map(len, readings))
    if not total:
        return list(records), {}
    answers, costs = meter.read([reading for own in readings for reading in own])
    rest, found = iter(answers), []
    for record, own in zip(records, readings, strict=True):
        read = with_answers(record, [next(rest) for _ in own])
        share = {amount: value * len(own) / total for amount, value in costs.items()}
        spent = added((record.settings.get(COSTS, {}), share))
        found.append(replace(read, settings={**read.settings, COSTS: spent}))
    return found, costs


def _open(records: Iterable[EpisodeRecord]) -> int:
    return sum(len(unread(record)) for record in records)


def _batches(records: Iterable[EpisodeRecord], size: int) -> Iterator[list[EpisodeRecord]]:
    """The records in their order, in lists with at least so many open questions."""
    batch: list[EpisodeRecord] = []
    for record in records:
        batch.append(record)
        if _open(batch) >= size:
            yield batch
            batch = []
    yield batch


def _check_weights(plan: Plan, name: str, record: EpisodeRecord) -> None:
    there, here = record.settings.get("weights"), plan.weights.get(name)
    if there != here:
        raise SettingsError(
            f"the folder holds episodes that {name} played with other weights ({there}; now {here}): name another folder with "
            "--out, or drop them with --resume never"
        )
    kept, wanted = record.settings.get("memory", FLAT), plan.arms[name].settings_for(plan.settings).memory
    if kept != wanted:
        raise SettingsError(
            f"the folder holds episodes that {name} played with the memory {kept!r}; now it is {wanted!r}: name another folder "
            "with --out, or drop them with --resume never"
        )


def _in_order(plan: Plan) -> list[str]:
    """Arms in the order in which they are played: the one whose size others get comes before these."""
    return sorted(plan.arms, key=lambda name: plan.arms[name].needs_budget)
