"""Asking a reader once for each question and evidence, and counting what that cost."""

from __future__ import annotations

from collections.abc import Sequence

from memenvs.errors import SettingsError
from memenvs.reading.asking import answers_of, ask_log_probs
from memenvs.reading.base import Answer, ProbabilityReader, Reader, Reading

_Key = tuple[str, str, tuple[str, ...]]


def _key(reading: Reading) -> _Key:
    return reading.question, reading.source, tuple([content for _, content in reading.items])


class CachedReader:
    """A reader that is asked once per (question, source, texts in their order).

    The ids of items are no part of the key: what an item is called does not change what it says. Citations are kept as places, so
    an answer that comes from the cache cites the items it was given this time.

    Args:
        reader: a deterministic reader; what it fails on is not kept.

    Raises:
        ReaderError: from `read`, where the reader failed or broke its contract.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.name = reader.name
        self.requests = 0
        """Readings that were asked for."""
        self.calls = 0
        """Readings that the reader had to answer: the unique ones."""
        self._answers: dict[_Key, tuple[str, tuple[int, ...]]] = {}
        self._log_probs: dict[tuple[_Key, str], tuple[float, ...]] = {}

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """See `memenvs.reading.Reader.read`."""
        keys = [_key(reading) for reading in readings]
        new = {key: reading for key, reading in zip(keys, readings, strict=True) if key not in self._answers}
        failed = {}
        for (key, reading), answer in zip(new.items(), answers_of(self.reader, list(new.values())), strict=True):
            if answer.failure is not None:
                failed[key] = answer
                continue
            ids = [item_id for item_id, _ in reading.items]
            self._answers[key] = answer.text, tuple(ids.index(item_id) for item_id in answer.evidence_ids)
        self.requests += len(readings)
        self.calls += len(new)
        found = []
        for key, reading in zip(keys, readings, strict=True):
            if key in failed:
                found.append(failed[key])
                continue
            text, places = self._answers[key]
            found.append(Answer(text, tuple(reading.items[place][0] for place in places)))
        return found

    def token_log_probs(self, readings: Sequence[Reading], answers: Sequence[str]) -> list[tuple[float, ...]]:
        """See `memenvs.reading.ProbabilityReader.token_log_probs`.

        Raises:
            SettingsError: the reader gives no probabilities, or there is not one answer per reading.
            ReaderError: the reader failed or broke its contract; nothing is kept then.
        """
        if not isinstance(self.reader, ProbabilityReader):
            raise SettingsError(
                f"the reader {self.name!r} gives no probabilities: it needs token_log_probs(readings, answers), as "
                "memenvs.reading.ProbabilityReader; credit from 0/1 scores works with every reader"
            )
        if len(answers) != len(readings):
            raise SettingsError(f"expected {len(readings)} answers, one per reading, got {len(answers)}")
        keys = [(_key(reading), answer) for reading, answer in zip(readings, answers, strict=True)]
        new = {key: reading for key, reading in zip(keys, readings, strict=True) if key not in self._log_probs}
        found = ask_log_probs(self.reader, list(new.values()), [answer for _, answer in new])
        self._log_probs.update(zip(new, found, strict=True))
        self.requests += len(keys)
        self.calls += len(new)
        return [self._log_probs[key] for key in keys]
