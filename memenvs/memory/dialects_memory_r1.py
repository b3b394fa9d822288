"""The dialect "memory-r1": the event list of Memory-R1 as operations.

* `parse_events` - message text in, `ParseReport` out; total.

A message is ``{"memory": [{"id": "3.1", "text": "...", "event": "UPDATE", "old_memory": "..."}, ...]}``, or the list alone. ADD
writes ``text`` as a new item and says nothing by its id, UPDATE replaces the text of an item, DELETE removes one, NONE says that an
item stays as it is: it is no operation, and a message of nothing but NONE is one SKIP. ``old_memory`` is not looked at.

An UPDATE of an id that is not there is an invalid operation, as everywhere in this package; a re-implementation of Memory-R1
takes it for an ADD. The official code is not published.

Source: Memory-R1, arXiv 2508.19828; the form of the list as in david-courtis/Structured-Memory-R1@763176a:memory_r1.
"""

from __future__ import annotations

from typing import Any

from memenvs.errors import did_you_mean
from memenvs.memory.operations import (
    Malformed,
    Operation,
    ParseReport,
    entries_in,
    malformed,
    native_entries,
    native_operation,
)

EVENTS = {"ADD": "INSERT", "UPDATE": "UPDATE", "DELETE": "DELETE", "NONE": "SKIP"}
"""Operation of each event."""
_EXAMPLE = '{"memory": [{"id": "new", "text": "...", "event": "ADD"}]}'
_NOTHING = '{"memory": [{"event": "NONE"}]}'


def parse_events(text: str) -> ParseReport:
    """Read a message; see `memenvs.memory.parse_operations`."""
    entries = entries_in(text, _entries)
    if entries is None:
        return ParseReport((), f"no list of events found; expected for instance {_EXAMPLE}")
    if not entries:
        return ParseReport((), f"the list of events is empty; to change nothing send {_NOTHING}")
    found = [_operation(entry) for entry in entries]
    return ParseReport(tuple(operation for operation in found if operation is not None) or (Operation("SKIP"),))


def _entries(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        if isinstance(value.get("memory"), list):
            return value["memory"]
        if "event" in value:
            return [value]
    return native_entries(value)


def _operation(entry: Any) -> Operation | Malformed | None:
    """One event; None for NONE."""
    if isinstance(entry, dict) and "op" in entry:
        return native_operation(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
        return malformed(entry, f'expected an object with a key "event", one of {", ".join(EVENTS)}')
    event = entry["event"].strip().upper()
    if event not in EVENTS:
        return malformed(entry, f"unknown event {entry['event'][:40]!r}.{did_you_mean(event, EVENTS)}")
    if event == "NONE":
        return None
    text, item = entry.get("text"), entry.get("id")
    if event != "DELETE" and (not isinstance(text, str) or not text.strip()):
        return malformed(entry, f'{event} needs "text": a string that is not empty')
    if event != "ADD" and (not isinstance(item, str) or not item):
        return malformed(entry, f'{event} needs "id": the id of an item, as a string such as "3.1"')
    return Operation(EVENTS[event], None if event == "DELETE" else text, None if event == "ADD" else item)
