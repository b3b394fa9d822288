"""The episode: a pure state machine over one stream. No gym, no I/O.

It never reads itself: `Episode.act` returns the readings it needs, `Episode.answer` takes their answers.

    episode = Episode(stream)
    while not episode.done:
        needs = episode.act(agent(episode.observe()))
        episode.answer(reader.read(needs))
    episode.record().r_global
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from memenvs.errors import EpisodeError, SettingsError
from memenvs.memory.bank import BankSnapshot, MemoryBank, MemoryItem, MemoryLimits, StepReport
from memenvs.memory.operations import MAX_MESSAGE_CHARS, ParseReport, parse_operations
from memenvs.memory.retrieval import BM25Retriever, Retrieved
from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.reading.base import Answer, Reading
from memenvs.record import EpisodeRecord, ReadingRecord, StepRecord
from memenvs.scoring.profiles import metric_for
from memenvs.streams.types import Question, Stream


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """What an episode does with its stream."""

    k: int = 5
    """Items retrieved per question."""
    chunk_questions: int = 5
    """Chunk questions read per step (the first ones of the chunk); 0 reads none."""
    limits: MemoryLimits = field(default_factory=MemoryLimits)
    """What the memory accepts."""
    dialect: str = "json"
    """How messages are parsed."""
    profile: str = "corrected"
    """Scoring profile."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise SettingsError(f"k must be at least 1, got {self.k}")
        if self.chunk_questions < 0:
            raise SettingsError(f"chunk_questions must be at least 0, got {self.chunk_questions}")
        parse_operations("[]", self.dialect)
        metric_for("builtin-fact", self.profile)


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


class EpisodeSnapshot(NamedTuple):
    """State between two steps, immutable and self-contained; valid for the same stream and settings."""

    fingerprint: str
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
        settings: retrieval width, limits, dialect, profile.
        questions: indices of the global questions to ask (all by default); a group shares them.
        count: token counter.
        retriever: ranks items for a question; exact BM25 by default.

    Raises:
        SettingsError: ``questions`` is empty or holds an index that the stream lacks.
        ScorerError: the profile has no metric for a question's source (found here, not at the end of the episode).
    """

    def __init__(
        self,
        stream: Stream,
        settings: EpisodeSettings = EpisodeSettings(),
        questions: Sequence[int] | None = None,
        count: TokenCounter = count_tokens,
        retriever: BM25Retriever | None = None,
    ) -> None:
        if not stream.chunks or not stream.questions:
            raise SettingsError(f"stream {stream.id!r} needs at least one chunk and one global question")
        asked = range(len(stream.questions)) if questions is None else questions
        if not asked or not all(0 <= i < len(stream.questions) for i in asked):
            raise SettingsError(
                f"questions must be indices below {len(stream.questions)}, at least one; got {list(asked)}"
            )
        self.stream, self.settings = stream, settings
        self.questions = tuple(stream.questions[i] for i in asked)
        self.bank = MemoryBank(settings.limits, count)
        self.failure: str | None = None
        """Message of the first reader failure, or None."""
        self._count = count
        self._retriever = retriever or BM25Retriever()
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
            return Observation(self.step, "", None, self.bank.items)
        chunk = self.stream.chunks[self.step]
        return Observation(self.step, chunk.text, chunk.timestamp, self.bank.items)

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
        parsed = parse_operations(message, self.settings.dialect)
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
            answers: one per reading, in order; None where the reader failed.
            failure: what went wrong, with ``answers=None``.

        Returns:
            The finished step.

        Raises:
            EpisodeError: no step waits, or the number of answers is wrong.
        """
        if self._pending is None:
            raise EpisodeError("no step waits for answers; call act() first")
        message, parsed, report, asked = self._pending
        if answers is None:
            self.failure = self.failure or failure or "the reader failed without a message"
        elif len(answers) != len(asked):
            raise EpisodeError(f"expected {len(asked)} answers, one per reading, got {len(answers)}")
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
        if answer is None:
            return ReadingRecord(question.text, question.references, question.source, retrieved, (), None, None)
        known = {r.id for r in retrieved}
        stray = [i for i in answer.evidence_ids if i not in known]
        if stray:
            raise EpisodeError(
                f"a reader cited {stray}, which it was not given; evidence must be among the reading's items"
            )
        score = self._metrics[question.source](answer.text, question.references)
        return ReadingRecord(
            question.text, question.references, question.source, retrieved, answer.evidence_ids, answer.text, score
        )

    def record(self, **settings: Any) -> EpisodeRecord:
        """The finished episode as plain data.

        Args:
            settings: more JSON-able facts to keep with the record (reader, seed, versions).

        Raises:
            EpisodeError: the episode is not over.
        """
        if not self.done:
            raise EpisodeError(f"the episode is at step {self.step} of {self.T}; a record exists at the end")
        kept: Mapping[str, Any] = asdict(self.settings) | settings
        return EpisodeRecord(
            stream_id=self.stream.id,
            source=self.stream.source,
            fingerprint=self.stream.fingerprint,
            steps=tuple(self._steps),
            questions=self._final,
            memory=self.bank.items,
            failure=self.failure,
            settings=kept,
        )

    def snapshot(self) -> EpisodeSnapshot:
        """The state between two steps, O(1) in the memory's size.

        Raises:
            EpisodeError: a step waits for its answers.
        """
        if self._pending is not None:
            raise EpisodeError("a snapshot is taken between two steps; call answer() first")
        return EpisodeSnapshot(self.stream.fingerprint, self.bank.snapshot(), self.steps, self._final, self.failure)

    def restore(self, snapshot: EpisodeSnapshot) -> None:
        """Return to a snapshot of this episode or of another one over the same stream.

        Raises:
            EpisodeError: the snapshot belongs to another stream.
        """
        if snapshot.fingerprint != self.stream.fingerprint:
            raise EpisodeError(f"the snapshot is of stream {snapshot.fingerprint}, this is {self.stream.fingerprint}")
        self.bank.restore(snapshot.bank)
        self._retriever.restore(self.bank.items)
        self._steps = list(snapshot.steps)
        self._final, self.failure, self._pending = snapshot.final, snapshot.failure, None

    def digest(self) -> str:
        """Equal for equal streams at equal steps with equal memories (ids and provenance included)."""
        return f"{self.stream.fingerprint}:{self.step}:{self.bank.digest()}"
