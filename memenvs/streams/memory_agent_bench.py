"""MemoryAgentBench: one stream per row, the context cut into chunks of whole sentences.

Form (ai-hyz/MemoryAgentBench, MIT; HUST-AI-HYZ/MemoryAgentBench@455306d): four parquet files, one per competency, with ``context``,
``questions``, ``answers`` (per question a list of golds) and ``metadata`` (``source``, ``qa_pair_ids``, for LongMemEval
``question_ids``, ``question_types``, ``question_dates``, for summaries ``keypoints``).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.memory.token_counters import token_counter
from memenvs.streams.chunking import mab_chunks
from memenvs.streams.fact_evidence import newest_fact, newest_facts, place, single_hop
from memenvs.streams.facts import Fact
from memenvs.streams.hub import hub_folder, named
from memenvs.streams.longmemeval import session_text
from memenvs.streams.mab_settings import ChunkSettings
from memenvs.streams.mab_templates import memorized
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import ChainedRows, GivenRows, ParquetRows, Row, Rows
from memenvs.streams.types import Chunk, Question, Stream

HUB_ID = "ai-hyz/MemoryAgentBench"
COMPETENCIES = {
    "Accurate_Retrieval": ("ruler_", "eventqa_", "longmemeval_"),
    "Test_Time_Learning": ("icl_", "recsys_"),
    "Long_Range_Understanding": ("infbench_", "detective_"),
    "Conflict_Resolution": ("factconsolidation_",),
}
"""Published split -> how the names of its sub-datasets begin."""
COLUMNS = ("context", "questions", "answers", "metadata")
LICENCE = "MIT"
CONTAMINATION = (
    "much of Accurate_Retrieval and Long_Range_Understanding can be answered without memory (issue 10 of the repository); "
    "icl_nlu and icl_trec_coarse questions stand in Memalpha's training data"
)
MAX_LITERAL_CHARS = 8_000_000
"""Longest context that is read as a Python literal; the published ones have up to 1.6 million characters."""
# The sessions again, once for each question of the row.
_UNREAD = ("metadata.haystack_sessions", "metadata.demo", "metadata.previous_events")
_KEPT = ("qa_pair_ids", "question_ids", "question_types", "question_dates", "keypoints")


SETTINGS = ("families", "on_error", *ChunkSettings.__dataclass_fields__)
"""What `open_path` takes as settings; `open_hub` takes ``revision`` too."""


def open_path(
    path: Path,
    split: str = "test",
    families: Iterable[str] | None = None,
    on_error: str = "raise",
    **settings: Any,
) -> PublishedStreams:
    """Open a parquet file, or a folder with some of the four.

    Args:
        path: file; or folder with ``<competency>*.parquet``, itself or in ``data/``.
        split: of a folder: a competency, or "test" for all that are there; a file fixes it.
        families: names of sub-datasets (or how they begin), or competencies.
        on_error: see `PublishedStreams`.
        settings: fields of `ChunkSettings`.

    Raises:
        DataError: not there, or another form.
        SettingsError: a setting has an unknown value.
    """
    rows, split = _rows_at(path, split)
    return PublishedStreams(rows, _form(ChunkSettings(**settings)), path.name, split, families, on_error)


def open_hub(
    hub_id: str = HUB_ID,
    split: str = "test",
    revision: str | None = None,
    families: Iterable[str] | None = None,
    on_error: str = "raise",
    **settings: Any,
) -> PublishedStreams:
    """Open splits from the hub; only those that ``families`` needs are loaded. Arguments and errors as `open_path`."""
    form = _form(ChunkSettings(**settings))
    folder, commit = hub_folder(hub_id, revision, [f"*{name}*.parquet" for name in _needed(split, families)])
    rows, split = _rows_at(folder, split, families)
    return PublishedStreams(rows, form, named(hub_id, commit), split, families, on_error, commit)


def open_fact_consolidation(context: Path, questions: Path, **settings: Any) -> PublishedStreams:
    """FactConsolidation from a file with the context alone and one with questions and golds.

    Args:
        context: ``factconsolidation_<size>_context.txt``, "Here is a list of facts:" and numbered facts.
        questions: JSON lines of {source, index, qa_pair_id, question, golds}; those of ``<size>`` are taken.
        settings: as `open_path`.

    Raises:
        DataError: a file cannot be read, or there is no question of that size.
    """
    size = context.name.removeprefix("factconsolidation_").partition("_")[0]
    try:
        text = context.read_text(encoding="utf-8")
        entries = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines() if line.strip()]
        asked = {
            name: [(e["qa_pair_id"], e["question"], e["golds"]) for e in entries if e["source"] == name]
            for name in (f"factconsolidation_mh_{size}", f"factconsolidation_sh_{size}")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{questions.name}: expected lines of source, qa_pair_id, question and golds: {error!r}"
        ) from error
    records = [
        {
            "context": text,
            "questions": [question for _, question, _ in triples],
            "answers": [golds for *_, golds in triples],
            "metadata": {"source": name, "qa_pair_ids": [pair for pair, *_ in triples]},
        }
        for name, triples in asked.items()
        if triples
    ]
    families, on_error = settings.pop("families", None), settings.pop("on_error", "raise")
    form = _form(ChunkSettings(**settings))
    return PublishedStreams(
        GivenRows(context.name, records), form, context.name, "Conflict_Resolution", families, on_error
    )


def _rows_at(path: Path, split: str, families: Iterable[str] | None = None) -> tuple[Rows, str]:
    if not path.is_dir():
        return ParquetRows(path, _UNREAD), next((name for name in COMPETENCIES if path.stem.startswith(name)), "test")
    files = {
        name: found[0]
        for name in COMPETENCIES
        if (found := sorted(path.glob(f"{name}*.parquet")) or sorted(path.glob(f"data/{name}*.parquet")))
    }
    wanted = [name for name in _needed(split, families) if name in files]
    if not wanted:
        raise DataError(f"{path} has no parquet file of the split {split!r}; it has: {', '.join(files) or 'none'}")
    parts = [ParquetRows(files[name], _UNREAD) for name in wanted]
    return (parts[0] if len(parts) == 1 else ChainedRows(path.name, parts)), split


def _needed(split: str, families: Iterable[str] | None) -> list[str]:
    """The published splits that are asked for."""
    if split in COMPETENCIES:
        return [split]
    if split != "test":
        raise DataError(
            f"MemoryAgentBench has no split {split!r}; it has test questions only: {', '.join(COMPETENCIES)}, or 'test' for all"
        )
    named = None if families is None else tuple(families)
    return [
        name
        for name, starts in COMPETENCIES.items()
        if named is None or any(_within(family, name, starts) for family in named)
    ] or list(COMPETENCIES)


def _within(family: str, competency: str, starts: tuple[str, ...]) -> bool:
    return family == competency or family.startswith(starts) or any(start.startswith(family) for start in starts)


def _form(settings: ChunkSettings) -> Format:
    titles = None if settings.entities is None else _titles(Path(settings.entities))
    known = settings.deciding() | {"entities": titles is not None}
    return Format(
        "MemoryAgentBench",
        LICENCE,
        partial(_read, settings=settings, titles=titles),
        partial(_outline, settings=settings),
        CONTAMINATION,
        COMPETENCIES,
        known,
    )


def _titles(path: Path) -> dict[str, str]:
    """Entity number -> title, from ``{"<http://dbpedia.org/resource/Some_Title>": number}``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(number): re.sub(r"^<.*/|>$", "", name).replace("_", " ") for name, number in content.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: expected a JSON object of entity names and numbers: {error!r}") from error


