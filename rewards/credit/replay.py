"""Counterfactual memories: what the memory would be if only some steps had happened, and what it would score.

* `Replay` - the memory after replaying P_t for t in a set of steps.
* `Examiner` - the score of any memory on an episode's global questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from memenvs.episode import EpisodeSettings
from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.memory import BankSnapshot, BM25Retriever, MemoryBank, MemoryItem, MemoryLimits, token_counter
from memenvs.memory.architectures import make_memory, make_retriever
from memenvs.memory.rankings import Rankings
from memenvs.memory.retrieval import Retriever
from memenvs.memory.tokens import TokenCounter
from memenvs.reading import CachedReader, Reader, Reading
from memenvs.reading.asking import ask
from memenvs.record import EpisodeRecord
from memenvs.scoring.profiles import metric_for
from rewards.credit.writes import writes_of

_KEPT_SCORES = 4096
"""Memories whose scores are kept; they only save time."""


class Replay:
    """Memories of an episode with some of its steps left out.

    A step is replayed with the operations of its message under the episode's limits, by the episode's own transition: an operation
    on an item that was never written, because its step was left out, is invalid and changes nothing.

    Items keep the ids of the episode, and operations mean the items that they meant then. An INSERT that the episode refused may
    fit once others are left out; its item gets an id that no operation names. In a three-part memory the core is always there to be
    written: an UPDATE of it needs no step before it.

    Args:
        record: a finished episode.
        count: the episode's token counter; by default the one that its settings name.

    Raises:
        DataError: the record lacks settings, or its operations do not lead to its memory.
    """

    def __init__(self, record: EpisodeRecord, count: TokenCounter | None = None) -> None:
        self.T = record.T
        settings = settings_of(record)
        self._count = token_counter(settings.tokens) if count is None else count
        self._limits, self._memory = settings.limits, settings.memory
        self._writes = writes_of(record, settings)
        self._bank = self._empty()
        # The coalition asked last and the memory after each of its steps: the next one often begins with the same steps.
        self._path: list[int] = []
        self._states = [self._bank.snapshot()]
        self.writers: tuple[int, ...] = tuple(t for t, (operations, _) in enumerate(self._writes) if operations)
        """Steps with an operation that can write; the others change no memory, whatever the coalition."""
        if self.memory(range(self.T)) != record.memory:
            raise DataError(
                "the record's operations do not lead to the memory that it holds; an episode with a token counter of its own "
                "is replayed with that counter: count=..."
            )

    def _empty(self) -> MemoryBank:
        return make_memory(self._memory, self._limits, self._count)

    def snapshot(self, steps: Iterable[int]) -> BankSnapshot:
        """The memory after replaying only these steps, in their order, as a snapshot whose next step is the last one's plus 1.

        Raises:
            SettingsError: a step outside the episode.
        """
        kept = sorted(set(steps))
        if kept and not 0 <= kept[0] <= kept[-1] < self.T:
            raise SettingsError(f"steps must be whole numbers from 0 to {self.T - 1}, got {kept}")
        shared = 0
        while shared < min(len(kept), len(self._path)) and kept[shared] == self._path[shared]:
            shared += 1
        del self._path[shared:], self._states[shared + 1 :]
        self._bank.restore(self._states[-1])
        for step in kept[shared:]:
            self._bank.step = step
            self._bank.apply(*self._writes[step])
            self._path.append(step)
            self._states.append(self._bank.snapshot())
        return self._states[-1]

    def memory(self, steps: Iterable[int]) -> tuple[MemoryItem, ...]:
        """The items after replaying only these steps, in the memory's order."""
        self.snapshot(steps)
        return self._bank.items

    def bank(self, steps: Iterable[int]) -> MemoryBank:
        """A bank of one's own that holds this memory, under the episode's limits, to play on from."""
        bank = self._empty()
        bank.restore(self.snapshot(steps))
        return bank


def settings_of(record: EpisodeRecord) -> EpisodeSettings:
    """The settings that an episode was played with.

    Records from before retrieval profiles name neither ``retrieval`` nor ``tokens``: they had what is now the default. A flat
    memory is never named.

    Raises:
        DataError: the record does not say them.
    """
    before = {"retrieval": "default", "tokens": "words", "memory": "flat"}
    try:
        said = before | dict(record.settings)
        kept = {field.name: said[field.name] for field in fields(EpisodeSettings)}
        return EpisodeSettings(**kept | {"limits": MemoryLimits(**kept["limits"])})
    except (KeyError, TypeError, SettingsError) as error:
        raise DataError(
            f"the record's settings must be those of its episode, as Episode.record writes them; got {dict(record.settings)}"
        ) from error


def retriever_of(record: EpisodeRecord) -> Retriever:
    """A retriever that finds what the episode's did.

    Raises:
        DataError: the record lacks settings.
        SettingsError: its kind of BM25 does not exist or is not that of its retrieval profile, or its retrieval is ``"evidence"``,
            which only the episode's own retriever knows.
    """
    settings = settings_of(record)
    return make_retriever(settings.memory, record.settings.get("idf"), settings.retrieval)


