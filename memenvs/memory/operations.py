"""Operations and how a model's message becomes a tuple of them.

* `Operation` - INSERT, UPDATE, DELETE or SKIP.
* `Malformed` - an entry that was meant as an operation and is not one; it counts as invalid.
* `parse_operations` - message text in, `ParseReport` out; total: no message makes it raise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.tagged_calls import tagged_calls

OPERATION_NAMES = ("INSERT", "UPDATE", "DELETE", "SKIP")
MAX_MESSAGE_CHARS = 65_536
"""Longer messages are refused whole: they are runaway generations, and parsing them would stall a batch."""
_MAX_SCAN = 64
"""How many opening brackets are tried when JSON has to be found inside prose."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One memory operation."""

    op: str
    """One of `OPERATION_NAMES`."""
    content: str | None = None
    """New text, for INSERT and UPDATE."""
    id: str | None = None
    """Id of the item, for UPDATE and DELETE."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry of the message that is no operation."""

    text: str
    """The entry, shortened to 200 characters."""
    reason: str
    """What was expected and what came."""


@dataclass(frozen=True, slots=True)
class ParseReport:
    """What a message said."""

    operations: tuple[Operation | Malformed, ...]
    """Entries in the order of the message; empty where ``error`` is set."""
    error: str | None = None
    """Why no list of operations was found, or None."""


def malformed(entry: Any, reason: str) -> Malformed:
    """An entry that is no operation, as it came."""
    try:
        text = json.dumps(entry, ensure_ascii=False)
    except RecursionError:  # writing JSON takes a little more stack than reading it
        text = "(nested too deeply to show)"
    return Malformed(text[:200], reason)


def native_operation(entry: Any) -> Operation | Malformed:
    """One native entry, ``{"op": ..., "id": ..., "content": ...}``."""
    if not isinstance(entry, dict):
        return malformed(entry, f'expected an object such as {{"op": "SKIP"}}, got {type(entry).__name__}')
    name = entry.get("op")
    if not isinstance(name, str):
        return malformed(entry, f'expected a key "op" with one of {", ".join(OPERATION_NAMES)}')
    op = name.strip().upper()
    if op not in OPERATION_NAMES:
        return malformed(entry, f"unknown operation {name[:40]!r}.{did_you_mean(op, OPERATION_NAMES)}")
    content, item = entry.get("content"), entry.get("id")
    if op in ("INSERT", "UPDATE") and (not isinstance(content, str) or not content.strip()):
        return malformed(entry, f'{op} needs "content": a non-empty string')
    if op in ("UPDATE", "DELETE") and (not isinstance(item, str) or not item):
        return malformed(entry, f'{op} needs "id": the id of an item, as a string such as "3.1"')
    return Operation(
        op,
        content if op in ("INSERT", "UPDATE") else None,
        item if op in ("UPDATE", "DELETE") else None,
    )