def _outline(row: Row, settings: ChunkSettings) -> Outline:
    source, context = _source(row), row.text("context")
    if settings.by_sessions(source):
        return Outline(frozenset({source}), context.count("["))
    # Two neighbouring chunks exceed the size together, and no token is shorter than a byte.
    return Outline(frozenset({source}), 2 * len(context.encode()) // settings.chunk_size + 3)


def _source(row: Row) -> str:
    return row.string("metadata.source", row.object("metadata").get("source"))


def _read(row: Row, settings: ChunkSettings, titles: dict[str, str] | None) -> Stream:
    source, context, metadata = _source(row), row.text("context"), row.object("metadata")
    if settings.by_sessions(source):
        chunks = _session_chunks(row, context)
    else:
        count = token_counter(settings.tokens)
        texts = mab_chunks(context, count, settings.chunk_size, settings.splitter, settings.published_chunks)
        chunks = [Chunk(text) for text in texts]
    if not chunks:
        raise row.fault("context", "some text", context)
    if settings.templates is not None:
        chunks = [_told(chunk, source, settings.templates, step) for step, chunk in enumerate(chunks)]
    asked, golds = row.items("questions", 1), row.items("answers", 1)
    if len(asked) == 1:  # all answers belong to the one question, however deep they are nested
        golds = [[one for gold in golds for one in (gold if isinstance(gold, list) else [gold])]]
    if len(asked) != len(golds):
        raise row.fault("answers", f"one list of golds per question, {len(asked)}", len(golds))
    facts = newest_facts(context) if settings.fact_evidence and single_hop(source) else ()
    return Stream(
        id=f"{source}/{row.number}",
        source=source,
        chunks=tuple(chunks),
        questions=tuple(
            _question(row.string("questions", text), _references(row, gold, source, titles), source, facts, chunks)
            for text, gold in zip(asked, golds, strict=True)
        ),
        metadata={name: metadata[name] for name in _KEPT if metadata.get(name)}
        | ({"templates": settings.templates} if settings.templates else {}),
    )


def _question(
    text: str, references: tuple[str, ...], source: str, facts: tuple[Fact, ...], chunks: list[Chunk]
) -> Question:
    fact = newest_fact(text, references, facts)
    stands = None if fact is None else place(fact, chunks)
    return Question(text, references, source, () if stands is None else (stands,))


def _told(chunk: Chunk, source: str, agent: str, step: int) -> Chunk:
    text, stamp = memorized(source, agent, chunk.text, step)
    return replace(chunk, text=text, timestamp=chunk.timestamp or stamp)


def _references(row: Row, gold: Any, source: str, titles: dict[str, str] | None) -> tuple[str, ...]:
    answers = row.answers("answers", gold)
    if titles is None or not source.startswith("recsys"):
        return answers
    unknown = [answer for answer in answers if answer not in titles]
    if unknown:
        raise row.fault("answers", "numbers of known entities", unknown)
    return tuple(titles[answer] for answer in answers)


def _session_chunks(row: Row, context: str) -> list[Chunk]:
    """Chunks of a context that is the printed form of a Python list: date, session, date, session, ..."""
    expected = "a Python list of dates and sessions of {role, content} by turns"
    if len(context) > MAX_LITERAL_CHARS:
        raise row.fault("context", f"at most {MAX_LITERAL_CHARS} characters for a Python list", len(context))
    try:
        listed = ast.literal_eval(context)
        chunks = []
        for when, session in zip(listed[::2], listed[1::2], strict=True):
            turns = [(row.string("context", turn["role"]), row.string("context", turn["content"])) for turn in session]
            chunks.append(Chunk(session_text(turns, row.string("context", when)), when))
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise row.fault("context", f"{expected} ({error!r:.60})", context) from error
    return chunks
