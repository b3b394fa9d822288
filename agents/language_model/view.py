"""What a language model sees of the memory: as much as a token budget allows.

* `SHOW` - how items are chosen where not all of them fit.
* `memory_view` - the choice.
* `MemoryView.text` - the view as a text.

Hidden items stay in the memory under their ids: a message that names one updates or deletes it like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.bank import MemoryItem
from memenvs.memory.bm25 import BM25Index
from memenvs.memory.memalpha_calls import CORE, KINDS, part_of
from memenvs.memory.tokens import count_tokens

SHOW = ("alike", "newest")
"""``"alike"``: items most alike to the chunk by BM25 first, for an item that a chunk corrects, repeats or makes useless shares its
words; equals, such as all items that share none, by the latest write. ``"newest"``: by the latest write alone."""


@dataclass(frozen=True, slots=True)
class MemoryView:
    """The items that are shown."""

    shown: tuple[MemoryItem, ...]
    """In the order of the memory, whichever was chosen first: so a view changes little from step to step."""
    hidden: tuple[MemoryItem, ...] = ()
    """The others."""

    def text(self, parts: bool = False) -> str:
        """One line ``[id] content`` per item, and last how many are hidden.

        Args:
            parts: a section for each part of a three-part memory.
        """
        if not parts:
            return self._section(self.shown, len(self.hidden))
        sections = []
        for kind in KINDS:
            shown = tuple(item for item in self.shown if part_of(item.id) == kind)
            hidden = sum(part_of(item.id) == kind for item in self.hidden)
            sections.append(f"{kind}_memory:\n{self._section(shown, hidden)}")
        return "\n".join(sections)

    @staticmethod
    def _section(shown: Sequence[MemoryItem], hidden: int) -> str:
        lines = [item.line for item in shown]
        if hidden:
            lines.append(f"({hidden} of {hidden + len(shown)} items not shown; they are kept)")
        return "\n".join(lines) or "(empty)"


def memory_view(memory: Sequence[MemoryItem], chunk: str, budget: int | None = None, show: str = "alike") -> MemoryView:
    """Choose what is shown.

    Args:
        memory: all items.
        chunk: text of the step.
        budget: most tokens of the lines shown, counted by `count_tokens`; None for no limit.
        show: one of `SHOW`.

    Returns:
        The view. An item that does not fit into what is left of the budget is hidden, and the next one is tried. The core of a
        three-part memory comes first.

    Raises:
        SettingsError: unknown ``show``.
    """
    if show not in SHOW:
        raise SettingsError(f"show must be one of {', '.join(SHOW)}, got {show!r}.{did_you_mean(str(show), SHOW)}")
    costs = [count_tokens(item.line) for item in memory]
    if budget is None or sum(costs) <= budget:
        return MemoryView(tuple(memory))
    likeness = _likeness(memory, chunk) if show == "alike" else [0.0] * len(memory)
    order = sorted(range(len(memory)), key=lambda i: (memory[i].id != CORE, -likeness[i], -memory[i].step, -i))
    room, chosen = budget, set()
    for i in order:
        if costs[i] <= room:
            room -= costs[i]
            chosen.add(i)
    return MemoryView(
        tuple(item for i, item in enumerate(memory) if i in chosen),
        tuple(item for i, item in enumerate(memory) if i not in chosen),
    )


def _likeness(memory: Sequence[MemoryItem], chunk: str) -> list[float]:
    """BM25 score of each item for the chunk, to 9 decimals: the order must not hang on the last bit."""
    index = BM25Index()
    for item in memory:
        index.insert(item.id, item.content)
    scores = index.scores(chunk)
    return [round(scores.get(item.id, 0.0), 9) for item in memory]
