"""Retrieval from a three-part memory: the core always, and the best items of each other part.

* `ThreePartRetriever` - the ranking.
* `fitting_k` - how many items of each part the published server puts into one prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memenvs.errors import DataError
from memenvs.memory.bank import Change, MemoryItem
from memenvs.memory.memalpha_calls import CORE, EPISODIC, SEMANTIC, part_of
from memenvs.memory.retrieval import BM25Retriever, Retrieved


class ThreePartRetriever(BM25Retriever):
    """The core, whatever the question, then the best ``k`` semantic and the best ``k`` episodic items.

    Each part is ranked on its own, so a score means something within its part only; the core's is 0.

    Args:
        k1, b, idf, epsilon, profile: see `BM25Retriever`.

    Source: wangyu-ustc/Mem-alpha@9c0e1f6: memory_server.py (search_memories; the core stands in the answering agent's prompt).
    """

    def __init__(
        self,
        k1: float = 1.5,
        b: float = 0.75,
        idf: str | None = None,
        epsilon: float = 0.25,
        profile: str = "default",
    ) -> None:
        super().__init__(k1, b, idf, epsilon, profile)
        self._core: MemoryItem | None = None
        self._parts = {part: BM25Retriever(k1, b, idf, epsilon, profile) for part in (SEMANTIC, EPISODIC)}

    @property
    def settings(self) -> dict[str, float | str]:
        """See `BM25Retriever.settings`."""
        return super().settings | {"parts": "core, semantic, episodic"}

    def follow(self, changes: Iterable[Change]) -> None:
        """Take over one step's changes."""
        changes = list(changes)
        for part, retriever in self._parts.items():
            retriever.follow(change for change in changes if _part(change) == part)
        for change in changes:
            if _part(change) == CORE:
                self._core = change.after

    def restore(self, items: Iterable[MemoryItem]) -> None:
        """Bring the index to ``items``."""
        items = list(items)
        for part, retriever in self._parts.items():
            retriever.restore(item for item in items if part_of(item.id) == part)
        self._core = next((item for item in items if part_of(item.id) == CORE), None)

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """The core, then at most ``k`` semantic and at most ``k`` episodic items, each best first."""
        core = self._core
        first = () if core is None else ((Retrieved(core.id, 0.0, core.step, core.created), core),)
        return (*first, *(found for retriever in self._parts.values() for found in retriever.top_k(query, k)))


def fitting_k(tokens: Callable[[int], int], k: int = 20, limit: int = 30_000) -> int:
    """The width whose prompt fits: ``k``, less one at a time while the prompt is longer than ``limit``, at least 1.

    Args:
        tokens: width -> tokens of the prompt with that many items of each part. The published prompt is counted in Qwen's tokens.
        k: greatest width.
        limit: tokens of a prompt.

    Raises:
        DataError: the prompt at that width is as long as the limit or longer. (Exactly as long is too long, but makes the width no
            smaller; in the published server either fails the whole batch.)

    Source: wangyu-ustc/Mem-alpha@9c0e1f6: memory_server.py (batch_process).
    """
    size = tokens(k)
    while size > limit and k > 1:
        k -= 1
        size = tokens(k)
    if size >= limit:
        raise DataError(f"expected a prompt of less than {limit} tokens, got {size} with {k} items of each part")
    return k


def _part(change: Change) -> str:
    item = change.after if change.after is not None else change.before
    assert item is not None
    return part_of(item.id)
