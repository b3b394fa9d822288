"""Real episodes that are small enough to work out by hand."""

from __future__ import annotations

import json

from memenvs.episode import Episode, EpisodeSettings
from memenvs.memory import MemoryLimits
from memenvs.reading import Answer
from memenvs.streams.types import Chunk, Question, Stream


class KeyReader:
    """The question is a word: answers with the rest of the first item that begins with it, and cites that item."""

    name = "key"

    def read(self, readings):
        found = []
        for reading in readings:
            hits = [(i, text) for i, text in reading.items if text.split()[0] == reading.question]
            item_id, text = hits[0] if hits else (None, "")
            found.append(Answer(text.partition(" ")[2], (item_id,) if hits else ()))
        return found


def operation(op, *rest):
    """("INSERT", content), ("UPDATE", id, content), ("DELETE", id) or ("SKIP",) as a native entry."""
    names = {"INSERT": ("content",), "UPDATE": ("id", "content"), "DELETE": ("id",), "SKIP": ()}[op]
    return {"op": op} | dict(zip(names, rest, strict=True))


def play(messages, questions, chunks=None, reader=None, k=5, limits=MemoryLimits(), fails=False):
    """The record of an episode.

    ``messages``: per step a list of operations as for `operation`, or raw text; ``questions``: key -> right answer; ``fails``: the
    reader fails at the end.
    """
    texts = chunks or [f"chunk {t}" for t in range(len(messages))]
    asked = tuple(Question(key, (answer,), "builtin-fact") for key, answer in questions.items())
    stream = Stream("tiny", "builtin", tuple(Chunk(text) for text in texts), asked)
    episode = Episode(stream, EpisodeSettings(k=k, limits=limits))
    for message in messages:
        text = message if isinstance(message, str) else json.dumps([operation(*entry) for entry in message])
        needs = episode.act(text)
        episode.answer(None if fails and needs else (reader or KeyReader()).read(needs))
    return episode.record()
