"""Streams from the published Memalpha parquet schema.

Columns (wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py, as specified in its data set card): ``instance_id``, ``prompt`` (never
shown to an agent), ``chunks`` (JSON list of str), ``questions_and_answers`` (JSON list of {question, answer: str | list of str}),
``data_source``, ``metadata`` (JSON object), ``num_chunks``, ``num_questions``.

Two additions of ours, both optional: a column ``chunk_questions`` (JSON, per chunk a list of {question, answer}) and, beside the
file, ``<name>.evidence.jsonl`` with ``evidence_chunk_idx`` per question (the release drops the evidence its builders knew).
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memenvs.errors import DataError, SettingsError
from memenvs.streams.types import Chunk, Evidence, Question, Stream

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("instance_id", "chunks", "questions_and_answers", "data_source")
"""Columns that must be there."""
PATH_SETTINGS = ("chunk_questions",)
"""What `MemalphaStreams.from_path` takes as settings."""
HUB_SETTINGS = ("revision", "chunk_questions", "evidence")
"""What `MemalphaStreams.from_hub` takes as settings."""
CHUNK_QUESTIONS = ("column", "evidence")


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("reading parquet needs pyarrow: pip install -e '.[data]'") from error
    return pyarrow


class MemalphaStreams:
    """A `StreamDataset` over a table in the Memalpha schema.

    Args:
        table: a pyarrow table.
        name: what to call it in messages and results.
        split: name of the split.
        chunk_questions: ``"column"`` takes them from the column of that name (none if it is absent); ``"evidence"`` asks at each
            chunk the global questions whose evidence is known to stand there, which pays the global questions early.
        evidence: per instance_id the chunk indices of each question.

    Raises:
        DataError: a column is missing, or there is no row.
        SettingsError: unknown ``chunk_questions``, or ``"evidence"`` without evidence.
    """

    licence = "see the data set's card"

    def __init__(
        self,
        table: pyarrow.Table,
        name: str,
        split: str = "train",
        chunk_questions: str = "column",
        evidence: dict[int, list[list[int]]] | None = None,
    ) -> None:
        missing = [column for column in COLUMNS if column not in table.column_names]
        if missing:
            raise DataError(
                f"{name}: the Memalpha schema needs the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}; "
                f"the file has: {', '.join(table.column_names)}"
            )
        if not table.num_rows:
            raise DataError(f"{name}: the table has no rows")
        if chunk_questions not in CHUNK_QUESTIONS:
            raise SettingsError(f"chunk_questions must be one of {', '.join(CHUNK_QUESTIONS)}, got {chunk_questions!r}")
        if chunk_questions == "evidence" and not evidence:
            raise SettingsError(
                f'{name}: chunk_questions="evidence" needs a file {Path(name).stem}.evidence.jsonl beside it'
            )
        self._table, self._name = table, name
        self._chunk_questions, self._evidence = chunk_questions, evidence or {}
        self.source, self.split = name, split
        self._last: tuple[int, Stream] | None = None
        self.max_steps = self._longest()

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
        arrow = _pyarrow()
        try:
            table = arrow.parquet.read_table(path)
        except (arrow.ArrowException, OSError) as error:
            raise DataError(f"{path} is not a readable parquet file: {error}") from error
        return cls(table, path.name, split, evidence=_read_evidence(path.with_suffix(".evidence.jsonl")), **settings)

    @classmethod
    def from_hub(
        cls, hub_id: str, split: str = "train", revision: str | None = None, **settings: Any
    ) -> MemalphaStreams:
        """Download a data set from the hub with the `datasets` library.

        Raises:
            DataError: `datasets` is not installed, or the set cannot be had.
        """
        try:
            import datasets
        except ImportError as error:
            raise DataError("loading from a hub needs the datasets library: pip install -e '.[data]'") from error
        try:
            loaded = datasets.load_dataset(hub_id, split=split, revision=revision)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"the hub data set {hub_id!r} (split {split!r}) could not be loaded: {error}") from error
        return cls(loaded.with_format("arrow")[:], hub_id, split, **settings)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) over everything that streams are made of. Worked out once: every record asks for it."""
        digest = hashlib.sha256(self._chunk_questions.encode())
        columns = ["instance_id", "data_source", "chunks", "questions_and_answers", "chunk_questions"]
        for column in columns:
            if column in self._table.column_names:
                for value in self._table.column(column):
                    digest.update(str(value.as_py()).encode("utf-8", "surrogatepass") + b"\0")
        digest.update(json.dumps(sorted(self._evidence.items())).encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, index: int) -> Stream:
        """Stream ``index``.

        Raises:
            IndexError: out of range.
            DataError: the row is malformed; says file, row and field.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"stream {index} is out of range: {self._name} has {len(self)}")
        # The rollouts of a group ask for one stream after the other's reset: the last one is kept.
        if self._last is None or self._last[0] != index:
            self._last = index, self._read(index)
        return self._last[1]

    def _read(self, index: int) -> Stream:
        row = {name: self._table.column(name)[index].as_py() for name in self._table.column_names if name != "prompt"}
        source = self._text(row, "data_source", index)
        chunks = self._json(row, "chunks", index)
        if not isinstance(chunks, list) or not chunks or not all(isinstance(c, str) for c in chunks):
            raise self._fault(index, "chunks", "a JSON list of at least one string", chunks)
        stated = row.get("num_chunks")
        if stated is not None and stated != len(chunks):
            raise self._fault(index, "num_chunks", f"the number of chunks, {len(chunks)}", stated)
        known = self._evidence.get(row["instance_id"], [])
        pairs = self._json(row, "questions_and_answers", index)
        if not isinstance(pairs, list) or not pairs:
            raise self._fault(index, "questions_and_answers", "a JSON list of at least one {question, answer}", pairs)
        questions = []
        for number, pair in enumerate(pairs):
            where = known[number] if number < len(known) else []
            evidence = tuple(Evidence(int(step)) for step in where if 0 <= step < len(chunks))
            questions.append(self._question(pair, source, index, "questions_and_answers", evidence))
        metadata = self._json(row, "metadata", index) if row.get("metadata") else {}
        if not isinstance(metadata, dict):
            raise self._fault(index, "metadata", "a JSON object", metadata)
        asked = self._asked_at(row, index, source, len(chunks), questions)
        return Stream(
            id=f"{source}/{row['instance_id']}",
            source=source,
            chunks=tuple(Chunk(text, None, at) for text, at in zip(chunks, asked, strict=True)),
            questions=tuple(questions),
            metadata=metadata,
        )

    def _asked_at(
        self, row: dict[str, Any], index: int, source: str, T: int, questions: list[Question]
    ) -> list[tuple[Question, ...]]:
        """The chunk questions of each chunk."""
        if self._chunk_questions == "evidence":
            return [tuple(q for q in questions if any(e.step == t for e in q.evidence)) for t in range(T)]
        if row.get("chunk_questions") is None:
            return [()] * T
        listed = self._json(row, "chunk_questions", index)
        if not isinstance(listed, list) or len(listed) != T or not all(isinstance(at, list) for at in listed):
            raise self._fault(
                index, "chunk_questions", f"a JSON list with one list of questions per chunk ({T})", listed
            )
        return [
            tuple(self._question(pair, source, index, "chunk_questions", (Evidence(step),)) for pair in at)
            for step, at in enumerate(listed)
        ]

    def _question(self, pair: Any, source: str, index: int, field: str, evidence: tuple[Evidence, ...]) -> Question:
        if not isinstance(pair, dict) or not isinstance(pair.get("question"), str) or "answer" not in pair:
            raise self._fault(index, field, "objects with question (a string) and answer", pair)
        answers = pair["answer"] if isinstance(pair["answer"], list) else [pair["answer"]]
        if not answers or not all(isinstance(answer, (str, int, float)) for answer in answers):
            raise self._fault(index, field, "an answer: a string, a number or a non-empty list of these", pair)
        return Question(pair["question"], tuple(map(str, answers)), source, evidence)

    def _text(self, row: dict[str, Any], field: str, index: int) -> str:
        if not isinstance(row[field], str):
            raise self._fault(index, field, "a string", row[field])
        return row[field]

    def _json(self, row: dict[str, Any], field: str, index: int) -> Any:
        try:
            return json.loads(self._text(row, field, index))
        except (ValueError, RecursionError) as error:
            raise self._fault(index, field, f"JSON ({error})", row[field]) from error

    def _fault(self, index: int, field: str, expected: str, got: Any) -> DataError:
        return DataError(f"{self._name}, row {index}, field {field}: expected {expected}, got {str(got)[:120]!r}")

    def _longest(self) -> int:
        if "num_chunks" in self._table.column_names:
            stated = [count for count in self._table.column("num_chunks").to_pylist() if count is not None]
            if len(stated) == len(self):
                return max(stated)
        return max(self[i].T for i in range(len(self)))


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
