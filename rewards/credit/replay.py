"""Counterfactual memories: what the memory would be if only some steps had happened, and what it would score.

* `Replay` - the memory after replaying P_t for t in a set of steps.
* `Examiner` - the score of any memory on an episode's global questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memenvs.errors import DataError, ReaderError
from memenvs.memory import BankSnapshot, BM25Retriever, Malformed, MemoryBank, MemoryItem, MemoryLimits, Operation
from memenvs.reading import CachedReader, Reader, Reading
from memenvs.record import EpisodeRecord, StepRecord
from memenvs.scoring.profiles import metric_for

_KEPT_BANKS = 2048
"""Snapshots of replayed memories that are kept; they only save time."""


class Replay:
    """Memories of an episode with some of its steps left out.

    A step is replayed with the operations of its message under the episode's limits, by the episode's own transition: an operation on
    an item that was never written, because its step was left out, is invalid and changes nothing. Items keep the ids of the episode.

    Args:
        record: a finished episode.

    Raises:
        DataError: the record does not say under which limits it was made.
    """

    def __init__(self, record: EpisodeRecord) -> None:
        self.T = record.T
        self._operations = [_operations(step) for step in record.steps]
        self._bank = MemoryBank(limits_of(record))
        self._snapshots: dict[tuple[int, ...], BankSnapshot] = {(): self._bank.snapshot()}
        self.writers: tuple[int, ...] = tuple(
            t for t, (operations, _) in enumerate(self._operations) if any(_writes(o) for o in operations)
        )
        """Steps that sent any write; the others can change no memory, whatever the coalition."""

    def snapshot(self, steps: Iterable[int]) -> BankSnapshot:
        """The memory after replaying only these steps, in their order, as a snapshot whose next step is the last one's plus 1."""
        kept = tuple(sorted(set(steps)))
        known = len(kept)
        while kept[:known] not in self._snapshots:
            known -= 1
        if known == len(kept):
            return self._snapshots[kept]
        if len(self._snapshots) + len(kept) > _KEPT_BANKS:
            self._snapshots, known = {(): self._snapshots[()]}, 0
        self._bank.restore(self._snapshots[kept[:known]])
        for end in range(known, len(kept)):
            self._bank.step = kept[end]
            self._bank.apply(*self._operations[kept[end]])
            self._snapshots[kept[: end + 1]] = self._bank.snapshot()
        return self._snapshots[kept]

    def memory(self, steps: Iterable[int]) -> tuple[MemoryItem, ...]:
        """The items after replaying only these steps, in the order of their INSERT."""
        return tuple(self.snapshot(steps).items.values())


def _writes(operation: Operation | Malformed) -> bool:
    return isinstance(operation, Operation) and operation.op != "SKIP"


def limits_of(record: EpisodeRecord) -> MemoryLimits:
    """The memory limits of an episode, from its settings; DataError where the record does not say them."""
    try:
        return MemoryLimits(**record.settings["limits"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"the record's settings must say its limits, as Episode.record writes them; got {dict(record.settings)}"
        ) from error


def _operations(step: StepRecord) -> tuple[list[Operation | Malformed], list[str]]:
    """A step's operations, and the id of each INSERT; one that was refused gets an id that nothing refers to."""
    operations: list[Operation | Malformed] = []
    ids: list[str] = []
    for n, outcome in enumerate(step.operations):
        if outcome.op == "MALFORMED":
            operations.append(Malformed(outcome.content or "", outcome.reason or ""))
            continue
        inserts = outcome.op == "INSERT"
        operations.append(Operation(outcome.op, outcome.content, None if inserts else outcome.id))
        if inserts:
            ids.append(outcome.id if outcome.valid and outcome.id else f"{step.step}.refused{n}")
    return operations, ids


class Examiner:
    """Scores memories on an episode's global questions as the episode would have: retrieve, read, score.

    Args:
        record: a finished episode; its settings give k, the kind of BM25 and the scoring profile.
        reader: who answers; wrapped in a `CachedReader` unless it is one.
        retriever: ranks items; by default BM25 as in the record's settings.

    Raises:
        DataError: the record lacks the settings.
        ScorerError: the profile has no metric for a question.
    """

    def __init__(self, record: EpisodeRecord, reader: Reader, retriever: BM25Retriever | None = None) -> None:
        self.questions = record.questions
        self.reader = reader if isinstance(reader, CachedReader) else CachedReader(reader)
        if not {"k", "profile"} <= set(record.settings):
            raise DataError(f"the record's settings must say k and profile; got {dict(record.settings)}")
        self.k = int(record.settings["k"])
        profile = record.settings["profile"]
        self._metrics = [metric_for(question.source, profile) for question in record.questions]
        self._retriever = retriever or BM25Retriever(idf=record.settings.get("idf", "lucene"))
        self._scores: dict[tuple[str, ...], tuple[float, ...]] = {}

    def readings(self, items: Sequence[MemoryItem]) -> list[Reading]:
        """What the reader is asked: each global question with the ``min(k, N)`` items retrieved for it."""
        self._retriever.restore(items)
        return [
            Reading(
                q.question, tuple((i.id, i.content) for _, i in self._retriever.top_k(q.question, self.k)), q.source
            )
            for q in self.questions
        ]

    def scores(self, items: Sequence[MemoryItem]) -> tuple[float, ...]:
        """s_j of each global question with this memory, n floats.

        Raises:
            ReaderError: the reader failed; nothing is scored then.
        """
        key = tuple([item.content for item in items])
        if (found := self._scores.get(key)) is None:
            found = self._scores[key] = self.marks(self.readings(items))
        return found

    def marks(self, readings: Sequence[Reading]) -> tuple[float, ...]:
        """s_j of each global question, answered from its reading; see `scores`."""
        answers = self.reader.read(readings)
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
        retriever: ranks items; by default as in the record.

    Raises:
        ReaderError: the record itself failed; credit for it would mean nothing.
        DataError: the record lacks settings.

    Source: the difference of replays follows counterfactual credit (specification "step game"); no published code exists for memory
    operations.
    """

    def __init__(self, record: EpisodeRecord, reader: Reader, retriever: BM25Retriever | None = None) -> None:
        if record.failure is not None:
            raise ReaderError(f"the episode failed and earned nothing that could be shared out: {record.failure}")
        self.record = record
        self.replay = Replay(record)
        self.examiner = Examiner(record, reader, retriever)

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
