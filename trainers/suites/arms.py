"""Playing one stream with one arm: the memory is made from all chunks, then the questions are asked, and change nothing.

* `play` - the episode of one arm on one stream.
* `Arm`, `ARMS`, `find_arm`, `ArmUnavailable` - see `trainers.suites.arms_list`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from agents.base import Agent
from agents.evidence import evidence_of
from memenvs.episode import Episode
from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.memory.fixed_retrieval import EvidenceRetriever
from memenvs.reading import Answer, Reader, Reading, read
from memenvs.reading.asking import answers_of
from memenvs.record import NOT_ASKED, EpisodeRecord
from memenvs.render import render_bank
from memenvs.streams.types import Stream, StreamDataset
from memenvs.version import __version__
from trainers.suites.arms_list import ARMS, Arm, ArmUnavailable, find_arm
from trainers.suites.arms_shuffled import partners

__all__ = ["ARMS", "NOT_ASKED", "Arm", "ArmUnavailable", "find_arm", "play"]

MAX_CHARS = 65_536
"""Longest memory as an agent sees it, as in `MemoryEnv`."""


def play(
    arm: Arm | str,
    dataset: StreamDataset,
    index: int,
    settings: EpisodeSettings,
    reader: Reader,
    seed: int = 0,
    budget: int | None = None,
    agent: Agent | None = None,
    *,
    questions: Sequence[int] | None = None,
    streams: Iterable[int] | None = None,
) -> EpisodeRecord:
    """Play stream ``index`` with an arm.

    Args:
        arm: an arm, or a name for `find_arm`.
        dataset: the streams.
        index: of the stream whose questions are asked.
        settings: of the episode; the arm's own come before them, and chunk questions are not asked.
        reader: who answers.
        seed: of the agent's draws, and of who gets whose memory.
        budget: tokens of the memory of the agent that is compared with, on this stream; for arms with ``needs_budget``.
        agent: the agent under test, for arms with ``takes_agent``.
        questions: indices of the questions to ask; None for all.
        streams: indices of the streams that are evaluated, among which memories are shuffled; None for all of the data set.

    Returns:
        The record, with the stream's id and fingerprint. Its settings name the arm, the agent that wrote the memory, ``budget``
        and, where the memory is another stream's, that stream (``memory_of``). Questions that the arm cannot ask are listed
        under `NOT_ASKED`.

    Raises:
        ArmUnavailable: the arm lacks its agent or budget, or no other stream takes part.
        SettingsError: an unknown arm, questions or streams that do not fit, or an agent of ours could not write a chunk.
        ScorerError: the profile has no metric for a question's source.
    """
    arm = find_arm(arm) if isinstance(arm, str) else arm
    stream = dataset[index]
    told, other = (stream, index) if not arm.shuffled else _other(dataset, index, seed, streams)
    given = arm.takes_agent and agent is not None
    chosen = settings if given else arm.settings_for(settings)
    manager = _agent(arm, chosen, budget, agent)
    # An agent that can write several dialects says which one it writes.
    chosen = replace(chosen, chunk_questions=0, dialect=getattr(manager, "dialect", chosen.dialect))
    retriever = EvidenceRetriever(evidence_of(stream)) if arm.needs_evidence else None
    episode = Episode(_with_questions_of(stream, told), chosen, questions, retriever=retriever)
    unasked = [n for n, q in enumerate(episode.questions) if arm.needs_evidence and not q.evidence]
    _play(episode, manager, _Without(reader, unasked), seed * 1_000_003 + other, told)
    facts: dict[str, Any] = {
        "memenvs": __version__,
        "data": dataset.source,
        "split": dataset.split,
        "dataset": dataset.fingerprint,
        "stream_index": index,
        "seed": seed,
        "reader": reader.name,
        "arm": arm.name,
        "agent": manager.name,
    }
    if arm.needs_budget:
        facts["budget"] = budget
    if arm.shuffled:
        facts["memory_of"] = {"stream": told.id, "stream_index": other, "fingerprint": told.fingerprint}
    if unasked:
        facts[NOT_ASKED] = unasked
    record = replace(episode.record(**facts), fingerprint=stream.fingerprint)
    if arm.by_rule and not given:
        _check(arm, record)
    return _without_failure(record, unasked)


def _agent(arm: Arm, settings: EpisodeSettings, budget: int | None, agent: Agent | None) -> Agent:
    if arm.takes_agent and agent is not None:
        return agent
    if arm.make is None:
        raise ArmUnavailable(f"the arm {arm.name!r} needs an agent: agent=..., or the name of another arm")
    if arm.needs_budget and budget is None:
        raise ArmUnavailable(f"{arm.name} needs the memory size of an agent on this stream: budget=tokens")
    return arm.make(settings, budget if arm.needs_budget else None)


def _other(dataset: StreamDataset, index: int, seed: int, streams: Iterable[int] | None) -> tuple[Stream, int]:
    """The stream whose memory stream ``index`` gets."""
    found = partners(dataset, seed, streams)
    if index not in found:
        raise SettingsError(f"stream {index} is not among the {len(found)} streams that take part in shuffled")
    return dataset[found[index]], found[index]


def _with_questions_of(stream: Stream, told: Stream) -> Stream:
    """The chunks of one stream with the questions of another one, whose evidence stands nowhere in them."""
    if told is stream:
        return stream
    questions = tuple(replace(question, evidence=()) for question in stream.questions)
    return replace(stream, chunks=told.chunks, questions=questions)


def _play(episode: Episode, agent: Agent, reader: Reader, seed: int, told: Stream) -> None:
    """All steps; the questions come with the last one, after the memory is written."""
    agent.reset(seed, told)
    while not episode.done:
        seen = episode.observe()
        observation = {"chunk": seen.chunk, "memory": render_bank(episode.bank, MAX_CHARS), "step": seen.step}
        info = {
            "data": told.source,
            "stream": told.id,
            "T": seen.T,
            "timestamp": seen.timestamp,
            "memory": seen.memory,
            "memory_tokens": episode.bank.tokens,
            "failure": episode.failure,
        }
        readings = episode.act(agent.act(observation, info))
        episode.answer(*read(reader, readings))


def _check(arm: Arm, record: EpisodeRecord) -> None:
    """An agent of ours whose message was not read would be scored as one that chose to store nothing."""
    for step in record.steps:
        refused = [outcome.reason for outcome in step.operations if not outcome.valid]
        if step.error is not None or (refused and arm.kind == "baseline"):
            raise SettingsError(
                f"{arm.name} could not write chunk {step.step} of stream {record.stream_id!r} ({len(step.chunk)} characters): "
                f"{step.error or refused[0]}"
            )


class _Without:
    """A reader that leaves the readings at some places unasked."""

    def __init__(self, reader: Reader, unasked: Sequence[int]) -> None:
        self.name, self._reader, self._unasked = reader.name, reader, unasked

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """See `memenvs.reading.Reader.read`."""
        asked = [place for place in range(len(readings)) if place not in self._unasked]
        found = [Answer("", failure=NOT_ASKED)] * len(readings)
        for place, answer in zip(asked, answers_of(self._reader, [readings[i] for i in asked]), strict=True):
            found[place] = answer
        return found


def _without_failure(record: EpisodeRecord, unasked: Sequence[int]) -> EpisodeRecord:
    """A question that was left unasked is no failure of the reader."""
    if not unasked:
        return record
    questions = tuple(replace(q, failure=None) if n in unasked else q for n, q in enumerate(record.questions))
    failed = [q.failure or record.failure for n, q in enumerate(questions) if n not in unasked and q.prediction is None]
    return replace(record, questions=questions, failure=failed[0] if failed else None)
