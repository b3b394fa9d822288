"""Query and memory in, ranked items out.

`BM25Retriever` follows a `MemoryBank` through its changes, so a step costs the items written and a query the postings touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memenvs.memory.bank import Change, MemoryItem
from memenvs.memory.bm25 import BM25Index


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One retrieved item with its provenance at that moment."""

    id: str
    """The item."""
    score: float
    """The retriever's score; larger is better."""
    step: int
    """Step of the item's last write."""
    created: int
    """Step of its INSERT."""


class BM25Retriever:
    """Exact BM25 over the memory.

    Args:
        k1, b, idf, epsilon: see `BM25Index`.

    There is no score threshold: ``min(k, N)`` items come back, as in the published servers (specification:
    wangyu-ustc/Mem-alpha@9c0e1f6, its memory server).
    """

    def __init__(self, k1: float = 1.5, b: float = 0.75, idf: str = "lucene", epsilon: float = 0.25) -> None:
        self._index = BM25Index(k1, b, idf, epsilon)
        self._items: dict[str, MemoryItem] = {}

    @property
    def settings(self) -> dict[str, float | str]:
        """What the ranking depends on besides the items; plain data."""
        index = self._index
        return {"k1": index.k1, "b": index.b, "idf": index.idf, "epsilon": index.epsilon}

    def follow(self, changes: Iterable[Change]) -> None:
        """Take over one step's changes."""
        for before, after in changes:
            if after is None:
                assert before is not None
                self._index.delete(before.id)
                del self._items[before.id]
                continue
            if before is None:
                self._index.insert(after.id, after.content)
            elif before.content != after.content:
                self._index.update(after.id, after.content)
            self._items[after.id] = after

    def restore(self, items: Iterable[MemoryItem]) -> None:
        """Bring the index to ``items``; costs the difference where possible, a rebuild where an old item comes back."""
        target = {item.id: item for item in items}
        if any(item_id not in self._items for item_id in target):
            # An item that returns must regain its place in the tie order.
            self._index = BM25Index(self._index.k1, self._index.b, self._index.idf, self._index.epsilon)
            self._items = {}
        changes = [Change(item, None) for item_id, item in self._items.items() if item_id not in target]
        changes += [Change(self._items.get(i), item) for i, item in target.items() if self._items.get(i) is not item]
        self.follow(changes)

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """The best items for ``query``, best first; ties in insertion order."""
        found = []
        for item_id, score in self._index.top_k(query, k):
            item = self._items[item_id]
            found.append((Retrieved(item_id, score, item.step, item.created), item))
        return tuple(found)
