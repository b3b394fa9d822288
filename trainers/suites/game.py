"""An episode of an arm, step by step: the memory is made from all chunks, then the questions are asked, and change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agents.base import Agent, View
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
from trainers.suites.arms_list import Arm
from trainers.suites.arms_shuffled import partners

MAX_CHARS = 65_536
"""Longest memory as an agent sees it, as in `MemoryEnv`."""


class Game:
    """One episode.

    Args:
        arm: whose episode it is.
        manager: the agent that writes the memory.
        dataset, index, reader, seed, questions, streams: see `trainers.suites.arms.play`.
        settings: of the episode, the arm's own among them.

    Raises:
        ArmUnavailable, SettingsError: see `trainers.suites.arms.play`.
    """

    def __init__(
        self,
        arm: Arm,
        manager: Agent,
        dataset: StreamDataset,
        index: int,
        settings: EpisodeSettings,
        reader: Reader,
        seed: int = 0,
        questions: Sequence[int] | None = None,
        streams: Iterable[int] | None = None,
    ) -> None:
        self.index, self._arm, self._manager, self._dataset, self._seed = index, arm, manager, dataset, seed
        self._stream = stream = dataset[index]
        self.told, self._other = (stream, index) if not arm.shuffled else _other(dataset, index, seed, streams)
        """The stream whose chunks are read."""
        # An agent that can write several dialects says which one it writes.
        chosen = replace(settings, chunk_questions=0, dialect=getattr(manager, "dialect", settings.dialect))
        retriever = EvidenceRetriever(evidence_of(stream)) if arm.needs_evidence else None
        self._episode = Episode(_with_questions_of(stream, self.told), chosen, questions, retriever=retriever)
        asked = self._episode.questions
        self._unasked = [n for n, q in enumerate(asked) if arm.needs_evidence and not q.evidence]
        self._reader = _Without(reader, self._unasked)
        self.draws = seed * 1_000_003 + self._other
        """Seed of the agent's draws."""
        self.rng = np.random.default_rng(self.draws)

    @property
    def done(self) -> bool:
        """Whether all chunks were read and all questions were asked."""
        return self._episode.done

    @property
    def view(self) -> View:
        """What the agent sees now."""
        return View.seen(self._episode.observe())

    def seen(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same as `agents.base.Agent.act` takes it."""
        seen, bank = self._episode.observe(), self._episode.bank
        observation = {"chunk": seen.chunk, "memory": render_bank(bank, MAX_CHARS), "step": seen.step}
        return observation, {
            "data": self.told.source,
            "stream": self.told.id,
            "T": seen.T,
            "timestamp": seen.timestamp,
            "memory": seen.memory,
            "memory_tokens": bank.tokens,
            "failure": self._episode.failure,
        }

    def step(self, message: str) -> None:
        """Carry out what the agent wrote; after the last chunk the questions are asked."""
        self._episode.answer(*read(self._reader, self._episode.act(message)))

    def record(self, facts: Mapping[str, Any]) -> EpisodeRecord:
        """The record, with further facts among its settings."""
        known: dict[str, Any] = {
            "memenvs": __version__,
            "data": self._dataset.source,
            "split": self._dataset.split,
            "dataset": self._dataset.fingerprint,
            "stream_index": self.index,
            "seed": self._seed,
            "reader": self._reader.name,
            "arm": self._arm.name,
            "agent": self._manager.name,
        }
        if self._arm.shuffled:
            other = self.told
            known["memory_of"] = {"stream": other.id, "stream_index": self._other, "fingerprint": other.fingerprint}
        if self._unasked:
            known[NOT_ASKED] = self._unasked
        record = replace(self._episode.record(**known, **facts), fingerprint=self._stream.fingerprint)
        return _without_failure(record, self._unasked)


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
