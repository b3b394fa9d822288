"""A manager by rule: no foresight, no learning, no knowledge of any data set's wording."""

from __future__ import annotations

import re
from typing import Any

from agents.base import View
from agents.controls import Control
from agents.similar import SimilarTexts
from memenvs.memory.bank import MemoryItem
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Stream

DUPLICATE = 0.95
"""A sentence this similar to an item is not stored again."""
SUPERSEDE = 0.5
"""A sentence with a word of change ("now", "no longer", "instead") replaces an item this similar to it that shares a name with
it."""
_CHANGE = re.compile(
    r"\b(now|nowadays|no longer|not any ?more|anymore|instead|moved|changed|switched|replaced|became|since then|"
    r"updated?|correction|actually|used to)\b",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"\b(is|are|was|were|am|has|have|owns?|lives?|works?|likes?|prefers?|called|named|belongs?|costs?|located|born|"
    r"means|equals|under|label|because)\b",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"\b(hello|hi|hey|thanks|thank you|how are you|good morning|bye|lol|haha|weather|nice|lovely|funny|quiet|hopes?|"
    r"hoped|wonder(s|ed)?|asked|asks|maybe|perhaps|someday|one day|anyway|forgot|joke[ds]?|hummed|laughed|without a reason)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!^)\b[A-Z]\w+")


def _worth(text: str) -> float:
    """How much a sentence seems to say that lasts."""
    return (
        1.0 * bool(re.search(r"\d", text))
        + 1.0 * bool(re.search(r"[\"“:;=]", text))
        + 0.8 * bool(_CHANGE.search(text))
        + 0.6 * bool(_STATE.search(text))
        + 0.4 * bool(_NAME.search(text))
        - 1.5 * bool(_TALK.search(text))
        - 1.0 * text.endswith("?")
    )


def _supersedes(new: str, old: str) -> bool:
    """Whether a sentence tells a change and names somebody or something that the old one names too."""
    names = set(_NAME.findall(new))
    return bool(_CHANGE.search(new)) and (not names or any(name in old for name in names))


class Scripted(Control):
    """Skips small talk and duplicates, updates what a sentence supersedes, inserts the rest, the most telling first.

    With a budget the items written longest ago make room.

    Args:
        limits: see `Control`.
    """

    name = "scripted"

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self._items = SimilarTexts()

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """See `agents.base.Agent.reset`; the stream is not looked at."""
        super().reset(seed)
        self._items = SimilarTexts()

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        left = {item.id: item for item in view.memory}
        total = sum(item.tokens for item in view.memory)
        found: list[Operation] = []
        stored = SimilarTexts()
        self._items.hold({item.id: item.content for item in view.memory})
        for text in sorted(dict.fromkeys(texts), key=lambda t: -_worth(t)):
            if self.max_operations is not None and len(found) >= self.max_operations:
                break
            if _worth(text) < 0 or stored.nearest(text, DUPLICATE) is not None:
                continue
            nearest = self._items.nearest(text, SUPERSEDE)
            best, likeness = (left[nearest[0]], nearest[1]) if nearest is not None else (None, 0.0)
            if best is not None and likeness >= DUPLICATE:
                continue
            replaced = best if best is not None and likeness >= SUPERSEDE and _supersedes(text, best.content) else None
            tokens = count_tokens(text) - (replaced.tokens if replaced else 0)
            kept = [item for item in left.values() if item is not replaced]
            out = self._make_room(total + tokens, kept, len(found) + 1)
            if out is None:
                continue
            for item in (*out, *([replaced] if replaced else [])):
                del left[item.id]
                self._items.drop(item.id)
            found += [Operation("DELETE", None, item.id) for item in out]
            found.append(Operation("UPDATE", text, replaced.id) if replaced else Operation("INSERT", text))
            total += tokens - sum(item.tokens for item in out)
            stored.add(text, text)
        return found

    def _make_room(self, total: int, items: list[MemoryItem], writes: int) -> list[MemoryItem] | None:
        """Items to delete so that ``total`` tokens fit the budget; None if quota or memory do not allow it."""
        out: list[MemoryItem] = []
        oldest = sorted(items, key=lambda item: item.step) if self.memory_budget is not None else []
        for item in oldest:
            if self.memory_budget is None or total <= self.memory_budget:
                break
            out.append(item)
            total -= item.tokens
        fits = self.memory_budget is None or total <= self.memory_budget
        allowed = self.max_operations is None or writes + len(out) <= self.max_operations
        return out if fits and allowed else None
