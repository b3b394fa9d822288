"""Vectors of published functions: what a line of a file holds, and what stands for a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NotComparedError(Exception):
    """Why a vector has no counterpart here."""


@dataclass(frozen=True)
class Vector:
    """One line of a file."""

    file: Path
    line: int
    record: dict[str, Any]

    @property
    def inputs(self) -> dict[str, Any]:
        return self.record["inputs"]

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line} {self.record['function']} {json.dumps(self.inputs)[:400]}"


@dataclass(frozen=True)
class Row:
    """One published function and what stands for it."""

    function: str
    """How the vector's function begins."""
    ours: Callable[[Vector], Any]
    """Our result, in the form of `expected`. It raises a MemenvsError where the published function raises, `NotComparedError` where
    there is nothing to compare, DataError where a vocabulary is missing."""
    expected: Callable[[Vector], Any] = lambda vector: vector.record["output"]
    """The published result."""
    absolute: float = 1e-9
    """Numbers may differ by this much."""
    relative: float = 0.0
    """Or by this share."""


def read(folder: Path) -> Iterator[Vector]:
    """Every vector of a folder, files in order of their names."""
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                yield Vector(file, number, json.loads(line))
