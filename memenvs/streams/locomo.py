"""LoCoMo: one stream per conversation, one chunk per session.

Form (snap-research/locomo@3eb6f2c: data/locomo10.json; CC BY-NC 4.0): a JSON array of ``sample_id``, ``conversation``
(``session_<n>``: turns of {speaker, dia_id, text, blip_caption?}, ``session_<n>_date_time``) and ``qa`` ({question, answer,
evidence, category}). What the file has that a reader would not expect is in docs/data.md; each case is noted in the stream's
``metadata["problems"]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.streams.hub import hub_folder, named
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import JsonRows, Row
from memenvs.streams.types import Chunk, Evidence, Question, Stream

HUB_ID = "snap-research/locomo"
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""Category -> what it asks for (the published evaluation's order)."""
ADVERSARIAL = 5
UNANSWERABLE = ("Not mentioned in the conversation", "No information available")
"""References of adversarial questions, which mostly have no answer: what the published evaluation looks for."""
SETTINGS = ("families", "on_error")
LICENCE = "CC BY-NC 4.0"
_SESSION = re.compile(r"session_(\d+)")
_DIALOGUE_ID = re.compile(r"D:?(\d+):(\d+)")


def open_path(
    path: Path, split: str = "test", families: Iterable[str] | None = None, on_error: str = "raise"
) -> PublishedStreams:
    """Open the JSON file, or the one file ``locomo*.json`` of a folder.

    Args:
        path: file or folder.
        split: there is only "test"; a file fixes it.
        families: "locomo-1" to "locomo-5", by `CATEGORIES`.
        on_error: see `PublishedStreams`.

    Raises:
        DataError: not there, or another form.
    """
    if path.is_dir():
        if split != "test":
            raise DataError(f"LoCoMo has only the split 'test', got {split!r}; give split='test'")
        found = sorted(path.glob("locomo*.json"))
        if len(found) != 1:
            raise DataError(
                f"{path}: expected one file locomo*.json, got {[p.name for p in found]}; give the file's path"
            )
        path = found[0]
    form = Format("LoCoMo", LICENCE, _read, _outline)
    return PublishedStreams(JsonRows(path), form, path.name, "test", families, on_error)


def open_hub(
    hub_id: str = HUB_ID, split: str = "test", revision: str | None = None, **settings: Any
) -> PublishedStreams:
    """Open a copy on a hub that has one file ``locomo*.json``.

    Args:
        hub_id: of the copy; the authors' own repository is on no hub.
        split: as in `open_path`.
        revision: commit, branch or tag; None for what is newest.
        settings: as in `open_path`.

    Raises:
        DataError: as `open_path`; for the authors' repository it says where the file is and how to give its path.
    """
    if hub_id.lower() == HUB_ID:
        raise DataError(
            f"LoCoMo is published at github.com/{HUB_ID} (data/locomo10.json), not on a hub: download the file and give its path, "
            "for instance data='locomo10.json'"
        )
    folder, commit = hub_folder(hub_id, revision, ["*locomo*.json"])
    found = sorted(folder.rglob("locomo*.json"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{named(hub_id, commit)}: expected one file locomo*.json, got {names}")
    opened = open_path(found[0], split, **settings)
    opened.source, opened.revision = named(hub_id, commit), commit
    return opened


def _outline(row: Row) -> Outline:
    kinds = frozenset(f"locomo-{_category(row, entry)}" for entry in row.items("qa", 1))
    return Outline(kinds, len(_session_names(row.object("conversation"))))


def _session_names(conversation: dict[str, Any]) -> list[str]:
    """Names of the sessions that are there, in the order of their numbers; a date may stand without a session."""
    numbers = sorted(
        int(m.group(1)) for name, value in conversation.items() if (m := _SESSION.fullmatch(name)) and value
    )
    return [f"session_{number}" for number in numbers]


def _read(row: Row) -> Stream:
    conversation = row.object("conversation")
    places: dict[tuple[int, int], Evidence] = {}
    problems: list[str] = []
    chunks = []
    names = _session_names(conversation)
    for step, name in enumerate(names):
        when = conversation.get(f"{name}_date_time")
        when = None if when is None else row.string("conversation", when)
        lines = [f"[Dialogue at timestamp {when}]"] if when else []
        for turn in _turns(row, conversation[name]):
            lines.append(f"{row.string('conversation', turn.get('speaker'))}: {_said(row, turn)}")
            if place := _DIALOGUE_ID.fullmatch(str(turn.get("dia_id"))):
                places.setdefault((int(place[1]), int(place[2])), Evidence(step, lines[-1]))
        chunks.append(Chunk("\n".join(lines), when))
    if not chunks:
        raise row.fault("conversation", "at least one session", list(conversation))
    bare = [n for n in conversation if n.endswith("_date_time") and n.removesuffix("_date_time") not in names]
    problems += [f"{len(bare)} session dates without a session"] if bare else []
    listed = row.items("qa", 1)
    questions = tuple(_question(row, number, entry, places, problems) for number, entry in enumerate(listed))
    extras = {"adversarial_answers": [entry.get("adversarial_answer") for entry in listed], "problems": problems}
    return Stream(row.text("sample_id"), "locomo", tuple(chunks), questions, extras)


def _turns(row: Row, session: Any) -> list[dict[str, Any]]:
    if not isinstance(session, list) or not all(isinstance(turn, dict) for turn in session):
        raise row.fault("conversation", "sessions that are lists of turns with speaker, dia_id and text", session)
    return session


def _said(row: Row, turn: dict[str, Any]) -> str:
    text, photo = row.string("conversation", turn.get("text")), turn.get("blip_caption")
    return f"{text} [shares a photo: {row.string('conversation', photo)}]".strip() if photo else text


def _category(row: Row, entry: Any) -> int:
    if not isinstance(entry, dict) or entry.get("category") not in list(CATEGORIES):
        raise row.fault("qa", f"objects with question, evidence and a category of {list(CATEGORIES)}", entry)
    return int(entry["category"])


def _question(
    row: Row, number: int, entry: Any, places: dict[tuple[int, int], Evidence], problems: list[str]
) -> Question:
    category = _category(row, entry)
    text = row.string("qa", entry.get("question"))
    if category == ADVERSARIAL:
        references: tuple[str, ...] = UNANSWERABLE
    else:
        references = row.answers("qa", entry.get("answer"))
        if not isinstance(entry["answer"], str):
            problems.append(f"question {number}: the answer is no string but {entry['answer']!r}")
    return Question(text, references, f"locomo-{category}", _evidence(number, entry.get("evidence"), places, problems))


def _evidence(
    number: int, listed: Any, places: dict[tuple[int, int], Evidence], problems: list[str]
) -> tuple[Evidence, ...]:
    """The turns that the dialogue ids name: every id in a string counts, ids of no turn are left out; the odd is noted."""
    strings = listed if isinstance(listed, list) else []
    if not strings:
        problems.append(f"question {number}: no evidence")
    found: dict[Evidence, None] = {}
    for string in strings:
        named = [(int(m[1]), int(m[2])) for m in _DIALOGUE_ID.finditer(str(string))]
        known = [place for place in named if place in places]
        if [f"D{session}:{turn}" for session, turn in known] != [string]:
            problems.append(
                f"question {number}: evidence {string!r} is malformed: it names {len(named)} turns, {len(known)} of them exist"
            )
        found.update((places[place], None) for place in known)
    return tuple(found)
