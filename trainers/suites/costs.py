"""What reading cost: counted here for every reader, and by the reader itself where it keeps a ``usage``.

The counts of a record stand in its settings under `COSTS`, so that they are written and lost together with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from memenvs.memory.tokens import count_tokens
from memenvs.reading import Answer, Reader, Reading, read

COSTS = "costs"
"""Key in a record's settings."""
COUNTED = (
    "requests",
    "answered",
    "cached",
    "retries",
    "truncated",
    "unreported",
    "prompt_tokens",
    "completion_tokens",
    "cost",
)
"""What is taken over of a reader's ``usage`` (`memenvs.endpoint.Usage`)."""
PLAYING = "playing_seconds"
"""Key of the time that an agent took to make a memory."""
Costs = dict[str, float]
"""Name -> amount; amounts of several readings add up."""


class Meter:
    """Asks a reader, and knows what each asking cost.

    Args:
        reader: who answers; if it has a ``usage``, as `memenvs.reading.EndpointReader` does, its counts are reported too.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def read(self, readings: Sequence[Reading]) -> tuple[list[Answer], Costs]:
        """The answers, one per reading, and what they cost; where the reader failed as a whole, every answer has failed.

        Costs are ``readings`` (questions put to the reader), ``words`` (of questions and items), ``seconds``, ``uncited`` (answers
        from at least one item that named none of them) and what grew in the reader's ``usage``.
        """
        before, begun = usage_of(self.reader), time.perf_counter()
        answers, failure = read(self.reader, readings)
        seconds = time.perf_counter() - begun
        if answers is None:
            answers = [Answer("", failure=failure or "the reader failed without a message")] * len(readings)
        words = sum(count_tokens(r.question) + sum(count_tokens(text) for _, text in r.items) for r in readings)
        uncited = sum(
            bool(reading.items) and answer.failure is None and not answer.evidence_ids
            for reading, answer in zip(readings, answers, strict=True)
        )
        own: Costs = {"readings": len(readings), "words": words, "seconds": seconds, "uncited": uncited}
        return answers, own | grown("reader", before, usage_of(self.reader))


def added(costs: Iterable[Mapping[str, float]]) -> Costs:
    """The sum, name by name."""
    total: Costs = {}
    for one in costs:
        for name, value in one.items():
            total[name] = total.get(name, 0) + value
    return total


def grown(who: str, before: Costs, after: Costs) -> Costs:
    """What was added to a usage, each name after "reader_" or "manager_"."""
    return {f"{who}_{name}": value - before.get(name, 0) for name, value in after.items()}


def usage_of(who: Any) -> Costs:
    """What a reader or a manager behind a server was asked so far; {} of one that keeps no ``usage``."""
    usage = getattr(who, "usage", None)
    if usage is None:
        return {}
    counts = dict(usage.to_json())
    return {name: float(counts[name]) for name in COUNTED if counts.get(name) is not None}
