"""The episode: a pure state machine over one stream. No gym, no I/O.

It never reads itself: `Episode.act` returns the readings it needs, `Episode.answer` takes their answers.

    episode = Episode(stream)
    while not episode.done:
        needs = episode.act(agent(episode.observe()))
        episode.answer(reader.read(needs))
    episode.record().r_global
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import EpisodeError, SettingsError
from memenvs.memory.architectures import make_memory, make_retriever
from memenvs.memory.bank import BankSnapshot, MemoryItem, StepReport
from memenvs.memory.operations import MAX_MESSAGE_CHARS, ParseReport, parse_operations
from memenvs.memory.retrieval import Retrieved, Retriever
from memenvs.memory.token_counters import token_counter
from memenvs.memory.tokens import TokenCounter
from memenvs.reading.asking import fault
from memenvs.reading.base import Answer, Reading
from memenvs.record import EpisodeRecord, ReadingRecord, StepRecord
from memenvs.scoring.profiles import metric_for
from memenvs.streams.types import Question, Stream


@dataclass(frozen=True, slots=True)
class Observation:
    """What the agent sees before a step, and once more after the last one."""

    step: int
    """0-based; T after the last step."""
    chunk: str
    """The chunk's text; "" after the last step."""
    timestamp: str | None
    """The chunk's timestamp."""
    memory: tuple[MemoryItem, ...]
    """All items in the order of their INSERT."""
    T: int
    """Number of steps."""


class EpisodeSnapshot(NamedTuple):
    """State between two steps, immutable and self-contained; valid for the same stream, questions and settings."""

    origin: Mapping[str, Any]
    """What it belongs to: stream, questions, settings, retriever; plain data."""
    bank: BankSnapshot
    steps: tuple[StepRecord, ...]
    final: tuple[ReadingRecord, ...]
    failure: str | None


class _Asked(NamedTuple):
    question: Question
    retrieved: tuple[Retrieved, ...]


