"""Streams from the published Memalpha parquet schema.

Columns (wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py, as specified in its data set card): ``instance_id``, ``prompt`` (never
shown to an agent), ``chunks`` (JSON list of str), ``questions_and_answers`` (JSON list of {question, answer: str | list of str}),
``data_source``, ``metadata`` (JSON object), ``num_chunks``, ``num_questions``.

Two additions of ours, both optional: a column ``chunk_questions`` (JSON, per chunk a list of {question, answer}) and, beside the
file, ``<name>.evidence.jsonl`` with ``evidence_chunk_idx`` per question (the release drops the evidence its builders knew).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError
from memenvs.streams.hub import hub_table, named
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import ChainedRows, ParquetRows, Row
from memenvs.streams.types import Chunk, Evidence, Question, Stream

COLUMNS = ("instance_id", "chunks", "questions_and_answers", "data_source")
"""Columns that must be there."""
SETTINGS = ("families", "on_error", "chunk_questions")
"""What `MemalphaStreams.from_path` takes as settings; `MemalphaStreams.from_hub` takes ``revision`` and ``evidence`` too."""
HUB_ID = "YuWangX/Memalpha"
LICENCE = "see the data set's card"
CONTAMINATION = (
    "icl_nlu_8296shot_balance and icl_trec_coarse_6600shot_balance ask the questions of MemoryAgentBench's test rows, "
    "in training and validation alike"
)
_NEVER_SHOWN = "prompt"
CHUNK_QUESTIONS = ("column", "evidence")

Places = dict[int, list[list[int]]]
"""``instance_id`` -> chunk indices of each question."""


class MemalphaStreams(PublishedStreams):
    """A `StreamDataset` over a table in the Memalpha schema.

    Args:
        rows: of a parquet file or a hub's data set.
        source: the data set's name in messages and results.
        split: name of the split.
        chunk_questions: ``"column"`` takes them from the column of that name (none if it is absent); ``"evidence"`` asks at each
            chunk the global questions whose evidence is known to stand there, which pays the global questions early.
        evidence: per instance_id the chunk indices of each question.
        families: values of ``data_source`` (or how they begin).
        on_error, revision: see `PublishedStreams`.

    Raises:
        DataError: a column is missing, or there is no row.
        SettingsError: unknown ``chunk_questions``, or ``"evidence"`` without evidence.
    """

    def __init__(
        self,
        rows: ParquetRows | ChainedRows,
        source: str,
        split: str = "train",
        chunk_questions: str = "column",
        evidence: Places | None = None,
        families: Iterable[str] | None = None,
        on_error: str = "raise",
        revision: str | None = None,
    ) -> None:
        missing = [column for column in COLUMNS if column not in rows.columns]
        if missing:
            raise DataError(
                f"{source}: the Memalpha schema needs the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}; "
                f"the file has: {', '.join(rows.columns)}"
            )
        if not len(rows):
            raise DataError(f"{source}: the table has no rows")
        if chunk_questions not in CHUNK_QUESTIONS:
            raise SettingsError(f"chunk_questions must be one of {', '.join(CHUNK_QUESTIONS)}, got {chunk_questions!r}")
        if chunk_questions == "evidence" and not evidence:
            raise SettingsError(
                f'{source}: chunk_questions="evidence" needs a file {Path(source).stem}.evidence.jsonl beside it'
            )
        read = partial(_read, chunk_questions=chunk_questions, known=evidence or {})
        settings = {"chunk_questions": chunk_questions, "evidence": sorted((evidence or {}).items())}
        form = Format("Memalpha", LICENCE, read, _outline, CONTAMINATION, settings=settings)
        super().__init__(rows, form, source, split, families, on_error, revision)

    @classmethod
    def from_path(cls, path: Path, split: str = "train", **settings: Any) -> MemalphaStreams:
        """Open a parquet file, or ``<split>.parquet`` in a folder.

        Raises:
            DataError: not there, not parquet, or another schema.
        """
        if path.is_dir():
            found = sorted(p.name for p in path.glob("*.parquet"))
            if f"{split}.parquet" not in found:
                raise DataError(f"{path} has no {split}.parquet; it has: {', '.join(found) or 'no parquet file'}")
            path = path / f"{split}.parquet"
        else:
            split = path.stem
        evidence = _read_evidence(path.with_suffix(".evidence.jsonl"))
        return cls(ParquetRows(path, without=(_NEVER_SHOWN,)), path.name, split, evidence=evidence, **settings)

    @classmethod
    def from_hub(
        cls, hub_id: str, split: str = "train", revision: str | None = None, **settings: Any
    ) -> MemalphaStreams:
        """Download a data set from the hub.

        Args:
            hub_id: of the data set.
            split: its name.
            revision: commit, branch or tag; None for what is newest. The commit is part of ``source``.
            settings: as for the class.

        Raises:
            DataError: `datasets` is not installed, or the set cannot be had.
        """
        rows, commit = hub_table(hub_id, split, revision, without=(_NEVER_SHOWN,))
        return cls(rows, named(hub_id, commit), split, revision=commit, **settings)


def _outline(row: Row) -> Outline:
    stated = row.get("num_chunks")
    steps = stated if isinstance(stated, int) else len(_list(row, "chunks"))
    return Outline(frozenset({row.text("data_source")}), steps)


def _list(row: Row, field: str) -> list[Any]:
    found = _json(row, field)
    if not isinstance(found, list):
        raise row.fault(field, "a JSON list", found)
    return found


def _read(row: Row, chunk_questions: str, known: Places) -> Stream:
    source, number = row.text("data_source"), row.get("instance_id")
    chunks = _json(row, "chunks")
    if not isinstance(chunks, list) or not chunks or not all(isinstance(c, str) for c in chunks):
        raise row.fault("chunks", "a JSON list of at least one string", chunks)
    stated = row.get("num_chunks")
    if stated is not None and stated != len(chunks):
        raise row.fault("num_chunks", f"the number of chunks, {len(chunks)}", stated)
    pairs = _json(row, "questions_and_answers")
    if not isinstance(pairs, list) or not pairs:
        raise row.fault("questions_and_answers", "a JSON list of at least one {question, answer}", pairs)
    places = known.get(number, []) if isinstance(number, int) else []
    questions = []
    for index, pair in enumerate(pairs):
        where = places[index] if index < len(places) else []
        evidence = tuple(Evidence(int(step)) for step in where if 0 <= step < len(chunks))
        questions.append(_question(row, pair, source, "questions_and_answers", evidence))
    metadata = _json(row, "metadata") if row.get("metadata") else {}
    if not isinstance(metadata, dict):
        raise row.fault("metadata", "a JSON object", metadata)
    asked = _asked_at(row, chunk_questions, source, len(chunks), questions)
    return Stream(
        id=f"{source}/{number}",
        source=source,
        chunks=tuple(Chunk(text, None, at) for text, at in zip(chunks, asked, strict=True)),
        questions=tuple(questions),
        metadata=metadata,
    )


def _asked_at(
    row: Row, chunk_questions: str, source: str, T: int, questions: list[Question]
) -> list[tuple[Question, ...]]:
    """The chunk questions of each chunk."""
    if chunk_questions == "evidence":
        return [tuple(q for q in questions if any(e.step == t for e in q.evidence)) for t in range(T)]
    if "chunk_questions" not in row:
        return [()] * T
    listed = _json(row, "chunk_questions")
    if not isinstance(listed, list) or len(listed) != T or not all(isinstance(at, list) for at in listed):
        raise row.fault("chunk_questions", f"a JSON list with one list of questions per chunk ({T})", listed)
    return [
        tuple(_question(row, pair, source, "chunk_questions", (Evidence(step),)) for pair in at)
        for step, at in enumerate(listed)
    ]


def _question(row: Row, pair: Any, source: str, field: str, evidence: tuple[Evidence, ...]) -> Question:
    if not isinstance(pair, dict) or not isinstance(pair.get("question"), str) or "answer" not in pair:
        raise row.fault(field, "objects with question (a string) and answer", pair)
    return Question(pair["question"], row.answers(field, pair["answer"]), source, evidence)


def _json(row: Row, field: str) -> Any:
    text = row.text(field)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise row.fault(field, f"JSON ({error})", text) from error


def _read_evidence(path: Path) -> dict[int, list[list[int]]]:
    """``instance_id`` -> chunk indices per question, from the side file; {} where there is none."""
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            found[int(entry["instance_id"])] = [list(map(int, steps)) for steps in entry["evidence_chunk_idx"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path.name}, line {number}: expected instance_id and evidence_chunk_idx: {error!r}"
            ) from error
    return found
