"""LongMemEval: one stream per instance, one chunk per session, one question.

Form (xiaowu0162/longmemeval, README; MIT): a JSON array or a parquet table of ``question_id`` (ending in ``_abs`` where the
sessions do not tell the answer), ``question_type``, ``question``, ``answer`` (a string, sometimes a number), ``question_date``,
``haystack_sessions`` (lists of {role, content, has_answer?}), ``haystack_dates``, ``haystack_session_ids``, ``answer_session_ids``.
Also Mem-alpha's ``longmemeval_combined_train_v2.json``: ``{"samples": [...]}`` with lists of questions over the same sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.streams.hub import hub_file, named
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import JsonRows, ParquetRows, Row, Rows
from memenvs.streams.types import Chunk, Evidence, Question, Stream

HUB_ID = "xiaowu0162/longmemeval-cleaned"
VARIANTS = {"s": "longmemeval_s", "m": "longmemeval_m", "oracle": "longmemeval_oracle"}
"""Variant -> how its file name begins."""
SETTINGS = ("families", "on_error", "question_date")
"""What `open_path` takes as settings; a folder and `open_hub` take ``variant`` too, and a hub ``revision``."""
LICENCE = "MIT"
_SPEAKERS = {"user": "<User>", "assistant": "<Assistant>"}
_DATE = re.compile(r"\d{4}/\d\d/\d\d \(\w{3}\) \d\d:\d\d")


def open_path(
    path: Path,
    split: str = "test",
    variant: str = "s",
    families: Iterable[str] | None = None,
    on_error: str = "raise",
    question_date: bool = True,
) -> PublishedStreams:
    """Open a JSON or parquet file, or the one of a folder that holds a variant.

    Args:
        path: file or folder.
        split: "test" for a folder; a file fixes it.
        variant: "s", "m" or "oracle": which file of a folder.
        families: "longmemeval-<type>" or "longmemeval-abstention" (or how these begin); "lme_train" for the training form.
        on_error: see `PublishedStreams`.
        question_date: whether the question begins with the date it is asked at, without which "how long ago" has no answer.

    Raises:
        DataError: not there, or another form.
        SettingsError: a setting has an unknown value.
    """
    if path.is_dir():
        _check_split(split)
        path = _in_folder(path, _begin(variant))
    rows: Rows = ParquetRows(path) if path.suffix == ".parquet" else JsonRows(path)
    return PublishedStreams(rows, _form(rows, question_date), path.name, _split_of(path), families, on_error)


def open_hub(
    hub_id: str = HUB_ID, split: str = "test", variant: str = "s", revision: str | None = None, **settings: Any
) -> PublishedStreams:
    """Open a variant from the hub. Arguments and errors as `open_path`; ``revision`` is a commit, branch or tag."""
    _check_split(split)
    cleaned = "_cleaned" if hub_id.endswith("cleaned") and variant != "oracle" else ""
    path, commit = hub_file(hub_id, f"{_begin(variant)}{cleaned}.json", revision)
    opened = open_path(path, **settings)
    opened.source, opened.revision = f"{named(hub_id, commit)}/{variant}", commit
    return opened


def is_training_form(path: Path) -> bool:
    """Whether a JSON file is an object that begins with ``"samples"``."""
    with path.open("rb") as file:
        return re.match(rb'\s*\{\s*"samples"\s*:', file.read(256).removeprefix(b"\xef\xbb\xbf")) is not None


def session_text(turns: Iterable[tuple[str, str]], when: str | None) -> str:
    """A session as a chunk, in the lines of the published Memalpha chunks (``lme_train``).

    Args:
        turns: (role, what was said).
        when: the session's date, told in the first line.
    """
    first = [f"[Dialogue at timestamp {when}]"] if when else []
    return "\n".join([*first, *(f"{_SPEAKERS.get(role, f'<{role}>')} {said}" for role, said in turns)])


def _check_split(split: str) -> None:
    if split != "test":
        raise DataError(f"LongMemEval has only the split 'test', got {split!r}; give split='test'")


def _begin(variant: str) -> str:
    if variant not in VARIANTS:
        raise SettingsError(
            f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}.{did_you_mean(variant, VARIANTS)}"
        )
    return VARIANTS[variant]


def _in_folder(folder: Path, begin: str) -> Path:
    found = sorted(p for p in folder.iterdir() if p.name.startswith(begin) and p.suffix in (".json", ".parquet"))
    if not found:
        names = ", ".join(sorted(p.name for p in folder.iterdir()))
        raise DataError(f"{folder} has no file {begin}*.json or {begin}*.parquet; it has: {names or 'nothing'}")
    return found[0]  # .json before .parquet


def _split_of(path: Path) -> str:
    return "train" if "train" in path.stem else "test"


def _form(rows: Rows, question_date: bool) -> Format:
    training = len(rows) > 0 and "questions" in rows[0]
    read = _read_sample if training else partial(_read_instance, question_date=question_date)
    outline = _outline_sample if training else _outline_instance
    return Format("LongMemEval", LICENCE, read, outline, settings={"question_date": question_date})


def _outline_instance(row: Row) -> Outline:
    return Outline(frozenset({_source(row)}), len(row.items("haystack_sessions", 1)))


def _outline_sample(row: Row) -> Outline:
    return Outline(frozenset({"lme_train"}), len(row.items("haystack_sessions", 1)))


def _source(row: Row) -> str:
    kind = "abstention-" if "_abs" in row.text("question_id") else ""
    return f"longmemeval-{kind}{row.text('question_type')}"


def _read_instance(row: Row, question_date: bool) -> Stream:
    source, asked, when = _source(row), row.text("question"), row.get("question_date")
    sessions = _sessions(row)
    evidence = () if "-abstention-" in source else _evidence(row, sessions)
    text = f"Current Date: {row.string('question_date', when)}\nQuestion: {asked}" if question_date and when else asked
    return Stream(
        id=row.text("question_id"),
        source="longmemeval",
        chunks=tuple(Chunk(session_text([(r, c) for r, c, _ in turns], date), date) for _, date, turns in sessions),
        questions=(Question(text, row.answers("answer", row.get("answer")), source, evidence),),
        metadata={
            "question_ids": [row.text("question_id")],
            "question_types": [row.text("question_type")],
            "question_dates": [when],
            "questions_as_published": [asked],
        },
    )


def _read_sample(row: Row) -> Stream:
    sessions = _sessions(row)
    questions, answers, types = row.items("questions", 1), row.items("answers"), row.items("question_types")
    if not len(questions) == len(answers) == len(types):
        raise row.fault(
            "answers", f"one answer and one type per question, {len(questions)}", (len(answers), len(types))
        )
    return Stream(
        id=row.text("sample_id"),
        source="lme_train",
        chunks=tuple(Chunk(session_text([(r, c) for r, c, _ in turns], date), date) for _, date, turns in sessions),
        questions=tuple(
            Question(row.string("questions", text), row.answers("answers", answer), "lme_train")
            for text, answer in zip(questions, answers, strict=True)
        ),
        metadata={"question_types": types},
    )


_Turn = tuple[str, str, bool]
_Session = tuple[str, str, list[_Turn]]


def _sessions(row: Row) -> list[_Session]:
    """(id, date, turns) in the order of time, where all dates can be ordered; the oracle variant's file is in no order."""
    listed, dates = row.items("haystack_sessions", 1), row.items("haystack_dates")
    ids = row.items("haystack_session_ids") if "haystack_session_ids" in row else [""] * len(listed)
    if not len(listed) == len(dates) == len(ids):
        raise row.fault("haystack_dates", f"one date and one id per session, {len(listed)}", (len(dates), len(ids)))
    found = [
        (str(name), row.string("haystack_dates", date), _turns(row, session))
        for name, date, session in zip(ids, dates, listed, strict=True)
    ]
    if all(_DATE.fullmatch(date) for _, date, _ in found):
        found.sort(key=lambda session: session[1])
    return found


def _turns(row: Row, session: Any) -> list[_Turn]:
    field = "haystack_sessions"
    if not isinstance(session, list):
        raise row.fault(field, "sessions that are lists of turns", session)
    for turn in session:
        if not isinstance(turn, dict):
            raise row.fault(field, "turns with role and content", turn)
    return [
        (row.string(field, turn.get("role")), row.string(field, turn.get("content")), turn.get("has_answer") is True)
        for turn in session
    ]


def _evidence(row: Row, sessions: list[_Session]) -> tuple[Evidence, ...]:
    """The turns that are marked, else the sessions that are named."""
    marked = [Evidence(i, said) for i, (_, _, turns) in enumerate(sessions) for _, said, has in turns if has]
    named = row.get("answer_session_ids")
    if marked or not isinstance(named, list):
        return tuple(marked)
    return tuple(Evidence(i) for i, (name, _, _) in enumerate(sessions) if name in named)