def native_entries(value: Any) -> list[Any] | None:
    """Entries of a native message: a list, one operation, or {"operations": [...]}; None if it is none of these."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        if isinstance(value.get("operations"), list):
            return value["operations"]
        if "op" in value:
            return [value]
    return None


def _call_to_native(entry: Any) -> Any:
    """A function call ``{"name": "insert", "arguments": {...}}`` (arguments may be JSON text) as a native entry."""
    if not isinstance(entry, dict):
        return entry
    call = entry["function"] if isinstance(entry.get("function"), dict) else entry
    if "name" not in call:
        return entry
    arguments = call.get("arguments", call.get("parameters", {}))  # Llama's templates say parameters
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = {}
    if not isinstance(arguments, dict):
        arguments = {}
    name = call["name"].split("_")[0] if isinstance(call["name"], str) else call["name"]
    return {"op": name, "id": arguments.get("id"), "content": arguments.get("content")}


def unwrap_calls(value: Any) -> list[Any] | None:
    """Entries of a function-call message: a list of calls, one call, or {"tool_calls": [...]}; None if it is none of these."""
    if isinstance(value, dict):
        if isinstance(value.get("tool_calls"), list):
            return list(value["tool_calls"])
        if "name" in value or "function" in value:
            return [value]
    return value if isinstance(value, list) else None


def _calls(value: Any) -> list[Any] | None:
    entries = unwrap_calls(value)
    return None if entries is None else [_call_to_native(entry) for entry in entries]


CALLS = "function_calls"
"""The dialect of OpenAI-style tool calls."""
_DIALECTS: dict[str, Callable[[Any], list[Any] | None]] = {"json": native_entries, CALLS: _calls}
MEMALPHA = "memalpha"
"""The dialect of `memenvs.memory.memalpha_calls`."""
MEMORY_R1 = "memory-r1"
"""The dialect of `memenvs.memory.dialects_memory_r1`."""
SENTENCES = "sentences"
"""The dialect of `memenvs.memory.dialects_sentences`."""
DIALECTS = (*_DIALECTS, MEMALPHA, MEMORY_R1, SENTENCES)
"""Names accepted by `parse_operations`."""


def find_entries(text: str, entries_of: Callable[[Any], list[Any] | None]) -> list[Any] | None:
    """The entries in ``text``, prose and code fences around them ignored.

    They are the first list that holds an object, or, where no list comes first, all objects that follow each other (one per
    line, say). A list that is cut off gives its whole objects and one entry that is none, so that the rest is reported.
    """
    decoder = json.JSONDecoder()
    position = 0
    single: list[Any] = []
    empty: list[Any] | None = None
    for _ in range(_MAX_SCAN):
        starts = [i for i in (text.find("[", position), text.find("{", position)) if i >= 0]
        if not starts:
            break
        position = min(starts)
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            entries = entries_of(_cut_off(text, position, decoder))
            if entries and not single:
                return entries
            if single and text.startswith('{"', position) and "}" not in text[position:]:
                return [*single, text[position:]]  # the last object is cut off
            position += 1
            continue
        entries = entries_of(value)
        # A list of plain values in the prose ("see [1]") is not a list of operations; an empty one ("- [ ] to do") only
        # where nothing better follows.
        if entries is not None and any(isinstance(e, dict) for e in entries):
            if not single and (isinstance(value, list) or len(entries) > 1):
                return entries
            single += entries
        elif entries == []:
            empty = entries
        position = end
    return single or empty


def _cut_off(text: str, position: int, decoder: json.JSONDecoder) -> list[Any]:
    """Whole objects of a list that does not parse, and then its rest as a text; [] where it does not begin with an object."""
    found: list[Any] = []
    position += 1
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            rest = text[position:]
            return [*found, rest] if found and rest else found
        found.append(value)
        position = end


def entries_in(text: str, entries_of: Callable[[Any], list[Any] | None]) -> list[Any] | None:
    """The entries of a message that is JSON, or holds it; see `find_entries`."""
    try:
        return entries_of(json.loads(text))
    except (ValueError, RecursionError):
        return find_entries(text, entries_of)


def parse_operations(text: Any, dialect: str = "json", chunk: str = "") -> ParseReport:
    """Read a model's message.

    Args:
        text: the raw message. The JSON may stand inside prose or a code fence; the first list of operations counts.
        dialect: ``"json"``, a list such as ``[{"op": "INSERT", "content": "..."}, {"op": "DELETE", "id": "2.0"}]``, or
            ``"function_calls"``, OpenAI-style ``[{"name": "insert", "arguments": {"content": "..."}}]``, or ``"memalpha"``, the
            calls of `memenvs.memory.memalpha_calls` for a three-part memory, or ``"memory-r1"``, the event list of
            `memenvs.memory.dialects_memory_r1`, or ``"sentences"``, which names sentences of the chunk by their numbers, see
            `memenvs.memory.dialects_sentences`. All of them take the operations of ``"json"`` too.
        chunk: the text of the step that the message belongs to, for the dialect ``"sentences"``; the others do not look at it.

    Returns:
        A `ParseReport`. A bad entry becomes `Malformed` and leaves the others intact; a message without any
        list of operations gives an empty report with ``error`` set.

    Raises:
        SettingsError: the dialect is unknown (a fault of the caller; no message raises).
    """
    if dialect not in DIALECTS:
        raise SettingsError(
            f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}.{did_you_mean(dialect, DIALECTS)}"
        )
    if not isinstance(text, str):
        return ParseReport((), f"expected a message of type str, got {type(text).__name__}")
    if len(text) > MAX_MESSAGE_CHARS:
        return ParseReport((), f"the message has {len(text)} characters; at most {MAX_MESSAGE_CHARS} are read")
    if not text.strip():
        return ParseReport((), 'the message is empty; to change nothing send [{"op": "SKIP"}]')
    if dialect == MEMALPHA:
        from memenvs.memory.memalpha_calls import parse_calls  # it builds on this file

        return parse_calls(text)
    if dialect == MEMORY_R1:
        from memenvs.memory.dialects_memory_r1 import parse_events

        return parse_events(text)
    if dialect == SENTENCES:
        from memenvs.memory.dialects_sentences import parse_spans

        return parse_spans(text, chunk)
    tagged = tagged_calls(text) if dialect == CALLS else None
    entries = entries_in(text, _DIALECTS[dialect]) if tagged is None else _calls(tagged)
    if entries is None:
        return ParseReport(
            (), 'no JSON list of operations found; expected for instance [{"op": "INSERT", "content": "..."}]'
        )
    if not entries:
        return ParseReport((), 'the list of operations is empty; to change nothing send [{"op": "SKIP"}]')
    return ParseReport(tuple(native_operation(entry) for entry in entries))
