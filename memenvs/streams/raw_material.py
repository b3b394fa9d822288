"""Files of public sources that are no streams: what they are, and what makes streams of them.

* `described` - why a file is not opened as a data set.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

from memenvs.errors import DataError
from memenvs.streams.rows import JsonRows, ParquetRows

_ABSTRACT = "###"
"""How an abstract begins in PubMed-RCT's text form."""
_BOOK = "*** START OF"
"""What stands above the text of a Project Gutenberg book."""
_NAMES = "a list of names"
"""Stands for the fields of a JSON array of strings."""


def _built(what: str, option: str) -> str:
    return f"{what}, raw material: `memenvs data build memalpha --{option} PATH` makes streams of it"


class _Kind(NamedTuple):
    fields: frozenset[str]
    """Fields that the first record has."""
    what: str
    """What such a file is."""


_KINDS = tuple(
    _Kind(frozenset(fields.split()), what)
    for fields, what in (
        ("data version", _built("SQuAD articles", "squad")),
        ("title context question answers", _built("SQuAD questions", "squad")),
        ("question answer supporting_facts context", _built("HotpotQA questions", "hotpotqa")),
        ("text category", _built("BANKING77 utterances (some contain blank lines)", "banking77")),
        ("oos_val train test", _built("CLINC150 utterances", "clinc150")),
        ("rasa_nlu_data", _built("NLU evaluation utterances", "nlu")),
        ("text labels", _built("PubMed-RCT sentences", "pubmed")),
        ("sentences labels confs", _built("CSAbstruct abstracts", "pubmed")),
        ("book_title chapter_id text", _built("BookSum chapters", "books")),
        ("metadata document questions", _built("SQuALITY stories", "books")),
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
        ("auto_and_commute banking", "CLINC150's domains: names of intents without utterances"),
    )
)
_NAMED = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"P\d+", "MQuAKE's sentence templates by Wikidata relation, without facts"),
        (
            r"<http://dbpedia\.org/.*",
            "titles and numbers of recsys_redial_full's films: give its path as entities to the benchmark's data",
        ),
        (r"icl_.*", "names of MemoryAgentBench's label numbers, without examples"),
    )
)
"""Names that all fields have -> what such a file is."""


def described(path: Path) -> DataError:
    """The error that says what a file is and why no stream is read from it."""
    try:
        fields = _fields(path)
    except (DataError, OSError, ValueError, RecursionError) as error:
        return DataError(f"{path.name} holds no streams in a published form that is known here: {error}")
    for kind in _KINDS:
        if kind.fields <= fields:
            return DataError(f"{path.name} holds no streams: {kind.what}")
    for pattern, what in _NAMED:
        if fields and all(map(pattern.fullmatch, sorted(fields)[:99])):
            return DataError(f"{path.name} holds no streams: {what}")
    if told := _by_suffix(path.suffix, fields):
        return DataError(f"{path.name} holds no streams: {told}")
    seen = ", ".join(sorted(fields)[:8]) or "no named fields"
    return DataError(
        f"{path.name} holds no streams in a published form that is known here (docs/data.md lists them); "
        f"its first record has: {seen}"
    )


def _by_suffix(suffix: str, fields: frozenset[str]) -> str | None:
    """What a file without names of its own is."""
    if fields == {_NAMES}:
        return f"{_NAMES} (such as BANKING77's categories), without texts"
    if suffix == ".csv" and len(fields) == 2:
        return _built("a table of two columns with no header, as NLU's utterances are", "nlu")
    if suffix == ".label":
        return _built("TREC questions", "trec")
    if suffix == ".txt" and fields == {_ABSTRACT}:
        return _built("PubMed-RCT abstracts", "pubmed")
    if suffix == ".txt" and fields == {_BOOK}:
        return _built("a Project Gutenberg book", "books")
    return None


def _fields(path: Path) -> frozenset[str]:
    """Names in the first record of a JSON, JSON-lines, CSV or parquet file; for a text how it begins, where that is known."""
    if path.suffix == ".parquet":
        return frozenset(ParquetRows(path).columns)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            return frozenset(next(csv.reader(file), []))
        if path.suffix == ".jsonl":
            return _names(json.loads(file.readline() or "null"))
        if path.suffix != ".json":
            text = file.read(4096)
            if text.startswith(_ABSTRACT):
                return frozenset({_ABSTRACT})
            return frozenset({_BOOK} if text.startswith(_BOOK) or f"\n{_BOOK}" in text else ())
        start = file.read(4096).lstrip()
        if start.startswith("{"):
            file.seek(0)
            return _names(json.load(file))
        if start[1:].lstrip().startswith('"'):
            return frozenset({_NAMES})
    rows = JsonRows(path)
    if not len(rows):
        return frozenset()
    return frozenset(rows[0].names)


def _names(content: object) -> frozenset[str]:
    return frozenset(content) if isinstance(content, dict) else frozenset()