class Episode:
    """One pass over a stream.

    Args:
        stream: the material.
        settings: memory, retrieval, limits, dialect, scoring profile, token counter.
        questions: indices of the global questions to ask (all by default); a group shares them.
        count: a token counter of one's own; by default the one that the settings name.
        retriever: ranks items for a question; by default as the settings name it, exact BM25.

    Raises:
        SettingsError: ``questions`` is empty or holds something else than different indices of the stream's questions, or the
            retriever is another one than the settings name.
        ScorerError: the profile has no metric for a question's source (found here, not at the end of the episode).
    """

    def __init__(
        self,
        stream: Stream,
        settings: EpisodeSettings = EpisodeSettings(),
        questions: Sequence[int] | None = None,
        count: TokenCounter | None = None,
        retriever: Retriever | None = None,
    ) -> None:
        if not stream.chunks or not stream.questions:
            raise SettingsError(f"stream {stream.id!r} needs at least one chunk and one global question")
        total = len(stream.questions)
        self._asked = tuple(range(total)) if questions is None else _indices(questions, total)
        self.stream, self.settings = stream, settings
        self.questions = tuple(stream.questions[i] for i in self._asked)
        self._count = token_counter(settings.tokens) if count is None else count
        self.bank = make_memory(settings.memory, settings.limits, self._count)
        self.failure: str | None = None
        """Message of the first reader failure, or None."""
        self._retriever = retriever or make_retriever(settings.memory, profile=settings.retrieval)
        if (name := self._retriever.name) != settings.retrieval:
            raise SettingsError(
                f"the retriever has the profile {name!r}, the settings say retrieval={settings.retrieval!r}; "
                "name one profile in both"
            )
        self._retriever.restore(())  # a retriever that served another episode starts empty
        self._steps: list[StepRecord] = []
        self._final: tuple[ReadingRecord, ...] = ()
        self._pending: tuple[str, ParseReport, StepReport, tuple[_Asked, ...]] | None = None
        self._metrics = {s: metric_for(s, settings.profile) for s in sorted({q.source for q in self._all_questions()})}

    def _all_questions(self) -> list[Question]:
        return [*self.questions, *(q for chunk in self.stream.chunks for q in self._chunk_questions(chunk.questions))]

    def _chunk_questions(self, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        return questions[: self.settings.chunk_questions]

    @property
    def T(self) -> int:
        """Number of steps, fixed by the stream."""
        return self.stream.T

    @property
    def step(self) -> int:
        """The step that comes next; T at the end."""
        return len(self._steps)

    @property
    def done(self) -> bool:
        """Whether all T steps are over."""
        return len(self._steps) == self.stream.T

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        """The finished steps."""
        return tuple(self._steps)

    def observe(self) -> Observation:
        """What the agent sees now."""
        if self.done:
            return Observation(self.step, "", None, self.bank.items, self.T)
        chunk = self.stream.chunks[self.step]
        return Observation(self.step, chunk.text, chunk.timestamp, self.bank.items, self.T)

    def act(self, message: Any) -> list[Reading]:
        """Carry out one step's message.

        Args:
            message: the agent's raw text; anything else, and anything unparsable, changes nothing and is reported.

        Returns:
            The readings needed now: the chunk questions and, at the last step, the global questions.

        Raises:
            EpisodeError: the episode is over, or the readings of the step before were not answered.
        """
        if self.done:
            raise EpisodeError(f"the episode is over after {self.T} steps; start a new one")
        if self._pending is not None:
            raise EpisodeError(f"step {self.step} still waits for its answers; call answer() first")
        parsed = parse_operations(message, self.settings.dialect, self.stream.chunks[self.step].text)
        report = self.bank.apply(parsed.operations)
        self._retriever.follow(report.changes)
        questions = self._chunk_questions(self.stream.chunks[self.step].questions)
        if self.step + 1 == self.T:
            questions = (*questions, *self.questions)
        asked, readings = [], []
        for question in questions:
            found = self._retriever.top_k(question.text, self.settings.k)
            asked.append(_Asked(question, tuple(r for r, _ in found)))
            readings.append(Reading(question.text, tuple((i.id, i.content) for _, i in found), question.source))
        text = message if isinstance(message, str) else repr(message)
        self._pending = (text[:MAX_MESSAGE_CHARS], parsed, report, tuple(asked))
        return readings

    def answer(self, answers: Sequence[Answer] | None, failure: str | None = None) -> StepRecord:
        """Finish the step with the answers to the readings that `act` asked for.

        Args:
            answers: one per reading, in order, single ones of which may have failed; None where the reader failed as a whole.
            failure: what went wrong, with ``answers=None``.

        Returns:
            The finished step.

        Raises:
            EpisodeError: no step waits, or the answers do not fit; the step then still waits for its answers.
        """
        if self._pending is None:
            raise EpisodeError("no step waits for answers; call act() first")
        message, parsed, report, asked = self._pending
        if answers is None:
            self.failure = self.failure or failure or "the reader failed without a message"
        elif len(answers) != len(asked):
            raise EpisodeError(f"expected {len(asked)} answers, one per reading, got {len(answers)}")
        else:
            for answer, (_, retrieved) in zip(answers, asked, strict=True):
                if (wrong := fault(answer, [r.id for r in retrieved])) is not None:
                    raise EpisodeError(f"the answers do not fit the readings: {wrong}")
            self.failure = self.failure or next((a.failure for a in answers if a.failure is not None), None)
        readings = tuple(self._scored(a, None if answers is None else answers[i]) for i, a in enumerate(asked))
        chunk = self.stream.chunks[self.step]
        own = len(self._chunk_questions(chunk.questions))
        record = StepRecord(
            step=self.step,
            chunk=chunk.text,
            timestamp=chunk.timestamp,
            chunk_tokens=self._count(chunk.text),
            message=message,
            error=parsed.error,
            operations=report.outcomes,
            memory_items=len(self.bank),
            memory_tokens=self.bank.tokens,
            readings=readings[:own],
        )
        self._final = readings[own:]
        self._steps.append(record)
        self._pending = None
        return record

    def _scored(self, asked: _Asked, answer: Answer | None) -> ReadingRecord:
        question, retrieved = asked
        if answer is None or answer.failure is not None:
            why = None if answer is None else answer.failure
            return ReadingRecord(question.text, question.references, question.source, retrieved, (), None, None, why)
        score = self._metrics[question.source](answer.text, question.references)
        return ReadingRecord(
            question.text,
            question.references,
            question.source,
            retrieved,
            tuple(answer.evidence_ids),
            answer.text,
            score,
        )

    def record(self, **settings: Any) -> EpisodeRecord:
        """The finished episode as plain data.

        Args:
            settings: more facts to keep with the record (reader, seed, versions); kept as JSON has them, so a tuple as a list.

        Raises:
            EpisodeError: the episode is not over.
            SettingsError: a fact cannot be written as JSON.
        """
        if not self.done:
            raise EpisodeError(f"the episode is at step {self.step} of {self.T}; a record exists at the end")
        try:
            kept = json.loads(json.dumps(self.settings.facts() | settings))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"what a record keeps must be JSON-able, got {settings}: {error}") from error
        return EpisodeRecord(
            stream_id=self.stream.id,
            source=self.stream.source,
            fingerprint=self.stream.fingerprint,
            steps=tuple(self._steps),
            questions=self._final,
            memory=self.bank.items,
            failure=self.failure,
            settings=kept,
            metadata=self._judging(),
        )

    def _judging(self) -> dict[str, Any]:
        """What of the stream's metadata a judge needs, by question where the data has it by question."""
        known, total = self.stream.metadata, len(self.stream.questions)
        found: dict[str, Any] = {}
        for name in ("question_types", "question_ids"):
            values = known.get(name)
            if isinstance(values, list | tuple) and len(values) == total:
                found[name] = [str(values[i]) for i in self._asked]
        if points := known.get("keypoints"):
            found["keypoints"] = [str(point) for point in points]
        return found

    def snapshot(self) -> EpisodeSnapshot:
        """The state between two steps, O(1) in the memory's size.

        Raises:
            EpisodeError: a step waits for its answers.
        """
        if self._pending is not None:
            raise EpisodeError("a snapshot is taken between two steps; call answer() first")
        return EpisodeSnapshot(self._origin, self.bank.snapshot(), self.steps, self._final, self.failure)

    def restore(self, snapshot: EpisodeSnapshot) -> None:
        """Return to a snapshot of this episode or of another one over the same stream with the same questions and settings.

        Raises:
            EpisodeError: the snapshot belongs to another stream, or to an episode with other questions or settings.
        """
        if snapshot.origin != self._origin:
            there, here = snapshot.origin, self._origin
            differs = [f"{n} {there.get(n)} there, {here.get(n)} here" for n in here if there.get(n) != here[n]]
            raise EpisodeError(f"the snapshot is of another episode: {'; '.join(differs)}")
        self.bank.restore(snapshot.bank)
        self._retriever.restore(self.bank.items)
        self._steps = list(snapshot.steps)
        self._final, self.failure, self._pending = snapshot.final, snapshot.failure, None

    def digest(self) -> str:
        """Equal for equal streams, questions and settings at equal steps with equal memories (ids and provenance included)."""
        return f"{self._key}:{self.step}:{self.bank.digest()}"

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """What a snapshot belongs to."""
        first = {"stream": self.stream.fingerprint, "questions": list(self._asked)}
        return first | self.settings.facts() | {"retriever": self._retriever.settings}

    @cached_property
    def _key(self) -> str:
        return hashlib.sha256(json.dumps(self._origin, sort_keys=True).encode()).hexdigest()[:16]


def _indices(given: Any, total: int) -> tuple[int, ...]:
    """Indices of questions as ints.

    Raises:
        SettingsError: ``given`` is something else than at least one whole number below ``total``, each of them once.
    """
    try:
        found = [operator.index(i) for i in given if not isinstance(i, bool)]
        fits = len(found) == len(given) == len(set(found)) > 0 and all(0 <= i < total for i in found)
    except TypeError:
        fits = False
    if not fits:
        raise SettingsError(f"questions must be different indices below {total}, at least one; got {given!r}")
    return tuple(found)
