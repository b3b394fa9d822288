"""The dialect "memalpha": a message's tool calls as operations on a three-part memory.

* `MemoryCall`, `FailedCall` - one call, readable or not.
* `parse_calls` - message text in, `ParseReport` out; total.
* `tool_schemas` - what a model is told about the tools.

Calls come as ``✿FUNCTION✿: name`` and ``✿ARGS✿: {...}`` (`memenvs.memory.memalpha_text`), or as OpenAI-style JSON, ``{"name": ...,
"arguments": ...}`` in any of the wrappings of the dialect "function_calls". Arguments are read as `loads_loose` reads them.
Operations of the dialect "json" are understood too: agents that know of no parts write semantic items.

Source: wangyu-ustc/Mem-alpha@9c0e1f6: agent.py (parsing), functions.py (tools).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from memenvs.errors import did_you_mean
from memenvs.memory.loose_json import loads_loose
from memenvs.memory.memalpha_text import FUNCTION, marked_calls
from memenvs.memory.operations import (
    Malformed,
    Operation,
    ParseReport,
    find_entries,
    native_entries,
    native_operation,
    unwrap_calls,
)
from memenvs.memory.tagged_calls import tagged_calls

CORE, SEMANTIC, EPISODIC = "core", "semantic", "episodic"
KINDS = (CORE, SEMANTIC, EPISODIC)
"""Parts of the memory. A call names them with the ending "_memory"."""


_LETTERS = {SEMANTIC: "s", EPISODIC: "e"}


def new_item_id(part: str, step: int, number: int) -> str:
    """Id of the ``number``-th item that step ``step`` inserts."""
    return f"{_LETTERS.get(part, '')}{step}.{number}"


def part_of(item_id: str) -> str:
    """The part that the item of this id belongs to: "core", "semantic" or "episodic"."""
    if item_id == CORE:
        return CORE
    return EPISODIC if item_id.startswith(_LETTERS[EPISODIC]) else SEMANTIC


@dataclass(frozen=True, slots=True)
class MemoryCall(Operation):
    """A tool call as an operation."""

    kind: str = SEMANTIC
    """The part of the memory that it concerns, one of `KINDS`."""
    tool: str = ""
    """Name of the tool."""


@dataclass(frozen=True, slots=True)
class FailedCall(Malformed):
    """A tool call that cannot be carried out, whatever the memory."""

    tool: str = ""
    """Name of the tool that it asked for."""


@dataclass(frozen=True, slots=True)
class _Tool:
    op: str
    """The operation."""
    kinds: tuple[str, ...]
    """Parts that it works on."""
    required: tuple[str, ...]
    """Arguments that must be there, next to memory_type."""
    optional: tuple[str, ...] = ()
    """Arguments that may be there."""


_TOOLS = {
    "new_memory_insert": _Tool("INSERT", (SEMANTIC, EPISODIC), ("content",)),
    "memory_update": _Tool("UPDATE", KINDS, ("new_content",), ("memory_id",)),
    "memory_delete": _Tool("DELETE", KINDS, (), ("memory_id",)),
    # The answering agent's tool. A manager may call it; it changes nothing.
    "search_memory": _Tool("SKIP", (SEMANTIC, EPISODIC), ("query",)),
}
_EXAMPLE = '{"name": "new_memory_insert", "arguments": {"memory_type": "semantic_memory", "content": "..."}}'


def parse_calls(text: str) -> ParseReport:
    """Read a message; see `memenvs.memory.parse_operations`. A message without a call ("Done") has no operations."""
    if FUNCTION in text:
        entries: list[Any] | None = list(marked_calls(text))
    elif (tagged := tagged_calls(text)) is not None:
        entries = tagged
    else:
        try:
            entries = _entries(json.loads(text))
        except (ValueError, RecursionError):
            entries = find_entries(text, _entries)
    if not entries:
        return ParseReport((), f"no tool call found; expected for instance {_EXAMPLE}")
    return ParseReport(tuple(_call(entry) for entry in entries))


def _entries(value: Any) -> list[Any] | None:
    calls = unwrap_calls(value)
    return native_entries(value) if calls is None else calls


def _call(entry: Any) -> Operation | Malformed:
    if isinstance(entry, dict) and "op" in entry:
        return native_operation(entry)
    call = entry["function"] if isinstance(entry, dict) and isinstance(entry.get("function"), dict) else entry
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return FailedCall(_short(call), f"expected a tool call such as {_EXAMPLE}")
    name, arguments = call["name"], call.get("arguments", {})

    def failed(reason: str) -> FailedCall:
        return FailedCall(_short(call), reason, name)

    if isinstance(arguments, str):
        try:
            arguments = loads_loose(arguments)
        except ValueError as error:
            return failed(f"invalid JSON arguments: {error}")
    tool = _TOOLS.get(name)
    if tool is None:
        return failed(f"unknown tool {name[:40]!r}; known: {', '.join(_TOOLS)}.{did_you_mean(name, tuple(_TOOLS))}")
    if not isinstance(arguments, dict):
        return failed(f"the arguments must be an object, got {type(arguments).__name__}")
    for key in ("memory_type", *tool.required):
        if key not in arguments:
            return failed(f"{name} needs the argument {key!r}")
    kind = _kind(arguments["memory_type"], bare=tool.op in ("DELETE", "SKIP"))
    if kind not in tool.kinds:
        known = ", ".join(f"{kind}_memory" for kind in tool.kinds)
        return failed(f"{name} needs a memory_type of {known}; got {str(arguments['memory_type'])[:40]!r}")
    written = {"INSERT": "content", "UPDATE": "new_content"}.get(tool.op)
    item = arguments.get("memory_id")
    return MemoryCall(
        tool.op,
        None if written is None else _text(arguments[written]),
        None if item is None or tool.op == "INSERT" else _text(item),
        str(kind),
        name,
    )


def _kind(sent: Any, bare: bool) -> str | None:
    """The part that a memory_type names; ``bare`` accepts it without its ending, as the published tools that do not look do."""
    if not isinstance(sent, str) or not (bare or sent.endswith("_memory")):
        return None
    return sent.replace("_memory", "")


def _text(value: Any) -> str:
    """A text as it is, any other value (a number, a list) as JSON: items are texts here."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(entry: Any) -> str:
    try:
        return json.dumps(entry, ensure_ascii=False)[:200]
    except RecursionError:  # writing JSON takes a little more stack than reading it
        return "(nested too deeply to show)"


def tool_schemas(core: bool = True) -> list[dict[str, Any]]:
    """The three tools of a manager in OpenAI's format, for a model's prompt.

    Args:
        core: whether the memory has a core.

    Source of names, parameters and values: wangyu-ustc/Mem-alpha@9c0e1f6:functions.py; descriptions are not copied.
    """
    schemas = []
    for name, tool in _TOOLS.items():
        if tool.op == "SKIP":
            continue
        kinds = [f"{kind}_memory" for kind in tool.kinds if core or kind != CORE]
        properties: dict[str, Any] = {"memory_type": {"type": "string", "enum": kinds}}
        properties |= {key: {"type": "string"} for key in (*tool.required, *tool.optional)}
        parameters = {"type": "object", "properties": properties, "required": ["memory_type", *tool.required]}
        schemas.append({"type": "function", "function": {"name": name, "parameters": parameters}})
    return schemas
