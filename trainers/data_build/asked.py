"""Chunk questions in files: which chunks there are, and the file with their questions.

* `Task`, `tasks` - the chunks of a file in the Memalpha schema.
* `write` - the file again with a column ``chunk_questions``.
* `by_rules` - the questions without a model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.scoring.profiles import metric_for
from memenvs.streams import load
from memenvs.streams.builders.chunk_questions import by_rule, normal
from trainers.data_build.files import write_table, write_text

Questions = list[dict[str, str]]
"""The questions of one chunk: objects with question and answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """One chunk to ask about."""

    row: int
    """Of the file, from 0."""
    step: int
    """Of the stream, from 0."""
    source: str
    """``data_source``: which metric decides whether an answer is right."""
    text: str
    """The chunk."""

    @property
    def digest(self) -> str:
        """SHA-256 (16 hex digits) of what is asked about."""
        return hashlib.sha256(f"{self.source}\0{self.text}".encode()).hexdigest()[:16]


def tasks(path: Path) -> list[Task]:
    """Every chunk of a parquet file in the Memalpha schema, in order.

    Raises:
        DataError: the file cannot be read.
        ScorerError: there is no metric for one of its sources.
    """
    if not path.is_file():
        found = (
            f"a folder; give one of {sorted(file.name for file in path.glob('*.parquet'))}" if path.is_dir() else "none"
        )
        raise DataError(f"{path}: expected a parquet file in the Memalpha schema, found {found}")
    streams = load(path)
    if "chunks" not in _columns(path):
        raise DataError(f"{path}: expected the Memalpha schema with a column chunks, got {', '.join(_columns(path))}")
    listed = []
    for row in range(len(streams)):
        stream = streams[row]
        metric_for(stream.source)
        listed += [Task(row, step, stream.source, chunk.text) for step, chunk in enumerate(stream.chunks)]
    return listed


def _columns(path: Path) -> list[str]:
    """Names of a parquet file's columns; none where it is no such file."""
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_schema(path).names
    except pyarrow.ArrowException:
        return []


def write(path: Path, out: Path, asked: Mapping[tuple[int, int], Questions], report: Mapping[str, Any]) -> int:
    """Write ``out``: the rows of ``path`` with ``asked`` by (row, step) as their chunk questions; the evidence file comes along.

    A question that an earlier chunk of the same stream has already is left out. ``report`` goes beside it, as
    ``<name>.questions.json``.

    Returns:
        The number of questions written.
    """
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    column, total = [], 0
    for row in range(table.num_rows):
        steps = sorted(step for at, step in asked if at == row)
        seen: set[str] = set()
        listed = [_new(asked[row, step], seen) for step in steps]
        total += sum(map(len, listed))
        column.append(json.dumps(listed, ensure_ascii=False))
    if "chunk_questions" in table.column_names:
        table = table.drop_columns(["chunk_questions"])
    write_table(out, table.append_column("chunk_questions", pyarrow.array(column, pyarrow.string())))
    evidence = path.with_suffix(".evidence.jsonl")
    if evidence.is_file():
        shutil.copyfile(evidence, out.with_suffix(".evidence.jsonl"))
    write_text(out.with_suffix(".questions.json"), json.dumps({**report, "questions": total}, indent=1) + "\n")
    return total


def _new(questions: Questions, seen: set[str]) -> Questions:
    """Those whose words are not in ``seen``, which then holds them."""
    kept = []
    for pair in questions:
        if normal(pair["question"]) not in seen:
            seen.add(normal(pair["question"]))
            kept.append(pair)
    return kept


def by_rules(found: Sequence[Task], per_chunk: int) -> dict[tuple[int, int], Questions]:
    """Questions by rule for every chunk (`memenvs.streams.builders.chunk_questions`)."""
    rows: dict[int, list[Task]] = {}
    for task in found:
        rows.setdefault(task.row, []).append(task)
    return {
        (task.row, task.step): questions
        for group in rows.values()
        for task, questions in zip(
            group, by_rule([task.text for task in group], group[0].source, per_chunk), strict=True
        )
    }
