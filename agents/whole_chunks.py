"""No memory management at all: what was read is kept as it was read.

* `WholeChunks` - every chunk as one item, all of them or the most recent tokens.
* `last_tokens` - the end of a text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from agents.base import View, message
from memenvs.errors import SettingsError, whole
from memenvs.memory.operations import MAX_MESSAGE_CHARS, Operation
from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.chunking import mab_chunks
from memenvs.streams.types import Stream


class WholeChunks:
    """Stores each chunk verbatim, blank ones left out: the baseline of retrieval over chunks and of a reader with a long context.

    Args:
        most_tokens: keep only the last tokens of all that was read: the oldest chunks go, and the one on the border loses its
            beginning. None keeps everything. After each step the memory has as many tokens as were read, but at most this many.
        piece_tokens: cut a chunk into pieces of whole sentences of at most this many tokens, as the retrieval agents of
            MemoryAgentBench do; None leaves chunks whole.
        count: token counter of the two. The memory adds up the tokens of its items, so it must be the episode's.

    Raises:
        SettingsError: a number below 1.
    """

    name = "whole_chunks"

    def __init__(
        self, most_tokens: int | None = None, piece_tokens: int | None = None, count: TokenCounter = count_tokens
    ) -> None:
        self.most_tokens = None if most_tokens is None else whole("most_tokens", most_tokens, 1, " or None")
        self.piece_tokens = None if piece_tokens is None else whole("piece_tokens", piece_tokens, 1, " or None")
        self._count = count

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Nothing to forget, nothing to draw; the stream is not looked at."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`.

        Raises:
            SettingsError: the chunk does not fit into one message.
        """
        view = View.of(observation, info)
        written = message(self._operations(view))
        if len(written) > MAX_MESSAGE_CHARS:
            raise SettingsError(
                f"chunk {view.step} needs a message of {len(written)} characters, of which {MAX_MESSAGE_CHARS} are read; "
                "load the data with smaller chunks"
            )
        return written

    def _operations(self, view: View) -> list[Operation]:
        texts = [view.chunk] if self.piece_tokens is None else self._pieces(view.chunk)
        texts = [text for text in texts if text.strip()]  # an item is not blank
        if self.most_tokens is None:
            return [Operation("INSERT", text) for text in texts]
        room = self.most_tokens
        inserts: list[Operation] = []
        for text in reversed(texts):
            if kept := last_tokens(text, room, self._count):
                inserts.append(Operation("INSERT", kept))
            room -= min(self._count(text), room)
        found = inserts[::-1]
        for item in reversed(view.memory):
            if item.tokens > room:
                kept = last_tokens(item.content, room, self._count)
                found.append(Operation("UPDATE", kept, item.id) if kept else Operation("DELETE", None, item.id))
            room -= min(item.tokens, room)
        return found

    def _pieces(self, text: str) -> list[str]:
        assert self.piece_tokens is not None
        return mab_chunks(text, self._count, self.piece_tokens, published=False)


def last_tokens(text: str, most: int, count: TokenCounter = count_tokens) -> str:
    """The longest end of ``text`` of at most ``most`` tokens, without white space before it.

    Args:
        text: any text.
        most: tokens, 0 or more; 0 gives "".
        count: token counter. Where a longer end never counts fewer tokens, as with words, the end has exactly
            ``min(most, count(text))`` of them; a byte-pair encoding may miss that by the token on the border, to the lower side.
    """
    if count(text) <= most:
        return text
    # A larger start is a shorter end, so whether it fits goes from False to True once.
    start = bisect_left(range(len(text)), True, key=lambda start: count(text[start:]) <= most)
    end = text[start:]
    return end.lstrip() if count(end.lstrip()) <= most else end
