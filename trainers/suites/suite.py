"""What a suite is: the data, the rules and the columns of a published table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from memenvs.memory.bank import MemoryLimits


@dataclass(frozen=True, slots=True)
class Column:
    """One sub-task."""

    name: str
    """As in the published table."""
    sources: tuple[str, ...]
    """Sources of its questions, or how they begin."""
    group: str = ""
    """What it belongs to, where the paper groups its sub-tasks (a competency)."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One published table, and how its numbers are made."""

    name: str
    """After ``--suite``."""
    about: str
    """One sentence."""
    data: str
    """What `memenvs.streams.load` opens: a hub id or the name of generated data."""
    split: str
    """Of the data."""
    profile: str
    """Scoring profile of the published code."""
    columns: tuple[Column, ...]
    """The sub-tasks, in the paper's order."""
    also: tuple[Column, ...] = ()
    """Columns of questions that count in a sub-task already (LongMemEval's abstention): shown, and in no average."""
    retrieval: str = "default"
    """Retrieval profile of the published code."""
    k: int = 10
    """Items retrieved per question."""
    unit: Literal["stream", "question"] = "stream"
    """What counts once in a sub-task's mean: a stream's mean (Mem-alpha) or a question."""
    published: str = ""
    """Name of the published rows, see `trainers.suites.published_results`; "" where there are none."""
    limits: MemoryLimits = field(default_factory=MemoryLimits)
    """What the memory accepts; everything, as in the papers, unless said otherwise."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the data, if that is no single file."""
    file_settings: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the data, of a single file too."""
    managers: tuple[str, ...] = ()
    """Agents by rule that are exact on this data and stand in its table beside the controls."""
    streams: int | None = None
    """Streams played where nothing else is asked for; None for all."""

    def column(self, source: str) -> Column:
        """The sub-task of a question: the one whose source fits best, else one of its own that is in no published average."""
        fitting = [(len(s), c) for c in self.columns for s in c.sources if source == s or source.startswith(s)]
        return max(fitting, key=lambda found: found[0])[1] if fitting else Column(source, (source,))

    def names(self, source: str) -> list[str]:
        """The columns in which a question of this source is shown: its sub-task, and what is also made of it."""
        also = [column.name for column in self.also if any(source.startswith(own) for own in column.sources)]
        return [self.column(source).name, *also]

    def is_also(self, name: str) -> bool:
        """Whether the questions of the column of this name count in a sub-task already."""
        return any(column.name == name for column in self.also)

    def is_published(self, name: str) -> bool:
        """Whether a column of this name is part of the published table."""
        return any(column.name == name for column in self.columns)