class Examiner:
    """Scores memories on an episode's global questions as the episode would have: retrieve, read, score.

    Args:
        record: a finished episode; its settings give k, the retrieval and the scoring profile.
        reader: who answers; wrapped in a `CachedReader` unless it is one.
        retriever: finds items; by default as in the record's settings.

    Raises:
        DataError: the record lacks settings.
        ScorerError: the profile has no metric for a question.
    """

    def __init__(self, record: EpisodeRecord, reader: Reader, retriever: Retriever | None = None) -> None:
        self.questions = record.questions
        self.reader = reader if isinstance(reader, CachedReader) else CachedReader(reader)
        settings = settings_of(record)
        self.k = settings.k
        self._metrics = [metric_for(question.source, settings.profile) for question in record.questions]
        if retriever is None and (own := retriever_of(record)).settings != BM25Retriever().settings:
            retriever = own
        # None: `Rankings` gives what the default retriever would, sooner.
        self._retriever = retriever
        self._rankings = Rankings([question.question for question in record.questions])
        self._scores: dict[tuple[str, ...], tuple[float, ...]] = {}

    def readings(self, items: Sequence[MemoryItem]) -> list[Reading]:
        """What the reader is asked: each global question with the items retrieved for it, best first."""
        texts = [(item.id, item.content) for item in items]
        return [
            Reading(question.question, tuple([texts[place] for place in places]), question.source)
            for question, places in zip(self.questions, self._retrieved(items), strict=True)
        ]

    def _retrieved(self, items: Sequence[MemoryItem]) -> list[list[int]]:
        """Per question the places of the retrieved items, best first."""
        if self._retriever is None:
            return self._rankings.top_k([item.content for item in items], self.k)
        self._retriever.restore(items)
        place = {item.id: n for n, item in enumerate(items)}
        return [[place[found.id] for found, _ in self._retriever.top_k(q.question, self.k)] for q in self.questions]

    def scores(self, items: Sequence[MemoryItem]) -> tuple[float, ...]:
        """s_j of each global question with this memory, n floats.

        Raises:
            ReaderError: the reader failed; nothing is scored then.
        """
        key = tuple([item.content for item in items])
        if (found := self._scores.get(key)) is None:
            if len(self._scores) >= _KEPT_SCORES:
                self._scores.clear()
            found = self._scores[key] = self.marks(self.readings(items))
        return found

    def marks(self, readings: Sequence[Reading]) -> tuple[float, ...]:
        """s_j of each global question, answered from its reading; see `scores`."""
        answers = ask(self.reader, readings)
        marked = zip(answers, self.questions, self._metrics, strict=True)
        return tuple(metric(answer.text, question.references) for answer, question, metric in marked)

    def value(self, items: Sequence[MemoryItem]) -> float:
        """v: the mean score of the global questions with this memory."""
        scores = self.scores(items)
        return sum(scores) / len(scores)


class StepGame:
    """The step game: players are the steps, v(S) is the score of the memory rebuilt from the steps in S alone.

    The index is rebuilt for each coalition, readings are asked once per (question, ordered retrieved texts).

    Args:
        record: a finished episode.
        reader: who answers.
        retriever: finds items; by default as in the record.
        count: the episode's token counter.

    Raises:
        ReaderError: the record itself failed; credit for it would mean nothing.
        DataError: the record lacks settings, or its operations and the retriever do not lead to what it holds.

    Source: counterfactual credit by replay; no published code does it for memory operations, so players, value and null players are
    defined here.
    """

    def __init__(
        self,
        record: EpisodeRecord,
        reader: Reader,
        retriever: Retriever | None = None,
        count: TokenCounter | None = None,
    ) -> None:
        if record.failure is not None:
            raise ReaderError(f"the episode failed and earned nothing that could be shared out: {record.failure}")
        self.record = record
        self.replay = Replay(record, count)
        self.examiner = Examiner(record, reader, retriever)
        for question, reading in zip(record.questions, self.examiner.readings(record.memory), strict=True):
            found, once = [item_id for item_id, _ in reading.items], [item.id for item in question.retrieved]
            if found != once:
                raise DataError(
                    f"for {question.question!r} the retriever finds {found}, the record {once}; give the episode's own retriever"
                )

    @property
    def T(self) -> int:
        """Number of steps."""
        return self.replay.T

    @property
    def players(self) -> tuple[int, ...]:
        """Steps that sent any write. The others are null players: their value is 0 in every solution."""
        return self.replay.writers

    def value(self, steps: Iterable[int]) -> float:
        """v(S) in [0, 1]."""
        return self.examiner.value(self.replay.memory(steps))

    @property
    def calls(self) -> int:
        """Readings that the reader had to answer so far."""
        return self.examiner.reader.calls
