"""Stream, Chunk, Question: one episode's material.

* `Question` - what is asked, what counts as an answer and, where known, which text holds the evidence.
* `Chunk` - what the agent is told at one step, with its own questions for the step reward.
* `Stream` - T chunks and the global questions asked after the last one.
* `StreamDataset` - anything with a length, ``[i]`` and a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer can be found in the stream. Agents never see it; oracles and credit studies do."""

    step: int
    """0-based index of the chunk."""
    text: str = ""
    """The sentence inside the chunk, or "" where only the chunk is known."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its acceptable answers."""

    text: str
    """What the reader is asked."""
    references: tuple[str, ...]
    """Acceptable answers; a scorer takes the best of them. Never empty."""
    source: str
    """Name under which scoring profiles look up the metric, for instance "squad" or "builtin-fact"."""
    evidence: tuple[Evidence, ...] = ()
    """Where the answer stands, if known."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the agent is told at one step."""

    text: str
    """The text, shown to the agent verbatim."""
    timestamp: str | None = None
    """When it happened, if the data says so."""
    questions: tuple[Question, ...] = ()
    """Questions about this chunk alone, for the chunk-level step reward."""


@dataclass(frozen=True)
class Stream:
    """An ordered tuple of T chunks plus the global questions asked after the last one."""

    id: str
    """Unique within its dataset."""
    source: str
    """Where it comes from: "builtin" or the benchmark's name of the sub-dataset."""
    chunks: tuple[Chunk, ...]
    """The T chunks in reading order; never empty."""
    questions: tuple[Question, ...]
    """Global questions, asked of the final memory; never empty."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able extras of the source, such as the generator's settings."""

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.chunks)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) over chunks and questions: equal content, equal fingerprint."""
        chunks = [[chunk.text, chunk.timestamp, [_plain(q) for q in chunk.questions]] for chunk in self.chunks]
        content = [chunks, [_plain(q) for q in self.questions]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]


def _plain(question: Question) -> list[Any]:
    evidence = [[e.step, e.text] for e in question.evidence]
    return [question.text, question.references, question.source, evidence]


@runtime_checkable
class StreamDataset(Protocol):
    """A random-access collection of streams. ``dataset[i]`` is the same stream in every process."""

    source: str
    """Name of the source, shown in ``info`` and in every result ("builtin" for the embedded generator)."""
    split: str
    """Name of the split."""
    licence: str
    """Licence of the content."""
    max_steps: int
    """An upper bound of T over the dataset."""

    @property
    def fingerprint(self) -> str:
        """Short hash that changes whenever the content would."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Stream: ...
