"""Query and memory in, ranked items out.

* `Retriever` - what an episode asks of retrieval.
* `BM25Retriever` - follows a `MemoryBank` through its changes, so a step costs the items written and a query the postings touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from memenvs.errors import SettingsError
from memenvs.memory.bank import Change, MemoryItem
from memenvs.memory.bm25 import BM25Index
from memenvs.memory.retrieval_profiles import retrieval_profile
from memenvs.memory.tokens import SEARCH_TOKENS


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


class Retriever(Protocol):
    """Finds the items that a reader sees for a question. It belongs to one episode at a time."""

    @property
    def name(self) -> str:
        """What `EpisodeSettings.retrieval` calls it."""
        ...

    @property
    def settings(self) -> dict[str, float | str]:
        """What it finds depends on these beside the items; plain data."""
        ...

    def follow(self, changes: Iterable[Change]) -> None:
        """Take over one step's changes."""
        ...

    def restore(self, items: Iterable[MemoryItem]) -> None:
        """Go on from a memory of these items, in the order of their INSERT."""
        ...

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """What is found for ``query``, best first."""
        ...


class BM25Retriever:
    """Exact BM25 over the memory.

    Args:
        k1, b, epsilon: see `BM25Index`.
        idf: see `BM25Index`; None takes the profile's.
        profile: name of a `RetrievalProfile`: how texts are split, ties are ordered and scores are cut.

    The default profile has no score threshold: ``min(k, N)`` items come back.

    Raises:
        SettingsError: unknown profile or ``idf``, or an ``idf`` that a published profile does not have.
    """

    def __init__(
        self,
        k1: float = 1.5,
        b: float = 0.75,
        idf: str | None = None,
        epsilon: float = 0.25,
        profile: str = "default",
    ) -> None:
        self.profile = retrieval_profile(profile)
        if idf not in (None, self.profile.idf) and self.profile.name != "default":
            raise SettingsError(
                f"the retrieval profile {self.profile.name!r} has idf={self.profile.idf!r}, got idf={idf!r}; leave idf out"
            )
        self._parameters = (k1, b, self.profile.idf if idf is None else idf, epsilon)
        self._tokenize = SEARCH_TOKENS[self.profile.tokens]
        self._index = self._empty_index()
        self._items: dict[str, MemoryItem] = {}

    def _empty_index(self) -> BM25Index:
        return BM25Index(*self._parameters, tokens=self.profile.tokens, ties=self.profile.ties)

    @property
    def name(self) -> str:
        """Name of the profile."""
        return self.profile.name

    @property
    def settings(self) -> dict[str, float | str]:
        """What the ranking depends on besides the items; plain data."""
        k1, b, idf, epsilon = self._parameters
        return {"k1": k1, "b": b, "idf": idf, "epsilon": epsilon, "profile": self.profile.name}

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
            self._index = self._empty_index()
            self._items = {}
        changes = [Change(item, None) for item_id, item in self._items.items() if item_id not in target]
        changes += [Change(self._items.get(i), item) for i, item in target.items() if self._items.get(i) is not item]
        self.follow(changes)

    def top_k(self, query: str, k: int) -> tuple[tuple[Retrieved, MemoryItem], ...]:
        """The best items for ``query``, best first, as the profile ranks and cuts them; at most ``k``."""
        if not self.profile.finds_without_words and not self._tokenize(query):
            return ()
        found, least = [], self.profile.min_score
        for item_id, score in self._index.top_k(query, k):
            if least is not None and score < least:
                continue
            item = self._items[item_id]
            found.append((Retrieved(item_id, score, item.step, item.created), item))
        return tuple(found)
