"""Streams of a person's events and dialogues: PerLTQA, and dialogues in sessions.

* `perltqa_chunks` - one chunk per event, as published.
* `perltqa` - instances with answers as keywords.
* `lme` - dated sessions with questions.
"""

from __future__ import annotations

import ast
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.builders.instance import BuiltQuestion, Instance, rng, sample
from memenvs.streams.session_chunks import session_chunks

PERLTQA_CHUNKS = 30
"""Most chunks of a PerLTQA instance (wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py)."""


def perltqa_chunks(character: Mapping[str, Any], published: bool = False) -> dict[str, str]:
    """Event id -> chunk: when it happened, summary, content, and the dialogues that belong to it.

    A dialogue belongs to the event whose id its own starts with ("1_0_0#0": event "1_0_0", or else "1_0").

    Args:
        character: one value of the file of memories: ``profile``, ``events``, ``dialogues``.
        published: drop messages that do not hold exactly one ": ", as PerLTQAProcessor in wangyu-ustc/Mem-alpha@9c0e1f6:
            process_data.py does; otherwise what stands before the first ": " is the speaker.
    """
    name = character["profile"]["Protagonist"]
    events = character["events"]
    talks: dict[str, list[str]] = {}
    for key, dialogue in character.get("dialogues", {}).items():
        event = event_of(key, events)
        for when, messages in dialogue["contents"].items():
            said = [message.split(": ", 1) for message in messages if message.count(": ") == 1 or not published]
            lines = [f"<{pair[0]}> {pair[1]}" for pair in said if len(pair) == 2]
            talks.setdefault(event, []).append("\n".join([f"Dialogue happened at {when}", *lines]))
    found = {}
    for key, event in events.items():
        when = event.get("Creation Time", "")
        text = (
            f"The following is the event happened about the user {name} on {when}:\n"
            f"Summary: {event['summary']}\nContent: {event['content']}"
        )
        if key in talks:
            text += "\n\nThe following are the dialogues.\n\n" + "\n\n".join(talks[key])
        found[key] = text
    return found


def event_of(key: str, events: Mapping[str, Any]) -> str:
    """The event that a dialogue belongs to; "" if it is not there."""
    stem = key.split("#")[0]
    return stem if stem in events else stem.rpartition("_")[0] if stem.rpartition("_")[0] in events else ""


def perltqa(
    memories: Mapping[str, Mapping[str, Any]], asked: Mapping[str, Mapping[str, Any]], seed: int, most: int = 100
) -> tuple[list[Instance], Counter[str]]:
    """One instance per character: its first 30 events, questions on events, dialogues and people.

    Questions on the profile are left out, as published: no chunk tells it. The answer is what the source marks as its anchors
    and the evidence holds, joined by ";"; the whole answer where none is marked or held. (Published: a model shortens and checks
    the answers.) A question on a person is kept if a chunk names the answer.

    Args:
        memories: by character: what `perltqa_chunks` takes.
        asked: by character: ``events``, ``dialogues`` and ``social_relationship``, each a list of {id: [question]}.
        seed: of the draw among more than ``most`` questions.
        most: questions of an instance.

    Returns:
        Instances in the order of the characters, and a count by reason of what was dropped.
    """
    found, dropped = [], Counter[str]()
    for name, character in memories.items():
        chunks = perltqa_chunks(character)
        keys = list(chunks)[:PERLTQA_CHUNKS]
        texts = [chunks[key] for key in keys]
        questions = []
        for kind in ("events", "dialogues", "social_relationship"):
            for group in asked.get(name, {}).get(kind, []):
                for entry in (entry for entries in group.values() for entry in entries):
                    built = _perltqa_question(kind, entry, keys, texts, character["events"])
                    if built is None:
                        dropped["questions whose evidence is in no chunk"] += 1
                    else:
                        questions.append(built)
        if texts and questions:
            kept = sample(questions, most, rng(seed, "perltqa", name))
            found.append(Instance("perltqa", tuple(texts), tuple(kept), {"sub_source": "perltqa", "character": name}))
        else:
            dropped["characters without events or questions"] += 1
    return found, dropped


def _perltqa_question(
    kind: str, entry: Mapping[str, Any], keys: Sequence[str], texts: Sequence[str], events: Mapping[str, Any]
) -> BuiltQuestion | None:
    """The question with its evidence, or None where no chunk holds any."""
    anchors = [html.unescape(text).strip("\"'“”‘’ ") for anchor in entry.get("Memory Anchors", []) for text in anchor]
    if kind == "social_relationship":
        where = tuple(step for step, text in enumerate(texts) if anchors and all(name in text for name in anchors))
    else:
        where = tuple(
            sorted(
                {
                    keys.index(event_of(key, events))
                    for key in _ids(entry["Reference Memory"])
                    if event_of(key, events) in keys
                }
            )
        )
    if not where:
        return None
    held = [anchor for anchor in anchors if anchor and any(anchor.lower() in texts[step].lower() for step in where)]
    return BuiltQuestion(entry["Question"], ";".join(dict.fromkeys(held)) or entry["Answer"], where)


def _ids(text: str) -> list[str]:
    """Ids from "['1_0', '1_1']" or "1_0"."""
    try:
        listed = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [text]
    return [str(key) for key in listed] if isinstance(listed, (list, tuple)) else [text]


def lme(
    samples: Sequence[Mapping[str, Any]], most: int = 2048, count: TokenCounter = count_tokens
) -> tuple[list[Instance], Counter[str]]:
    """One instance per sample of {sample_id, questions, answers, haystack_dates, haystack_sessions}.

    The layout says nothing about evidence. Answers that are numbers become strings.
    """
    found, dropped = [], Counter[str]()
    for entry in samples:
        chunks = tuple(session_chunks(entry["haystack_dates"], entry["haystack_sessions"], count, most))
        pairs = zip(entry["questions"], entry["answers"], strict=True)
        questions = tuple(BuiltQuestion(question, str(answer)) for question, answer in pairs)
        if chunks and questions:
            origin = {"sub_source": "lme_train", "sample_id": str(entry["sample_id"])}
            found.append(Instance("lme_train", chunks, questions, origin))
        else:
            dropped["samples without sessions or questions"] += 1
    return found, dropped
