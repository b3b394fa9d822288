"""Mem-alpha's content reward: the share of a step's calls whose content a judge finds valid.

* `call_content` - what is judged of one call.
* `content` - the share for each step of an episode.
* `verdict` - what a model judge's reply says, in the published form; `loose_verdict` - what its fall-back makes of any reply.

The published judge is a language model with one prompt per part of the memory (Qwen3-32B). Its prompts are not copied here: the
judge is a callable of yours.

Source: wangyu-ustc/Mem-alpha@9c0e1f6: memory_server.py (/analyze_function). There a judge that cannot be reached scores 0 for a
whole batch; here its error is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memenvs.errors import ScorerError
from memenvs.memory import Operation, parse_operations
from memenvs.memory.memalpha_calls import KINDS, SEMANTIC, MemoryCall
from memenvs.record import EpisodeRecord
from rewards.terms import Terms

ContentJudge = Callable[[Sequence[tuple[str, str]]], Sequence[bool]]
"""Pairs of part ("core", "semantic" or "episodic") and content in, one verdict per pair out: is the content what belongs there?"""
# Up to the first brace before a closing fence, as published: of two fenced objects the first counts.
_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)
_CONTENT = {"new_memory_insert": "content", "memory_update": "new_content"}


def call_content(tool: str, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """Part and content of one call for the judge; None where it scores 0 unseen.

    Unseen are calls of any tool but insert and update (a DELETE cannot earn anything), blank contents and those that are no text.

    Args:
        tool: its name.
        arguments: its arguments, ``memory_type`` without the ending "_memory".
    """
    part, content = arguments.get("memory_type"), arguments.get(_CONTENT.get(tool, ""))
    if part not in KINDS or not isinstance(content, str) or not content.strip():
        return None
    return part, content


def content(record: EpisodeRecord, judge: ContentJudge) -> Terms:
    """r_content(t): share of step t's calls whose content is valid; 0 for a step without calls.

    Refused calls are judged like others, a call that no memory could carry out scores 0 unseen (the published server judges
    the content of some of these), an explicit SKIP is no call. Plain INSERTs and UPDATEs count as semantic.

    Args:
        record: a finished episode.
        judge: asked once, for all contents of the episode.

    Returns:
        T floats in [0, 1].

    Raises:
        ScorerError: the judge gave something else than one verdict per content.
    """
    dialect = str(record.settings.get("dialect", "json"))
    asked: list[tuple[str, str]] = []
    calls: list[list[int | None]] = []
    for step in record.steps:
        places: list[int | None] = []
        for operation in parse_operations(step.message, dialect, step.chunk).operations:
            if isinstance(operation, Operation) and operation.op == "SKIP":
                continue
            pair = _judged(operation)
            places.append(None if pair is None else len(asked))
            asked += [] if pair is None else [pair]
        calls.append(places)
    verdicts = list(judge(asked)) if asked else []
    if len(verdicts) != len(asked):
        raise ScorerError(f"expected one verdict per content, {len(asked)}, got {len(verdicts)} from the content judge")
    return tuple(
        sum(bool(verdicts[place]) for place in places if place is not None) / len(places) if places else 0.0
        for places in calls
    )


def fenced_object(reply: str) -> dict[str, Any] | None:
    """The first JSON object in a code fence; None where there is none that can be read. Upstream: parse_json_from_markdown."""
    found = _FENCED.search(reply)
    try:
        said = json.loads(found.group(1)) if found else None
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def verdict(reply: str) -> bool | None:
    """VALID of a judge's reply: an object fenced as ```json with a bool VALID, a list ISSUES and a text EXPLANATION.

    Returns:
        None where the reply is not of this form (upstream: _validate_json_format); the published server scores 0 then.
    """
    said = fenced_object(reply) if "```json" in reply else None
    if said is None:
        return None
    wanted = (("VALID", bool), ("ISSUES", list), ("EXPLANATION", str))
    return bool(said["VALID"]) if all(isinstance(said.get(name), kind) for name, kind in wanted) else None


def loose_verdict(reply: str) -> bool:
    """What the published fall-back takes from a reply of any form: whether VALID is anything that counts as true in Python.

    Without a fenced object it is whether ``"VALID": true`` stands in the text. Upstream: _parse_analysis_result.
    """
    said = fenced_object(reply)
    return bool(said.get("VALID", False)) if said is not None else '"VALID": true' in reply


def _judged(operation: Any) -> tuple[str, str] | None:
    if not isinstance(operation, Operation) or not (operation.content or "").strip():
        return None
    return operation.kind if isinstance(operation, MemoryCall) else SEMANTIC, str(operation.content)
