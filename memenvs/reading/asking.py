"""Asking a reader, and holding it to its contract.

* `read` - the answers, single ones of which may have failed, or what went wrong with all of them.
* `ask` - the answers, or a `ReaderError` where one of them failed.
* `answers_of` - the answers, single ones of which may have failed, or a `ReaderError`.
* `ask_log_probs` - the same for the log-probabilities of given answers.
* `fault` - what is wrong with one answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from numbers import Real
from typing import Any

from memenvs.errors import ReaderError
from memenvs.reading.base import Answer, ProbabilityReader, Reader, Reading


def read(reader: Reader, readings: Sequence[Reading]) -> tuple[list[Answer] | None, str | None]:
    """Answers and None, or None and what went wrong; see `answers_of`."""
    try:
        return answers_of(reader, readings), None
    except ReaderError as error:
        return None, f"{type(error).__name__}: {error}"


def ask(reader: Reader, readings: Sequence[Reading]) -> list[Answer]:
    """The reader's answers, one per reading and none of them failed, for numbers that mean nothing if one is missing.

    Raises:
        ReaderError: an answer failed, the reader raised an exception of any kind (its cause), or broke its contract.
    """
    found = answers_of(reader, readings)
    failures = [answer.failure for answer in found if answer.failure is not None]
    if failures:
        raise ReaderError(
            f"the reader {reader.name!r} failed on {len(failures)} of {len(found)} readings: {failures[0]}"
        )
    return found


def answers_of(reader: Reader, readings: Sequence[Reading]) -> list[Answer]:
    """The reader's answers, one per reading and each of them sound or failed; it is not asked where there is nothing to read.

    Raises:
        ReaderError: the reader raised an exception of any kind (its cause), or broke its contract.
    """
    if not readings:
        return []
    found = _each(reader.name, len(readings), "answers", lambda: reader.read(readings))
    for answer, reading in zip(found, readings, strict=True):
        if (wrong := fault(answer, [item_id for item_id, _ in reading.items])) is not None:
            raise ReaderError(f"the reader {reader.name!r} broke its contract: {wrong}")
    return found


def ask_log_probs(
    reader: ProbabilityReader, readings: Sequence[Reading], answers: Sequence[str]
) -> list[tuple[float, ...]]:
    """Log-probabilities of the answers, token by token: one tuple per reading, none of them empty, all finite and at most 0.

    Raises:
        ReaderError: the reader raised an exception of any kind (its cause), or broke its contract.
    """
    if not readings:
        return []
    what = "tuples of log-probabilities"
    found = _each(reader.name, len(readings), what, lambda: reader.token_log_probs(readings, answers))
    sound = []
    for values in found:
        if not isinstance(values, (list, tuple)) or not values or not all(_is_log_prob(value) for value in values):
            raise ReaderError(
                f"the reader {reader.name!r} broke its contract: expected at least one log-probability, finite and at most 0, "
                f"per answer, got {values!r}"
            )
        sound.append(tuple(map(float, values)))
    return sound


def _is_log_prob(value: Any) -> bool:
    # A softmax in single precision may exceed 1 in its last digits.
    return isinstance(value, Real) and math.isfinite(value) and value <= 1e-4


def _each(name: str, count: int, what: str, call: Callable[[], Any]) -> list[Any]:
    """What the reader gives, one thing per reading."""
    try:
        found = call()
    except ReaderError:
        raise
    except Exception as error:
        raise ReaderError(f"the reader {name!r} raised {type(error).__name__}: {error}") from error
    if not isinstance(found, (list, tuple)) or len(found) != count:
        got = len(found) if isinstance(found, (list, tuple)) else type(found).__name__
        raise ReaderError(f"expected {count} {what}, one per reading; the reader {name!r} gave {got}")
    return list(found)


def fault(answer: Any, item_ids: Collection[str]) -> str | None:
    """What is wrong with an answer from the items with these ids, or None."""
    if not isinstance(answer, Answer):
        return f"expected an Answer, got {type(answer).__name__}"
    if not isinstance(answer.text, str):
        return f"the text of an answer must be a string, got {type(answer.text).__name__}"
    if not isinstance(answer.evidence_ids, (tuple, list)):
        return f"evidence_ids must be a tuple of ids, got {type(answer.evidence_ids).__name__}"
    if answer.failure is not None and (not isinstance(answer.failure, str) or answer.text or answer.evidence_ids):
        return f"an answer that failed has a message, an empty text and no evidence, got {answer!r}"
    stray = [item_id for item_id in answer.evidence_ids if item_id not in item_ids]
    return f"it cited {stray}, which it was not given" if stray else None
