"""A person as the memory manager, in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.base import message
from agents.units import units
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Stream

HELP = """\
  1 3 4        keep sentences 1, 3 and 4 (INSERT)
  u 2.0 3      replace item 2.0 by sentence 3 (UPDATE)
  d 2.0        forget item 2.0 (DELETE)
  + any text   keep a text of your own, to the end of the line (INSERT)
  several in one line, separated by commas: 1 3, d 2.0, + Ann, Bob and Eve met
  Enter        change nothing (SKIP)      ?  this help      q  stop"""


class StoppedError(Exception):
    """The person wants to stop."""


def read_line(line: str, sentences: tuple[str, ...]) -> list[Operation]:
    """What a typed line asks for.

    Args:
        line: as in `HELP`.
        sentences: of the chunk, numbered from 1.

    Raises:
        ValueError: the line cannot be understood; says why.
    """
    operations: list[Operation] = []
    while line := line.strip():
        if line.startswith("+"):
            text = line[1:].strip()
            if not text:
                raise ValueError("write a text after +")
            operations.append(Operation("INSERT", text))
            break
        part, _, line = line.partition(",")
        words = part.split()
        if not words:
            continue
        verb = words[0].lower()
        if verb == "d" and len(words) == 2:
            operations.append(Operation("DELETE", None, words[1]))
        elif verb == "u" and len(words) >= 3:
            operations.append(Operation("UPDATE", _sentence(words[2], sentences), words[1]))
        elif verb in ("d", "u"):
            raise ValueError(f"{part!r}: write d ID, or u ID NUMBER")
        else:
            operations.extend(Operation("INSERT", _sentence(word, sentences)) for word in words)
    return operations


def _sentence(word: str, sentences: tuple[str, ...]) -> str:
    if not word.isdigit() or not 1 <= int(word) <= len(sentences):
        raise ValueError(f"{word!r} is no sentence: the chunk has 1 to {len(sentences)}")
    return sentences[int(word) - 1]


class Human:
    """Asks a person at each step.

    Args:
        ask: shows a prompt and returns the typed line; `input` by default.
        show: prints a text.
        max_operations: writes per step; a line with more is asked again. None for no quota.
        max_item_tokens: tokens of one item; longer sentences are cut into pieces that fit. None for no limit.
    """

    name = "human"

    def __init__(
        self,
        ask: Callable[[str], str] = input,
        show: Callable[[str], None] = print,
        max_operations: int | None = None,
        max_item_tokens: int | None = None,
    ) -> None:
        self._ask, self._show = ask, show
        self.max_operations, self.max_item_tokens = max_operations, max_item_tokens

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Say how it works."""
        self._show(HELP)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """Show chunk and memory, read lines until one can be understood.

        Raises:
            StoppedError: the person typed q, or the input ended.
        """
        sentences = units(observation["chunk"], self.max_item_tokens)
        self._show(f"\n── step {int(observation['step']) + 1} of {info['T']} ── memory: {len(info['memory'])} items")
        self._show(observation["memory"] or "(empty)")
        self._show("── chunk")
        for number, sentence in enumerate(sentences, 1):
            self._show(f"{number:3d}  {sentence}")
        while True:
            try:
                line = self._ask("keep> ").strip()
            except EOFError as error:
                raise StoppedError from error
            if line == "q":
                raise StoppedError
            if line == "?":
                self._show(HELP)
                continue
            try:
                return message(self._checked(read_line(line, sentences)))
            except ValueError as error:
                self._show(str(error))

    def _checked(self, operations: list[Operation]) -> list[Operation]:
        """The operations; a ValueError where the environment would refuse one for its size or their number."""
        if self.max_operations is not None and len(operations) > self.max_operations:
            raise ValueError(f"{len(operations)} writes; a step has room for {self.max_operations}")
        for operation in operations:
            tokens = count_tokens(operation.content or "")
            if self.max_item_tokens is not None and tokens > self.max_item_tokens:
                raise ValueError(f"a text of {tokens} tokens; an item may have {self.max_item_tokens}")
        return operations
