"""Writing messages: operations in every dialect that `parse_operations` reads.

* `write_operations` - the inverse of `memenvs.memory.parse_operations`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.dialects_sentences import span_of
from memenvs.memory.memalpha_calls import CORE, MemoryCall, part_of
from memenvs.memory.operations import DIALECTS, MEMALPHA, MEMORY_R1, SENTENCES, Operation


def write_operations(operations: Sequence[Operation], dialect: str = "json", chunk: str = "") -> str:
    """A message that `parse_operations` reads as these operations: what a model is taught to write.

    Args:
        operations: in the order of the message; none of them is a SKIP too, the explicit one.
        dialect: of the message. Calls ("function_calls", "memalpha") stand in the tags ``<tool_call>`` of Hermes and Qwen models.
        chunk: the step's text, for the dialect "sentences": a content that is a stretch of its sentences becomes a span.

    Raises:
        SettingsError: unknown dialect.
    """
    if dialect not in DIALECTS:
        raise SettingsError(
            f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}.{did_you_mean(dialect, DIALECTS)}"
        )
    operations = list(operations) or [Operation("SKIP")]
    if dialect == SENTENCES:
        return _json([_span(operation, chunk) for operation in operations])
    if dialect == MEMORY_R1:
        return _json({"memory": [_event(operation) for operation in operations]})
    if dialect == "json":
        return _json([_native(operation) for operation in operations])
    write: Callable[[Operation], dict[str, Any]] = _tool if dialect == MEMALPHA else _call
    calls = (_native(o) if o.op == "SKIP" and dialect == MEMALPHA else write(o) for o in operations)
    return "\n".join(f"<tool_call>\n{_json(call)}\n</tool_call>" for call in calls)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _native(operation: Operation) -> dict[str, Any]:
    return {"op": operation.op} | _arguments(operation)


def _arguments(operation: Operation) -> dict[str, Any]:
    given = {"id": operation.id, "content": operation.content}
    return {name: value for name, value in given.items() if value is not None}


def _span(operation: Operation, chunk: str) -> dict[str, Any]:
    entry = _native(operation)
    span = None if operation.content is None else span_of(operation.content, chunk)
    if span is not None:
        del entry["content"]
        entry["span"] = span
    return entry


def _event(operation: Operation) -> dict[str, Any]:
    names = {"INSERT": "ADD", "SKIP": "NONE"}
    entry = {"id": "new" if operation.op == "INSERT" else operation.id, "text": operation.content}
    return {k: v for k, v in entry.items() if v is not None} | {"event": names.get(operation.op, operation.op)}


def _call(operation: Operation) -> dict[str, Any]:
    return {"name": operation.op.lower(), "arguments": _arguments(operation)}


def _tool(operation: Operation) -> dict[str, Any]:
    """A call on a three-part memory; an operation that names no part is about the part that its id tells, else semantic."""
    kind = operation.kind if isinstance(operation, MemoryCall) else part_of(operation.id or "")
    arguments: dict[str, Any] = {"memory_type": f"{kind}_memory"}
    if operation.id is not None and operation.id != CORE:
        arguments["memory_id"] = operation.id
    names = {"INSERT": "new_memory_insert", "UPDATE": "memory_update", "DELETE": "memory_delete"}
    if operation.content is not None:
        arguments["new_content" if operation.op == "UPDATE" else "content"] = operation.content
    return {"name": names[operation.op], "arguments": arguments}
