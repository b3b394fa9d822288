"""Retrieval without ranking: what stands in front of the reader whatever the question's words are.

* `EverythingRetriever` - all items in their order, for readers with a long context.
* `EvidenceRetriever` - for each question the evidence that the data names, and nothing else.

Both follow a memory as `BM25Retriever` does. They look at no ``k``, and all scores are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from memenvs.memory.bank import Change, MemoryItem
from memenvs.memory.memalpha_calls import KINDS, part_of
from memenvs.memory.retrieval import Retrieved
from memenvs.memory.retrieval_profiles import EVERYTHING, EVIDENCE


class EverythingRetriever:
    """All items in the memory's order: that of their INSERT, in a three-part memory part by part."""

    name = EVERYTHING

    def __init__(self) -> None:
        self._items: dict[str, MemoryItem] = {}

    @property
    def settings(self) -> dict[str, float | str]:
        """See `Retriever.settings`."""
        return {"profile": self.name}

    def follow(self, changes: Iterable[Change]) -> None:
        """See `Retriever.follow`."""
        for before, after in changes:
            if after is not None:
                self._items[after.id] = after
            elif before is not None:
                del self._items[before.id]

    def restore(self, items: Iterable[MemoryItem]) -> None:
        """See `Retriever.restore`."""
        self._items = {item.id: item for item in items}

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """All items; neither ``query`` nor ``k`` is looked at."""
        ordered = sorted(self._items.values(), key=lambda item: KINDS.index(part_of(item.id)))
        return tuple(map(_found, ordered))


class EvidenceRetriever(EverythingRetriever):
    """For each question the items that hold its evidence, in the order given, and nothing else.

    Args:
        evidence: text of a question -> (step, text) of what answers it. An item is that evidence if it was inserted at this step
            and has this text.
    """

    name = EVIDENCE

    def __init__(self, evidence: Mapping[str, Sequence[tuple[int, str]]]) -> None:
        super().__init__()
        self._evidence = {question: tuple(dict.fromkeys(places)) for question, places in evidence.items()}

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """The evidence of the question ``query`` as far as the memory holds it; nothing for a question that is not known."""
        held = {(item.created, item.content): item for item in reversed(self._items.values())}
        return tuple(_found(held[place]) for place in self._evidence.get(query, ()) if place in held)


def _found(item: MemoryItem) -> tuple[Retrieved, MemoryItem]:
    return Retrieved(item.id, 0.0, item.step, item.created), item
