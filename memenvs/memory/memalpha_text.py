"""The text format of a Mem-alpha manager's message: calls, what stands before them, thoughts.

* `marked_calls` - the calls.
* `text_before_calls` - what stands before them.
* `manager_message` - all of it, as the published code splits it.

A call is ``✿FUNCTION✿: name``, then ``✿ARGS✿: arguments`` up to the next marker or the end.

Source: wangyu-ustc/Mem-alpha@9c0e1f6:agent.py (_parse_function_calls_from_text, _parse_response); the format is Qwen-Agent's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

FUNCTION, ARGS, RESULT, RETURN = (f"✿{name}✿" for name in ("FUNCTION", "ARGS", "RESULT", "RETURN"))
# No backtracking (++): a message of nothing but markers and spaces must not take long.
_ARGUMENTS = re.compile(f"{ARGS}:([^✿]++)(?={FUNCTION}|{RESULT}|{RETURN}|$)")
_SPACE = re.compile(r"\s*+")
_THOUGHT = re.compile(r"<think>(.*?)</think>\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ManagerMessage:
    """A manager's message in its parts."""

    calls: tuple[dict[str, str], ...]
    """See `marked_calls`."""
    reasoning: str
    """With calls all text before them, else what stands between the tags of thought."""
    content: str
    """The answer to the user, where there is no call."""


def marked_calls(text: str) -> list[dict[str, str]]:
    """Calls in order, each ``{"name": ..., "arguments": ...}``, both texts.

    Arguments that hold the character "✿" are not found. What follows their last brace, or their code fence, is cut off. Of several
    calls on one line all but the last one's arguments belong to its name, as in the published code.
    """
    bodies = list(_ARGUMENTS.finditer(text))
    places = [body.start() for body in bodies]
    calls = []
    position = 0
    while (start := text.find(f"{FUNCTION}:", position)) >= 0:
        position = start + len(FUNCTION) + 1
        begin = _spaces(text, position)
        line_end = text.find("\n", begin)
        line_end = len(text) if line_end < 0 else line_end
        # The arguments that begin right below the line, or the last ones that begin on it.
        below = _spaces(text, line_end)
        found = bisect_left(places, below)
        if found == len(places) or places[found] != below:
            found = bisect_left(places, line_end) - 1
        if found >= 0 and begin < places[found]:
            calls.append({
                "name": text[begin : places[found]].strip(),
                "arguments": _without_comment(bodies[found].group(1)),
            })  # fmt: skip
            position = bodies[found].end()
    return calls


def _spaces(text: str, position: int) -> int:
    """Where the white space from ``position`` ends."""
    found = _SPACE.match(text, position)
    assert found is not None  # the pattern matches the empty text
    return found.end()


def _without_comment(arguments: str) -> str:
    arguments = arguments.strip()
    if arguments.startswith("{") and (end := arguments.rfind("}")) > 0:
        return arguments[: end + 1]
    if arguments.startswith("```") and (end := arguments.rfind("\n```")) > 0:
        return arguments[: end + 4]
    return arguments


def text_before_calls(text: str) -> str:
    """What stands before the first call, all of it if there is none; a marker that was begun at its end is cut off."""
    start = text.find(FUNCTION)
    text = (text if start < 0 else text[:start]).strip()
    marks = (FUNCTION, ARGS, RESULT, RETURN)
    for mark in marks:
        if text.endswith(mark):
            return text.removesuffix(mark).lstrip("\n").rstrip()
    begun = text.rfind("✿")
    if begun >= 0 and any(mark.startswith(text[begun:]) for mark in marks):
        text = text[:begun]
    return text.lstrip("\n").rstrip()


def manager_message(text: str) -> ManagerMessage:
    """Split a message as the published agent does.

    Thoughts before calls lose the letters of their tags at both ends, wherever these letters belong.
    """
    if calls := marked_calls(text):
        reasoning = text_before_calls(text).strip("<think>").strip("</think>").strip()
        return ManagerMessage(tuple(calls), reasoning, "")
    if thought := _THOUGHT.search(text):
        return ManagerMessage((), thought.group(1).strip(), thought.group(2).strip())
    content = text.strip()
    if content.startswith("<think>") and "</think>" not in content:
        content = content.removeprefix("<think>").strip()
    return ManagerMessage((), "", content)
