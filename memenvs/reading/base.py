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


@runtime_checkable
class Reader(Protocol):
    """A frozen reasoning agent."""

    name: str
    """Shown in records and results."""

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """Answer each reading, in order.

        Raises:
            ReaderError: no answer could be had. The episode then carries ``info["failure"]``; it is not scored as 0. The same
                goes for any other exception and for answers that break this contract.
        """
        ...
