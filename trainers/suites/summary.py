"""What a table needs to know of an episode: small enough to keep for every stream of every arm."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from memenvs.memory.tokens import TokenCounter
from memenvs.record import EpisodeRecord
from trainers.rescoring import Missing
from trainers.suites.costs import COSTS, Costs
from trainers.suites.suite import Suite


@dataclass(slots=True)
class Cell:
    """The questions of one sub-task in one episode."""

    scores: list[float] = field(default_factory=list)
    """Of the questions that have one."""
    missing: Counter[str] = field(default_factory=Counter)
    """Questions without a score, by reason (`trainers.rescoring.Missing`)."""

    @property
    def total(self) -> float:
        """Sum of the scores."""
        return math.fsum(self.scores)

    @property
    def scored(self) -> int:
        """Questions with a score."""
        return len(self.scores)

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.scores + other.scores, self.missing + other.missing)


@dataclass(frozen=True, slots=True)
class Summary:
    """One episode."""

    stream: str
    """Id of the stream."""
    stratum: str
    """The stream's source: streams of one source can stand for each other."""
    cells: dict[str, Cell]
    """Name of the sub-task -> its questions."""
    memory_tokens: int
    """Of all items at the end."""
    items: int
    """At the end."""
    refused: int
    """Operations that were not carried out."""
    costs: Costs
    """Of reading."""


def summarise(record: EpisodeRecord, scores: Sequence[float | Missing], suite: Suite, count: TokenCounter) -> Summary:
    """The summary of a record.

    Args:
        record: the episode.
        scores: one per final question.
        suite: says which sub-task a question belongs to.
        count: counts the tokens of the memory.
    """
    cells: dict[str, Cell] = {}
    for question, score in zip(record.questions, scores, strict=True):
        for name in suite.names(question.source):
            cell = cells.setdefault(name, Cell())
            if isinstance(score, Missing):
                cell.missing[score.value] += 1
            else:
                cell.scores.append(score)
    return Summary(
        stream=record.stream_id,
        stratum=record.source,
        cells=cells,
        memory_tokens=sum(count(item.content) for item in record.memory),
        items=len(record.memory),
        refused=sum(not outcome.valid for step in record.steps for outcome in step.operations),
        costs=dict(record.settings.get(COSTS, {})),
    )
