"""Time-Dialog: one stream per dialogue, one chunk per session, questions about when things happened.

Form (ElvinDu518/Memory-T1 on the hub, MIT; as read by Elvin-Yiming-Du/Memory-T1@fee86f5, temporal_reasoning/): two JSON files.
``time_dial_labeled_contexts.json``: dialogue -> session number -> {``session_date``, ``content``: turns of {speaker, utterance,
utterance_date}}. ``time_dial_context*_with_evidence*.json``: an array of {``Question ID``, ``Question`` with its options,
``Gold Answer``, ``Context`` (a dialogue), ``Task``, ``Level``, ``Evidence``: [{session_id, utterance}]}. No file was at hand: this
is what the published code reads. Its prompts tell the time of the run as the time of the question; nothing of the data says one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.streams.hub import hub_folder, named
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import GivenRows, JsonRows, Row
from memenvs.streams.types import Chunk, Evidence, Question, Stream

HUB_ID = "ElvinDu518/Memory-T1"
TASKS = (
    "Extract", "Localization", "Computation", "Duration_Compare", "Order_Compare", "Explicit_Reasoning", "Order_Reasoning",
    "Relative_Reasoning", "Counterfactual", "Co_temporality", "Timeline",
)  # fmt: skip
"""The published tasks; the family of a question is "timedialog-<task>" in lower case."""
SETTINGS = ("families", "on_error")
LICENCE = "MIT"
CONTEXTS = "time_dial_labeled_contexts*.json"
QUESTIONS = "time_dial_context*evidence*.json"
"""Patterns of the two files."""
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


def open_path(
    path: Path, split: str = "test", families: Iterable[str] | None = None, on_error: str = "raise"
) -> PublishedStreams:
    """Open the file of questions, with that of dialogues beside it, or a folder that holds one of each.

    Args:
        path: file or folder.
        split: there is only "test"; a file fixes it.
        families: "timedialog-<task>" (or how these begin).
        on_error: see `PublishedStreams`; a row is a dialogue with its questions. A question of no dialogue is refused in any case.

    Raises:
        DataError: a file is missing or of another form.
    """
    if path.is_dir() and split != "test":
        raise DataError(f"Time-Dialog has only the split 'test', got {split!r}; give split='test'")
    folder = path if path.is_dir() else path.parent
    contexts = _only(folder, CONTEXTS)
    questions = path if path.is_file() and not path.match(CONTEXTS) else _only(folder, QUESTIONS)
    return _open(contexts, questions, path.name, families, on_error)


def open_hub(
    hub_id: str = HUB_ID, split: str = "test", revision: str | None = None, **settings: Any
) -> PublishedStreams:
    """Open the data set on the hub. Arguments and errors as `open_path`; ``revision`` is a commit, branch or tag."""
    if split != "test":
        raise DataError(f"Time-Dialog has only the split 'test', got {split!r}; give split='test'")
    folder, commit = hub_folder(hub_id, revision, ["*time_dial*.json"])
    files = [_only(folder, pattern) for pattern in (CONTEXTS, QUESTIONS)]
    opened = _open(files[0], files[1], named(hub_id, commit), **settings)
    opened.revision = commit
    return opened


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise DataError(
            f"{folder.name}: expected one file {pattern} of Time-Dialog, got {names}; give the path of the file of questions, with "
            "that of dialogues beside it"
        )
    return found[0]


def _open(
    contexts: Path, questions: Path, source: str, families: Iterable[str] | None = None, on_error: str = "raise"
) -> PublishedStreams:
    try:
        dialogues = json.loads(contexts.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{contexts.name} cannot be read as JSON: {error}") from error
    if not isinstance(dialogues, dict):
        raise DataError(f"{contexts.name}: expected an object of dialogues by name, got {str(dialogues)[:120]!r}")
    asked: dict[str, list[Any]] = {}
    rows = JsonRows(questions)
    for row in (rows[number] for number in range(len(rows))):
        name = row.text("Context")
        if name not in dialogues:
            raise row.fault("Context", f"the name of a dialogue in {contexts.name}", name)
        asked.setdefault(name, []).append({field: row.get(field) for field in row.names})
    records = [
        {"name": name, "sessions": dialogues[name], "questions": asked[name]} for name in dialogues if name in asked
    ]
    form = Format("Time-Dialog", LICENCE, _read, _outline)
    return PublishedStreams(
        GivenRows(f"{questions.name} by dialogue", records), form, source, "test", families, on_error
    )


def _outline(row: Row) -> Outline:
    kinds = frozenset(_source(row, entry) for entry in row.items("questions", 1))
    return Outline(kinds, len(row.object("sessions")))


def _source(row: Row, entry: dict[str, Any]) -> str:
    return f"timedialog-{row.string('Task', entry.get('Task')).lower()}"


def _read(row: Row) -> Stream:
    sessions = [(name, _session(row, session)) for name, session in row.object("sessions").items()]
    if all(when and _ISO.fullmatch(when) for _, (when, _) in sessions):
        sessions.sort(key=lambda one: one[1][0] or "")
    chunks, steps = [], {}
    for step, (name, (when, lines)) in enumerate(sessions):
        steps[name] = step
        head = [f"[Dialogue at timestamp {when}]"] if when else []
        chunks.append(Chunk("\n".join([*head, *lines]), when))
    if not chunks:
        raise row.fault("sessions", "at least one session", row.get("sessions"))
    listed = row.items("questions", 1)
    questions = tuple(_question(row, entry, steps, chunks) for entry in listed)
    extras = {
        "question_ids": [entry.get("Question ID") for entry in listed],
        "question_types": [entry.get("Level") for entry in listed],
    }
    return Stream(row.text("name"), "timedialog", tuple(chunks), questions, extras)


def _session(row: Row, session: Any) -> tuple[str | None, list[str]]:
    """(date, lines): a line tells the time of its turn where that is not the session's."""
    turns = session.get("content") if isinstance(session, dict) else None
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise row.fault("sessions", "objects with session_date and content, a list of turns", session)
    when = session.get("session_date") or None
    if when is not None:
        row.string("session_date", when)
    lines = []
    for turn in turns:
        said, own = row.string("utterance", turn.get("utterance")), turn.get("utterance_date")
        told = f" ({own})" if own and own != when else ""
        lines.append(f"{row.string('speaker', turn.get('speaker'))}{told}: {said}")
    return when, lines


def _question(row: Row, entry: dict[str, Any], steps: dict[str, int], chunks: list[Chunk]) -> Question:
    found: dict[Evidence, None] = {}
    for one in entry.get("Evidence") or []:
        step = steps.get(str(one.get("session_id"))) if isinstance(one, dict) else None
        if step is not None:
            said = str(one.get("utterance") or "")
            found[Evidence(step, said if said in chunks[step].text else "")] = None
    text = row.string("Question", entry.get("Question"))
    return Question(text, row.answers("Gold Answer", entry.get("Gold Answer")), _source(row, entry), tuple(found))
