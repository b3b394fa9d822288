"""The reader's contract: questions and retrieved items in, answers and the ids used as evidence out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Reading:
    """One question put to a reader. It never holds the references."""

    question: str
    """The question's text."""
    items: tuple[tuple[str, str], ...]
    """Retrieved memory items as (id, content), best first."""
    source: str = ""
    """The question's source name, for readers that prompt differently per benchmark."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader made of one `Reading`."""

    text: str
    """The prediction; "" where nothing was found."""
    evidence_ids: tuple[str, ...] = ()
    """Ids of the items used, a subset of the reading's items in their order."""
    failure: str | None = None
    """Why there is no answer; ``text`` is "" and ``evidence_ids`` is empty then. It leaves the other readings of a batch alone, and
    is never scored as 0."""


@runtime_checkable
class Reader(Protocol):
    """A frozen reasoning agent."""

    name: str
    """Shown in records and results."""

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """Answer each reading, in order; one that failed alone is an `Answer` with a ``failure``.

        Raises:
            ReaderError: no answer could be had at all. The episode then carries ``info["failure"]``; it is not scored as 0. So
                does any other exception, and answers that break this contract.
        """
        ...


@runtime_checkable
class ProbabilityReader(Protocol):
    """A reader that also knows how likely it finds an answer, as language models do."""

    name: str
    """Shown in records and results."""

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """See `Reader.read`."""
        ...

    def token_log_probs(self, readings: Sequence[Reading], answers: Sequence[str]) -> list[tuple[float, ...]]:
        """Natural log-probabilities of given answers, token by token.

        Args:
            readings: questions with retrieved items.
            answers: one answer per reading, whose probability is asked for; at least one token each.

        Returns:
            One tuple per reading: log p of each token of the answer, given the question, the items and the tokens before.

        Raises:
            ReaderError: no probability could be had.
        """
        ...
