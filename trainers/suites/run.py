"""The reading stage: every arm plays every stream once; then its questions are read, and those that failed once more.

Stream by stream, so that a large stream is made once for all arms, and an evaluation that is stopped has every arm on the same
streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from trainers.suites.arms import ArmUnavailable, play
from trainers.suites.costs import COSTS, Meter, added
from trainers.suites.kept import KeptRecords, index_of
from trainers.suites.later import Later, reading_of, unread, with_answers
from trainers.suites.plan import Plan


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
    calls: int = 0
    """Requests that a server answered."""


@dataclass(slots=True)
class Outcome:
    """What the reading stage left."""

    files: dict[str, KeptRecords] = field(default_factory=dict)
    """Arm -> its records; without those that could not be played."""
    unavailable: dict[str, list[str]] = field(default_factory=dict)
    """Arm -> why it could not play streams, once for each of them."""


def read_suite(plan: Plan, folder: Path, report: Callable[[Progress], None] = lambda progress: None) -> Outcome:
    """Play and read what the folder does not hold yet.

    Args:
        plan: what is played.
        folder: receives ``records/<arm>.jsonl``; what lies there of the same plan is kept.
        report: called after every episode.

    Returns:
        The records of every arm that could play, complete but for questions on which the reader failed twice; and what arms could
        not play, for the data lacks what they need.
    """
    meter = Meter(plan.reader)
    outcome = Outcome({name: KeptRecords(folder / "records" / f"{name}.jsonl") for name in plan.arms})
    sizes: dict[str, dict[int, int]] = {}
    failed: dict[str, int] = {}
    for name, kept in outcome.files.items():
        sizes[name], failed[name] = {}, 0
        for record in kept:
            _check_weights(plan, name, record)
            sizes[name][index_of(record)] = record.memory_tokens
            failed[name] += len(unread(record))
    progress = Progress(sum(map(len, sizes.values())), plan.streams * len(plan.arms), failed=sum(failed.values()))
    report(progress)

    def answered(name: str, record: EpisodeRecord) -> EpisodeRecord:
        found = read_record(record, meter)
        spent = found.settings[COSTS]
        progress.readings += int(spent["readings"] - record.settings.get(COSTS, {}).get("readings", 0))
        progress.calls += int(
            spent.get("reader_answered", 0) - record.settings.get(COSTS, {}).get("reader_answered", 0)
        )
        failed[name] += len(unread(found))
        progress.failed = sum(failed.values())
        return found

    for index in range(plan.streams):
        for name in _in_order(plan):
            if index in sizes[name]:
                continue
            try:
                record = _play(plan, name, index, sizes)
            except ArmUnavailable as error:
                outcome.unavailable.setdefault(name, []).append(str(error))
                progress.episodes -= 1
                continue
            record = answered(name, record)
            outcome.files[name].append(record)
            sizes[name][index] = record.memory_tokens
            progress.played += 1
            report(progress)
    for name, kept in outcome.files.items():
        if failed[name]:
            failed[name] = 0
            kept.replace(answered(name, record) if unread(record) else record for record in kept)
            report(progress)
    for name in [name for name in outcome.files if not sizes[name]]:
        del outcome.files[name]
    return outcome


def read_record(record: EpisodeRecord, meter: Meter) -> EpisodeRecord:
    """The record with its open questions put to the reader, and what that cost added to its costs."""
    readings = [reading_of(record, record.questions[i]) for i in unread(record)]
    answers, costs = meter.read(readings)
    found = with_answers(record, answers)
    spent = added((record.settings.get(COSTS, {}), costs))
    return replace(found, settings={**found.settings, COSTS: spent})


def _check_weights(plan: Plan, name: str, record: EpisodeRecord) -> None:
    there, here = record.settings.get("weights"), plan.weights.get(name)
    if there != here:
        raise SettingsError(
            f"the folder holds episodes that {name} played with other weights ({there}; now {here}): name another folder with "
            "--out, or drop them with --resume never"
        )


def _in_order(plan: Plan) -> Iterable[str]:
    """Arms in the order in which they are played: the one whose size others get comes before these."""
    return sorted(plan.arms, key=lambda name: plan.arms[name].needs_budget)


def _play(plan: Plan, name: str, index: int, sizes: dict[str, dict[int, int]]) -> EpisodeRecord:
    arm = plan.arms[name]
    budget = sizes[plan.reference].get(index) if arm.needs_budget else None
    record = play(
        arm, plan.dataset, index, plan.settings, Later(plan.reader.name), plan.seed, budget,
        streams=range(plan.streams),
    )  # fmt: skip
    about = {"suite": plan.suite.name, "agent": name}
    about |= {"weights": plan.weights[name]} if name in plan.weights else {}
    return replace(record, settings={**record.settings, **about})
