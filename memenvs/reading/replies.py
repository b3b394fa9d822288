"""What a model's reply to a reading says: the answer, and the places of the notes it names.

* `Understood`, `understand_reply`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memenvs.memory.loose_json import loads_loose

_FENCE_TAG = re.compile(r"```[\w-]*")
_OBJECT = re.compile(r'\{(?=[ \t\n\r]*")')
_ANSWER_KEY = re.compile(r"[\"'“]?\banswer[\"'”]?\s*:", re.IGNORECASE)
_PREFIX = re.compile(r"^\s*(?:the |final )?answer(?: is)?\s*:\s*", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{")
_EVIDENCE = ("evidence", "evidence_ids", "citations", "sources")
_LABELS = ("icl", "pubmed", "builtin-label")
_LABEL_PREFIX = re.compile(r"^\s*labels?\s*:\s*", re.IGNORECASE)
# Bounds that no sensible reply reaches, so that reading takes time in proportion to its length: braces before a string that open no
# JSON, and lists and objects within each other.
_TRIES, _DEPTH = 1000, 32


@dataclass(frozen=True, slots=True)
class Understood:
    """A reply taken apart."""

    text: str | None
    """The answer; None where the reply is nothing but thoughts."""
    places: tuple[int, ...]
    """0-based places of the items that it names, in order; only such as exist."""
    structured: bool
    """Whether the answer came as the JSON that was asked for."""


def understand_reply(reply: str, items: int, question: str = "", source: str = "") -> Understood:
    r"""Read a reply leniently: JSON alone, in a fence or among words, with single quotes or cut off; else the whole text.

    What stands in ``<think>`` is left out. A label comes back as ``\boxed{label}`` where the question asks for that.

    Args:
        reply: what the model wrote.
        items: how many items it was given.
        question: what was asked.
        source: of the question.
    """
    if "</think>" in reply:
        reply = reply.rpartition("</think>")[2]
    elif "<think>" in reply:
        return Understood(None, (), False)
    found = next(_objects(reply), None)
    if found is None:
        text = _PREFIX.sub("", _unfenced(reply.strip())).strip()
        return Understood(_as_label(text, question, source), (), False)
    text = _text(found["answer"], numbered=source.startswith("recsys"))
    named = next((found[name] for name in _EVIDENCE if name in found), ())
    places = sorted({n - 1 for n in _numbers(named) if 1 <= n <= items})
    return Understood(_as_label(text, question, source), tuple(places), True)


def _unfenced(text: str) -> str:
    fenced = len(text) >= 6 and text.startswith("```") and text.endswith("```")
    return _FENCE_TAG.sub("", text, count=1)[:-3].strip() if fenced else text


def _objects(reply: str) -> Iterator[dict[str, Any]]:
    """The objects with a key "answer", exact ones first; keys in lower case."""
    decoder, found, tries = json.JSONDecoder(strict=False), _OBJECT.search(reply), 0
    while found and tries < _TRIES:
        try:
            value, end = decoder.raw_decode(reply, found.start())
        except ValueError:
            tries, end = tries + 1, found.end()
        except RecursionError:
            break
        else:
            yield from _answering(value)
        found = _OBJECT.search(reply, end)
    # Braces that are no JSON: only where the key stands in them.
    start = reply.find("{")
    if start >= 0 and _ANSWER_KEY.search(reply, start):
        try:
            values = loads_loose(reply[start:])
        except ValueError:
            return
        for value in values if isinstance(values, list) else [values]:
            yield from _answering(value)


def _answering(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and _shallow(value, _DEPTH):
        lowered = {str(key).strip().lower(): entry for key, entry in value.items()}
        if "answer" in lowered:
            yield lowered


def _shallow(value: Any, depth: int) -> bool:
    """Whether at most ``depth`` lists and objects are within each other."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth >= 0 and all(_shallow(part, depth - 1) for part in inside)


def _text(answer: Any, numbered: bool) -> str:
    if answer is None:
        return ""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, list):
        parts = [_text(part, False) for part in answer]
        return "\n".join(f"{n}. {part}" for n, part in enumerate(parts, 1)) if numbered else ", ".join(parts)
    if isinstance(answer, dict):
        return json.dumps(answer, ensure_ascii=False)
    # In JSON "\b" is a backspace, but nobody means one before "oxed{".
    return str(answer).replace("\x08oxed{", "\\boxed{").strip()


def _numbers(named: Any) -> Iterator[int]:
    """Whole numbers in what stands for the evidence: numbers, "[2]", "note 2", lists of those."""
    if isinstance(named, int) and not isinstance(named, bool):
        yield named
    elif isinstance(named, str):
        # Not more digits than a count of items has: int() refuses thousands of them.
        yield from (int(digits) for digits in re.findall(r"(?<![\d.])\d{1,9}(?![\d.]*\d)", named))
    elif isinstance(named, list):
        for part in named:
            yield from _numbers(part)


def _as_label(text: str, question: str, source: str) -> str:
    if not source.startswith(_LABELS) or not text:
        return text
    label = _LABEL_PREFIX.sub("", text)
    if _BOXED.search(question) and not _BOXED.search(label):
        return f"\\boxed{{{label}}}"
    return label
