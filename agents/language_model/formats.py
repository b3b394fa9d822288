"""How a message looks in each dialect, in words for a language model, and the tools of the dialects that call tools.

The wording is this project's; published prompts are not copied.
"""

from __future__ import annotations

import json
from typing import Any

from memenvs.memory.memalpha_calls import tool_schemas
from memenvs.memory.operations import CALLS, MEMALPHA, MEMORY_R1, SENTENCES

_JSON = """Reply with nothing but a JSON list of operations:
[{"op": "INSERT", "content": "text of a new item"},
 {"op": "UPDATE", "id": "id of an item", "content": "its new text"},
 {"op": "DELETE", "id": "id of an item"}]
If nothing has to change, reply [{"op": "SKIP"}]."""

_SENTENCES = """Behind each sentence of the chunk stands its number. Reply with nothing but a JSON list of operations that name \
sentences by their numbers: "span" is [number] for one sentence, [first, last] for several in a row.
[{"op": "INSERT", "span": [3]},
 {"op": "UPDATE", "id": "id of an item", "span": [4, 5]},
 {"op": "DELETE", "id": "id of an item"}]
If nothing has to change, reply [{"op": "SKIP"}]."""

_EVENTS = """Reply with nothing but a JSON object that lists what happens to the memory:
{"memory": [{"id": "new", "text": "text of a new item", "event": "ADD"},
 {"id": "id of an item", "text": "its new text", "event": "UPDATE"},
 {"id": "id of an item", "event": "DELETE"}]}
Items that stay as they are need not be listed. If nothing has to change, reply {"memory": [{"event": "NONE"}]}."""

_TOOLS = "Use the tools to change the memory, several calls in one reply where several things change."
_CALL_SKIP = "If nothing has to change, call skip."
_MEMALPHA = (
    "The memory has three parts. core_memory is one short text about who or what everything is about; memory_update replaces it. "
    "semantic_memory holds facts, episodic_memory what happened when, with its time in the text. "
    'If nothing has to change, reply [{"op": "SKIP"}].'
)

_FORMATS = {
    "json": _JSON,
    SENTENCES: _SENTENCES,
    MEMORY_R1: _EVENTS,
    CALLS: f"{_TOOLS} {_CALL_SKIP}",
    MEMALPHA: f"{_TOOLS} {_MEMALPHA}",
}
PROMPTED = tuple(_FORMATS)
"""Dialects that a language model can be asked to write."""


def format_text(dialect: str) -> str:
    """What a message of this dialect looks like; its tools are told elsewhere."""
    return _FORMATS[dialect]


def tools_of(dialect: str) -> tuple[dict[str, Any], ...]:
    """The tools of a dialect in OpenAI's format; none for those that write JSON."""
    if dialect == MEMALPHA:
        return tuple(tool_schemas())
    if dialect != CALLS:
        return ()
    texts = {"id": "Id of the item, as shown in brackets.", "content": "The item's text, understandable by itself."}
    return (
        _tool("insert", "Write a new item.", {"content": texts["content"]}),
        _tool("update", "Replace the text of an item.", texts),
        _tool("delete", "Remove an item.", {"id": texts["id"]}),
        _tool("skip", "Leave the memory as it is.", {}),
    )


def _tool(name: str, description: str, arguments: dict[str, str]) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def tools_text(tools: tuple[dict[str, Any], ...]) -> str:
    """Tools in words, for a chat template or a server that knows of none."""
    lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    call = '<tool_call>\n{"name": "name of the tool", "arguments": {...}}\n</tool_call>'
    return f"Tools, with their arguments as JSON schemas:\n{lines}\nWrite each call as\n{call}"
