"""PerLTQA: one stream per character: profile, relationships, then one chunk per event with its dialogues.

Form (Elvin-Yiming-Du/PerLTQA@67f8351: Dataset/en_v2; CC BY-NC 4.0): ``perltmem*.json``, an object by name (in the first version a
list) of {profile, social_relationship, events, dialogues}, and ``perltqa*.json``, a list of {name: {kind: questions}} of the same
four kinds.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.streams.published import Format, Outline, PublishedStreams
from memenvs.streams.rows import GivenRows, Row
from memenvs.streams.types import Chunk, Evidence, Question, Stream

HUB_ID = "Elvin-Yiming-Du/PerLTQA"
KINDS = ("profile", "social_relationship", "events", "dialogues")
SETTINGS = ("families", "on_error")
LICENCE = "CC BY-NC 4.0"
_REFERENCE = re.compile(r"\d+(?:_\d+)+")


def open_path(
    path: Path, split: str = "test", families: Iterable[str] | None = None, on_error: str = "raise"
) -> PublishedStreams:
    """Open one of the two files, with the other one beside it, or a folder that holds one of each.

    Args:
        path: file or folder.
        split: there is only "test"; a file fixes it.
        families: "perltqa-profile", "perltqa-social_relationship", "perltqa-events", "perltqa-dialogues" (or how these begin).
        on_error: see `PublishedStreams`.

    Raises:
        DataError: a file is missing or of another form.
    """
    if path.is_dir() and split != "test":
        raise DataError(f"PerLTQA has only the split 'test', got {split!r}; give split='test'")
    memories, questions = _both(path)
    asked: dict[str, Any] = {}
    content = _json(questions)
    for entry in content if isinstance(content, list) else [content]:
        if not isinstance(entry, dict):
            raise DataError(f"{questions.name}: expected objects by name, got {str(entry)[:120]!r}")
        asked |= entry
    records = [{"name": name, "memory": memory, "questions": asked.get(name)} for name, memory in _people(memories)]
    form = Format("PerLTQA", LICENCE, _read, _outline)
    return PublishedStreams(GivenRows(memories.name, records), form, path.name, "test", families, on_error)


def open_hub(hub_id: str = HUB_ID, split: str = "test", **settings: Any) -> PublishedStreams:
    """Always refused: the authors publish the files in their repository, not on a hub.

    Raises:
        DataError: says where the files are and how to give their path.
    """
    raise DataError(
        f"PerLTQA is published at github.com/{HUB_ID} (Dataset/en_v2), not on a hub: download perltmem_en_v2.json and "
        "perltqa_en_v2.json into one folder and give its path, for instance data='PerLTQA'"
    )


def _both(path: Path) -> tuple[Path, Path]:
    """The file of memories and the file of questions."""
    if path.is_dir():
        found = [sorted(path.glob(f"{begin}*.json")) for begin in ("perltmem", "perltqa")]
        if any(len(names) != 1 for names in found):
            names = ", ".join(sorted(p.name for p in path.iterdir()))
            raise DataError(f"{path}: expected one perltmem*.json and one perltqa*.json; it has: {names}")
        return found[0][0], found[1][0]
    memories = path.with_name(path.name.replace("perltqa", "perltmem"))
    questions = path.with_name(path.name.replace("perltmem", "perltqa"))
    for file in (memories, questions):
        if not file.is_file():
            raise DataError(f"{path.name} needs {file.name} beside it: one holds the memories, the other the questions")
    return memories, questions


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _people(path: Path) -> Iterator[tuple[str, Any]]:
    content = _json(path)
    if isinstance(content, dict):
        yield from content.items()
    elif isinstance(content, list) and all(isinstance(one, dict) for one in content):
        for number, one in enumerate(content):
            profile = one.get("profile")
            yield str(profile.get("Protagonist", number) if isinstance(profile, dict) else number), one
    else:
        raise DataError(f"{path.name}: expected an object by name or a list of objects, got {str(content)[:120]!r}")


def _outline(row: Row) -> Outline:
    asked, memory = row.object("questions"), row.object("memory")
    kinds = frozenset(f"perltqa-{kind}" for kind in KINDS if asked.get(kind))
    return Outline(kinds, 2 + sum(len(memory.get(kind) or {}) for kind in ("events", "dialogues")))


def _read(row: Row) -> Stream:
    name, memory = row.text("name"), row.object("memory")
    parts = {kind: _part(row, memory, kind) for kind in KINDS}
    chunks: list[Chunk] = []
    place: dict[str, int] = {}
    if parts["profile"]:
        place["profile"] = len(chunks)
        chunks.append(Chunk("\n".join([f"The profile of the user {name}:", *_lines(parts["profile"])])))
    if parts["social_relationship"]:
        place |= dict.fromkeys(parts["social_relationship"], len(chunks))
        told = [", ".join(_lines(person)) for person in parts["social_relationship"].values()]
        chunks.append(Chunk("\n".join([f"The people around the user {name}:", *told])))
    for key, event in parts["events"].items():
        if not isinstance(event, dict):
            raise row.fault("events", "objects with summary and content", event)
        place[key] = len(chunks)
        when = row.string("events", event.get("Creation Time") or "")
        head = f"The following is the event happened about the user {name}" + (f" on {when}:" if when else ":")
        told = [
            head,
            f"Summary: {row.string('events', event.get('summary'))}",
            row.string("events", event.get("content")),
        ]
        said = [line for id_, talk in parts["dialogues"].items() if _event_of(id_) == key for line in _talk(row, talk)]
        chunks.append(Chunk("\n".join([*told, *said]), when or None))
    for key, talk in parts["dialogues"].items():
        if _event_of(key) not in parts["events"]:
            place.setdefault(_event_of(key), len(chunks))
            chunks.append(Chunk("\n".join(_talk(row, talk))))
    if not chunks:
        raise row.fault("memory", f"at least one of {', '.join(KINDS)}", memory)
    questions = tuple(_questions(row, place))
    if not questions:
        raise row.fault("questions", "at least one question", row.get("questions"))
    return Stream(name, "perltqa", tuple(chunks), questions)


def _part(row: Row, memory: dict[str, Any], kind: str) -> dict[str, Any]:
    part = memory.get(kind) or {}
    if not isinstance(part, dict):
        raise row.fault(kind, "an object", part)
    return part


def _lines(entries: Any) -> list[str]:
    return (
        [f"{key}: {value}" for key, value in entries.items() if value] if isinstance(entries, dict) else [str(entries)]
    )


def _event_of(dialogue: str) -> str:
    return dialogue.partition("#")[0]


def _talk(row: Row, talk: Any) -> list[str]:
    contents = talk.get("contents") if isinstance(talk, dict) else None
    if not isinstance(contents, dict) or not all(isinstance(lines, list) for lines in contents.values()):
        raise row.fault("dialogues", "objects with contents, a list of lines by time", talk)
    return [
        line
        for when, lines in contents.items()
        for line in (f"Dialogue happened at {when}:", *(row.string("dialogues", said) for said in lines))
    ]


def _questions(row: Row, place: dict[str, int]) -> Iterator[Question]:
    asked = row.object("questions")
    for kind in KINDS:
        for key, entry in _entries(row, kind, asked.get(kind) or []):
            text, anchors = row.string(kind, entry.get("Question")), _anchors(row, kind, entry)
            named = _REFERENCE.findall(str(entry.get("Reference Memory"))) or [_event_of(key)]
            steps = sorted({place[name] for name in named if name in place})
            yield Question(text, anchors, f"perltqa-{kind}", tuple(map(Evidence, steps)))


def _entries(row: Row, kind: str, listed: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id of what is asked about, question): a profile's questions stand alone, others under the id."""
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise row.fault(kind, "a list of objects", listed)
    for one in listed:
        grouped = {kind: [one]} if "Question" in one else one
        for key, entries in grouped.items():
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise row.fault(kind, "lists of questions by id", entries)
            for entry in entries:
                yield key, entry


def _anchors(row: Row, kind: str, entry: dict[str, Any]) -> tuple[str, ...]:
    """The keywords of the answer as one ";" list, which is how PerLTQA answers are scored; without any, the whole answer."""
    listed = entry.get("Memory Anchors") or []
    words = [html.unescape(word).strip("\"' ") for one in listed if isinstance(one, dict) for word in one]
    answer = row.answers(kind, entry.get("Answer"))
    return (";".join(words),) if any(words) else answer
