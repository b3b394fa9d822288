"""The episode record: plain data that every reward term, plot and debugger works from.

* `ReadingRecord` - one question: what was retrieved, cited, answered, and its score.
* `StepRecord` - one step: chunk, message, outcome of each operation, readings of the chunk questions.
* `EpisodeRecord` - the whole episode, with a JSON round trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from memenvs.errors import DataError
from memenvs.memory.bank import MemoryItem, OperationOutcome
from memenvs.memory.retrieval import Retrieved

FORMAT = 1
"""Version of the JSON layout."""
NOT_ASKED = "not_asked"
"""Key in a record's settings: places among its questions that were left unasked, for the data does not name their evidence. They
have no prediction, no score and no failure, and are not to be read later."""


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """One question that was read."""

    question: str
    """The question's text."""
    references: tuple[str, ...]
    """Acceptable answers."""
    source: str
    """The question's source, which decided the metric."""
    retrieved: tuple[Retrieved, ...]
    """What the retriever gave, best first."""
    evidence_ids: tuple[str, ...]
    """Items that the reader used."""
    prediction: str | None
    """The answer; None where reading failed."""
    score: float | None
    """Score in [0, 1]; None where reading failed (a failure is never a 0)."""
    failure: str | None = None
    """Why this reading alone failed, where the reader said so."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step."""

    step: int
    """0-based."""
    chunk: str
    """The chunk's text."""
    timestamp: str | None
    """The chunk's timestamp."""
    chunk_tokens: int
    """L(c_t)."""
    message: str
    """The agent's raw message (shortened to the longest that is read)."""
    error: str | None
    """Why the message had no operations, or None."""
    operations: tuple[OperationOutcome, ...]
    """Each operation with its validity and reason."""
    memory_items: int
    """Items after the step."""
    memory_tokens: int
    """L(M_t)."""
    readings: tuple[ReadingRecord, ...]
    """The chunk questions, answered from M_t."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One finished episode."""

    stream_id: str
    """Id of the stream within its dataset."""
    source: str
    """The stream's source ("builtin" for the generator)."""
    fingerprint: str
    """The stream's fingerprint."""
    steps: tuple[StepRecord, ...]
    """The T steps."""
    questions: tuple[ReadingRecord, ...]
    """The global questions, answered from M_T."""
    memory: tuple[MemoryItem, ...]
    """M_T."""
    failure: str | None = None
    """The first failure of a reader, or None. Whatever its other numbers, a failed episode belongs in no statistics."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Reader, k, limits, scoring profile, token counter, version, ``seed`` (the one given to `MemoryEnv.reset`, or None): what the
    numbers came from, in JSON's types."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the data says about the questions and a judge of the answers must know, as far as there is any: ``question_types`` and
    ``question_ids`` (one each per question), ``keypoints`` of a summary."""

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def r_global(self) -> float:
        """Mean score of the global questions; NaN where one of them failed."""
        scores = [reading.score for reading in self.questions]
        return sum(float("nan") if s is None else s for s in scores) / len(scores)

    @property
    def memory_tokens(self) -> int:
        """L(M_T)."""
        return self.steps[-1].memory_tokens

    @property
    def stream_tokens(self) -> int:
        """Sum of L(c_t)."""
        return sum(step.chunk_tokens for step in self.steps)

    def to_json(self) -> str:
        """One line of ASCII JSON; `from_json` gives an equal record.

        One exception: two lone surrogates side by side that form a character come back as that character.
        """
        plain = replace(self, settings=dict(self.settings), metadata=dict(self.metadata))
        return json.dumps({"format": FORMAT} | asdict(plain), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> EpisodeRecord:
        """Read what `to_json` wrote.

        Raises:
            DataError: not JSON, another format version, a field is missing or unknown, or there are no steps or no questions.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"an episode record must be a JSON object: {error}") from error
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise DataError(f'expected an episode record with "format": {FORMAT}')
        try:
            steps = tuple(
                StepRecord(**step | {
                    "operations": tuple(OperationOutcome(**o) for o in step["operations"]),
                    "readings": tuple(_reading(r) for r in step["readings"]),
                })
                for step in data["steps"]
            )  # fmt: skip
            questions = tuple(_reading(r) for r in data["questions"])
            if not steps or not questions:
                raise DataError(f"an episode record needs steps and questions, got {len(steps)} and {len(questions)}")
            memory = tuple(MemoryItem(**item) for item in data["memory"])
            return cls(**data | {"steps": steps, "questions": questions, "memory": memory})
        except (KeyError, TypeError) as error:
            raise DataError(f"an episode record lacks a field or has an unknown one: {error}") from error


def _reading(data: dict[str, Any]) -> ReadingRecord:
    return ReadingRecord(**data | {
        "references": tuple(data["references"]),
        "retrieved": tuple(Retrieved(**r) for r in data["retrieved"]),
        "evidence_ids": tuple(data["evidence_ids"]),
    })  # fmt: skip
