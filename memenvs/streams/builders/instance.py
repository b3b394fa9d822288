"""What every builder makes, and the draws that builders share.

* `Instance`, `BuiltQuestion` - one stream before it is written.
* `rng` - a generator of random numbers that depends on a seed and names only.
* `sample` - some of a list, in the list's order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from memenvs.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BuiltQuestion:
    """One global question with the chunks that hold its evidence."""

    question: str
    """What is asked."""
    answer: str
    """The one answer of the published schema."""
    evidence: tuple[int, ...] = ()
    """0-based indices of chunks, ascending; () where the source does not say."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One stream: chunks in reading order and the questions asked at the end."""

    source: str
    """Name of the sub-dataset (column ``data_source``), which decides the metric."""
    chunks: tuple[str, ...]
    """Texts as the agent sees them, wrapper lines included."""
    questions: tuple[BuiltQuestion, ...]
    """Never empty."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able: where it was made from."""

    def __post_init__(self) -> None:
        stray = [q for q in self.questions for step in q.evidence if not 0 <= step < len(self.chunks)]
        if not self.chunks or not self.questions or stray:
            raise SettingsError(
                f"an instance needs chunks, questions and evidence among its chunks; got {len(self.chunks)} chunks, "
                f"{len(self.questions)} questions, stray evidence in {stray[:1]}"
            )


def rng(seed: int, *names: object) -> random.Random:
    """A generator for one purpose. Equal seed and names, equal draws, in every process: a string seed is hashed by SHA-512."""
    return random.Random("/".join(map(str, (seed, *names))))


def sample(items: Sequence[T], most: int, draw: random.Random) -> list[T]:
    """At most ``most`` of ``items``, without replacement, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in sorted(draw.sample(range(len(items)), most))]
