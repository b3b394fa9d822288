"""Asking a reader, and holding it to its contract.

* `read` - the answers, or what went wrong.
* `ask` - the answers, or a `ReaderError` whatever the reader did instead.
* `fault` - what is wrong with one answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from memenvs.errors import ReaderError
from memenvs.reading.base import Answer, Reader, Reading


def read(reader: Reader, readings: Sequence[Reading]) -> tuple[list[Answer] | None, str | None]:
    """Answers and None, or None and what went wrong; see `ask`."""
    try:
        return ask(reader, readings), None
    except ReaderError as error:
        return None, f"{type(error).__name__}: {error}"


def ask(reader: Reader, readings: Sequence[Reading]) -> list[Answer]:
    """The reader's answers, one per reading and each of them sound; a reader is not asked where there is nothing to read.

    Raises:
        ReaderError: the reader raised an exception of any kind (its cause), or broke its contract.
    """
    if not readings:
        return []
    try:
        answers = reader.read(readings)
    except ReaderError:
        raise
    except Exception as error:
        raise ReaderError(f"the reader {reader.name!r} raised {type(error).__name__}: {error}") from error
    if not isinstance(answers, (list, tuple)) or len(answers) != len(readings):
        got = len(answers) if isinstance(answers, (list, tuple)) else type(answers).__name__
        raise ReaderError(f"expected {len(readings)} answers, one per reading; the reader {reader.name!r} gave {got}")
    for answer, reading in zip(answers, readings, strict=True):
        if (wrong := fault(answer, [item_id for item_id, _ in reading.items])) is not None:
            raise ReaderError(f"the reader {reader.name!r} broke its contract: {wrong}")
    return list(answers)


def fault(answer: Any, item_ids: Collection[str]) -> str | None:
    """What is wrong with an answer from the items with these ids, or None."""
    if not isinstance(answer, Answer):
        return f"expected an Answer, got {type(answer).__name__}"
    if not isinstance(answer.text, str):
        return f"the text of an answer must be a string, got {type(answer.text).__name__}"
    if not isinstance(answer.evidence_ids, (tuple, list)):
        return f"evidence_ids must be a tuple of ids, got {type(answer.evidence_ids).__name__}"
    stray = [item_id for item_id in answer.evidence_ids if item_id not in item_ids]
    return f"it cited {stray}, which it was not given" if stray else None
