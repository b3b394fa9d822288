"""Readings for later: a memory is made first, and its questions are read from the record alone.

So a reading that failed is tried again without playing the stream again, and no question can change the memory.

* `Later` - the reader that a memory is made with; it only notes what it is asked.
* `unread` - the questions of a record that have no answer.
* `reading_of` - what the reader has to be shown for one of them.
* `with_answers` - the record with answers to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memenvs.errors import DataError, ReaderError
from memenvs.reading import Answer, Reading
from memenvs.reading.asking import fault
from memenvs.record import NOT_ASKED, EpisodeRecord, ReadingRecord
from memenvs.scoring import metric_for

READ_UNDER = "corrected"
"""The scoring profile while reading: it knows every source and needs no judge."""


class Later:
    """Leaves every question open.

    Args:
        name: of the reader that will answer; records name it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """See `memenvs.reading.Reader.read`."""
        return [Answer("", failure="not read yet")] * len(readings)


def unread(record: EpisodeRecord) -> list[int]:
    """Indices of the final questions that want an answer and have none: not read yet, or failed."""
    not_asked = set(record.settings.get(NOT_ASKED, ()))
    return [i for i, question in enumerate(record.questions) if question.prediction is None and i not in not_asked]


def reading_of(record: EpisodeRecord, question: ReadingRecord) -> Reading:
    """The question with the items that were retrieved for it.

    Raises:
        DataError: an item is not in the record's memory.
    """
    contents = {item.id: item.content for item in record.memory}
    try:
        items = tuple((found.id, contents[found.id]) for found in question.retrieved)
    except KeyError as error:
        raise DataError(
            f"stream {record.stream_id!r}: the item {error} was retrieved and is not in the record's memory, so the question "
            f"{question.question!r:.80} cannot be read again; evaluate the stream anew"
        ) from error
    return Reading(question.question, items, question.source)


def with_answers(record: EpisodeRecord, answers: Sequence[Answer]) -> EpisodeRecord:
    """The record with one answer for each of its `unread` questions, in order, scored under `READ_UNDER`.

    Raises:
        ReaderError: the number of answers is another, or an answer breaks the reader's contract.
    """
    open_ = unread(record)
    if len(answers) != len(open_):
        raise ReaderError(f"expected {len(open_)} answers, one per open question, got {len(answers)}")
    questions = list(record.questions)
    for index, answer in zip(open_, answers, strict=True):
        question = questions[index]
        if (wrong := fault(answer, [found.id for found in question.retrieved])) is not None:
            raise ReaderError(f"the reader broke its contract: {wrong}")
        if answer.failure is not None:
            questions[index] = replace(question, failure=answer.failure)
            continue
        score = metric_for(question.source, READ_UNDER)(answer.text, question.references)
        questions[index] = replace(
            question, evidence_ids=tuple(answer.evidence_ids), prediction=answer.text, score=score, failure=None
        )
    failure = next((q.failure for q in questions if q.failure is not None), None)
    return replace(record, questions=tuple(questions), failure=failure)
