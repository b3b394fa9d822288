"""Files of public sources that are no streams: what they are, and what makes streams of them.

* `described` - why a file is not opened as a data set.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

from memenvs.errors import DataError
from memenvs.streams.rows import JsonRows, ParquetRows

_BUILD = "raw material: `memenvs data build memalpha` makes streams of it"


_ABSTRACT = "###"
"""How an abstract begins in PubMed-RCT's text form."""


class _Kind(NamedTuple):
    fields: frozenset[str]
    """Fields that the first record has."""
    what: str
    """What such a file is."""


_KINDS = tuple(
    _Kind(frozenset(fields.split()), what)
    for fields, what in (
        ("data version", f"SQuAD articles, {_BUILD}"),
        ("title context question answers", f"SQuAD questions, {_BUILD}"),
        ("question answer supporting_facts context", f"HotpotQA questions, {_BUILD}"),
        ("text category", f"BANKING77 utterances (some contain blank lines), {_BUILD}"),
        ("oos_val train test", f"CLINC150 utterances, {_BUILD}"),
        ("rasa_nlu_data", f"NLU evaluation utterances, {_BUILD}"),
        ("text labels", f"PubMed-RCT sentences, {_BUILD}"),
        ("sentences labels confs", f"CSAbstruct abstracts, {_BUILD}"),
        ("book_title chapter_id text", f"BookSum chapters, {_BUILD}"),
        ("metadata document questions", f"SQuALITY stories, {_BUILD}"),
        ("topic_list meeting_transcripts", "QMSum meetings, which no published benchmark here asks for"),
        (
            "case_id requested_rewrite",
            "MQuAKE cases, the source of FactConsolidation, without the benchmark's numbered facts",
        ),
        (
            "dialog_id turn_id rec",
            "ReDial turns, the source of MemoryAgentBench's recsys_redial_full, without its context",
        ),
        ("preference question explanation", "PrefEval preferences, which have no gold answers: a model judges them"),
        (
            "source qa_pair_id question golds",
            "questions and golds without contexts; a context file beside it makes the streams",
        ),
        ("instance_id evidence_chunk_idx", "a side file of evidence, read with the parquet file of the same name"),
        ("seg_book_idx segment_1 segment_2", "SORT segment pairs without the books' texts"),
        ("ex_book_idx excerpt_text", "SORT excerpts without questions"),
        ("@context distribution recordSet", "a description of a data set (Croissant), without data"),
        ("book_idx book_num_words", "a list of books without texts"),
    )
)


def described(path: Path) -> DataError:
    """The error that says what a file is and why no stream is read from it."""
    try:
        fields = _fields(path)
    except (DataError, OSError, ValueError, RecursionError) as error:
        return DataError(f"{path.name} holds no streams in a published form that is known here: {error}")
    for kind in _KINDS:
        if kind.fields <= fields:
            return DataError(f"{path.name} holds no streams: {kind.what}")
    if path.suffix == ".csv" and len(fields) == 2:
        return DataError(
            f"{path.name} holds no streams: a table of two columns with no header, as NLU's utterances are, {_BUILD}"
        )
    if path.suffix == ".label":
        return DataError(f"{path.name} holds no streams: TREC questions, {_BUILD}")
    if path.suffix == ".txt" and fields == {_ABSTRACT}:
        return DataError(f"{path.name} holds no streams: PubMed-RCT abstracts, {_BUILD}")
    seen = ", ".join(sorted(fields)[:8]) or "no named fields"
    return DataError(
        f"{path.name} holds no streams in a published form that is known here (docs/data.md lists them); "
        f"its first record has: {seen}"
    )


def _fields(path: Path) -> frozenset[str]:
    """Names in the first record of a JSON, JSON-lines, CSV or parquet file."""
    if path.suffix == ".parquet":
        return frozenset(ParquetRows(path).columns)
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            return frozenset(next(csv.reader(file), []))
        if path.suffix == ".jsonl":
            return _names(json.loads(file.readline() or "null"))
        if path.suffix != ".json":
            return frozenset({_ABSTRACT}) if file.read(len(_ABSTRACT)) == _ABSTRACT else frozenset()
        start = file.read(1).strip() or file.read(1)
        if start == "{":
            file.seek(0)
            return _names(json.load(file))
    rows = JsonRows(path)
    if not len(rows):
        return frozenset()
    return frozenset(rows[0].names)


def _names(content: object) -> frozenset[str]:
    return frozenset(content) if isinstance(content, dict) else frozenset()
