"""The exact manager of running-sum streams: what a perfect agent can reach there."""

from __future__ import annotations

import re

from agents.base import View
from agents.controls import Control
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens

_ENTRY = re.compile(r"\bvalue of (\w+) is (-?\d+)")
_TURN = re.compile(r"^Turn \d+: add (.+?) to the running sum")
_AND = re.compile(r", | and ")
_SUM = re.compile(r"^The running sum is (-?\d+)\.$")


class Adder(Control):
    """Stores the dictionary and keeps one item "The running sum is 12." up to date.

    It knows nothing but the chunk and the memory: a key whose entry was lost adds 0. Under a quota of operations the
    entries of a chunk share items. On other streams it stores every chunk.

    Args:
        limits: see `Control`.
    """

    name = "adder"

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        turn = _TURN.match(view.chunk)
        if turn is None:
            return self.inserts(view, list(texts) if self.max_operations is None else self._packed(texts))
        values: dict[str, int] = {}
        kept: tuple[str | None, int] = None, 0
        for item in view.memory:
            values |= {key: int(value) for key, value in _ENTRY.findall(item.content)}
            if said := _SUM.match(item.content):
                kept = item.id, int(said[1])
        total = kept[1] + sum(values.get(key, 0) for key in _AND.split(turn[1]))
        text = f"The running sum is {total}."
        return self.inserts(view, [text]) if kept[0] is None else [Operation("UPDATE", text, kept[0])]

    def _packed(self, texts: tuple[str, ...]) -> list[str]:
        """As few items as hold the texts."""
        found: list[str] = []
        for text in texts:
            together = f"{found[-1]} {text}" if found else ""
            if found and (self.max_item_tokens is None or count_tokens(together) <= self.max_item_tokens):
                found[-1] = together
            else:
                found.append(text)
        return found
