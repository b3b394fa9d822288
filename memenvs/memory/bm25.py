"""Exact BM25 over a changing set of texts: insert, update and delete without a rebuild.

Scores equal rank_bm25's ``BM25Okapi`` rebuilt from scratch (``idf="okapi"``, tested to 1e-9). ``idf="lucene"`` is the
default because okapi's idf is negative at N = 1 and zero for a word in one of two texts (see docs/retrieval.md).

How: one posting table per word (slot, term frequency), a length per slot (infinite once deleted, which makes
the slot's contribution exactly 0), document frequencies kept up to date, and for okapi's floor a histogram
df -> number of words, so that the mean idf costs one pass over the distinct document frequencies.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter

import numpy as np

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.tokens import SEARCH_TOKENS

IDF_KINDS = ("okapi", "lucene")
TIES = ("rounded", "stable", "reversed")


class _Postings:
    """Slots that hold a word, with term frequencies."""

    __slots__ = ("df", "frequencies", "slots")

    def __init__(self) -> None:
        # `array` because it appends several times faster than numpy assigns, and numpy reads it without a copy.
        self.slots = array("i")
        """Every slot the word was written to, deleted ones included."""
        self.frequencies = array("d")
        self.df = 0
        """Live texts that hold the word."""


class BM25Index:
    """BM25 over texts with ids.

    Args:
        k1: term-frequency saturation.
        b: length normalisation.
        idf: ``"okapi"``: ln(N - df + .5) - ln(df + .5), negative values replaced by ``epsilon`` times the mean idf
            (rank_bm25 0.2.2, BM25Okapi); ``"lucene"``: ln(1 + (N - df + .5) / (df + .5)), always positive.
        epsilon: floor factor of okapi.
        tokens: ``"words"``: lower-cased words; ``"split"``: pieces between white space, case kept.
        ties: ``"rounded"``: scores equal to 9 decimals come in insertion order; ``"stable"``: scores equal to the last bit do,
            as rank_bm25 computes them and `sorted` leaves them; ``"reversed"``: as ``np.argsort(scores)[::-1]`` leaves them
            (rank_bm25's ``get_top_n``): reverse insertion order up to 16 texts; beyond that numpy's sort is not stable.

    Raises:
        SettingsError: unknown ``idf``, ``tokens`` or ``ties``.
    """

    def __init__(
        self,
        k1: float = 1.5,
        b: float = 0.75,
        idf: str = "lucene",
        epsilon: float = 0.25,
        tokens: str = "words",
        ties: str = "rounded",
    ) -> None:
        for name, value, known in (("idf", idf, IDF_KINDS), ("tokens", tokens, SEARCH_TOKENS), ("ties", ties, TIES)):
            if value not in known:
                raise SettingsError(
                    f"{name} must be one of {', '.join(known)}, got {value!r}.{did_you_mean(str(value), known)}"
                )
        self.k1, self.b, self.idf, self.epsilon, self.tokens, self.ties = k1, b, idf, epsilon, tokens, ties
        self._tokenize = SEARCH_TOKENS[tokens]
        self._reset()

    def _reset(self) -> None:
        self._slot_of: dict[str, int] = {}
        self._ids: list[str | None] = []
        self._words: list[Counter[str] | None] = []
        self._lengths = np.full(16, np.inf)
        self._order = np.zeros(16, dtype=np.int64)
        self._postings: dict[str, _Postings] = {}
        self._words_with_df: dict[int, int] = {}
        """df -> number of words that have it, kept for okapi alone; a count may be 0."""
        self._total_length = 0
        self._next_order = 0
        self._changed()

    def _changed(self) -> None:
        """Forget what is worked out once per change."""
        self._k: np.ndarray | None = None
        self._mean_idf: float | None = None

    def __len__(self) -> int:
        return len(self._slot_of)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._slot_of

    def insert(self, item_id: str, text: str) -> None:
        """Add a text. Raises KeyError if the id is there already."""
        if item_id in self._slot_of:
            raise KeyError(f"{item_id!r} is in the index already; use update")
        self._add(item_id, Counter(self._tokenize(text)), self._next_order)
        self._next_order += 1

    def update(self, item_id: str, text: str) -> None:
        """Replace a text; its place in the tie order stays. Raises KeyError if the id is unknown."""
        order = int(self._order[self._slot(item_id)])
        self._remove(item_id)
        self._add(item_id, Counter(self._tokenize(text)), order)
        self._compact_if_sparse()

    def delete(self, item_id: str) -> None:
        """Remove a text. Raises KeyError if the id is unknown."""
        self._slot(item_id)
        self._remove(item_id)
        self._compact_if_sparse()

    def _slot(self, item_id: str) -> int:
        try:
            return self._slot_of[item_id]
        except KeyError:
            raise KeyError(f"{item_id!r} is not in the index ({len(self)} texts)") from None

    def _add(self, item_id: str, words: Counter[str], order: int) -> None:
        slot = len(self._ids)
        if slot == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.full(slot, np.inf)])
            self._order = np.concatenate([self._order, np.zeros(slot, dtype=np.int64)])
        self._ids.append(item_id)
        self._words.append(words)
        self._slot_of[item_id] = slot
        length = sum(words.values())
        self._lengths[slot] = length
        self._order[slot] = order
        self._total_length += length
        self._changed()
        postings, histogram = self._postings, self._words_with_df if self.idf == "okapi" else None
        for word, frequency in words.items():
            entry = postings.get(word)
            if entry is None:
                entry = postings[word] = _Postings()
            entry.slots.append(slot)
            entry.frequencies.append(frequency)
            entry.df = df = entry.df + 1
            if histogram is not None:
                histogram[df] = histogram.get(df, 0) + 1
                if df > 1:
                    histogram[df - 1] -= 1

    def _remove(self, item_id: str) -> None:
        slot = self._slot_of.pop(item_id)
        words = self._words[slot]
        assert words is not None
        self._total_length -= int(self._lengths[slot])
        self._ids[slot] = self._words[slot] = None
        self._lengths[slot] = np.inf
        self._changed()
        postings, histogram = self._postings, self._words_with_df if self.idf == "okapi" else None
        for word in words:
            entry = postings[word]
            entry.df = df = entry.df - 1
            if histogram is not None:
                histogram[df + 1] -= 1
                if df > 0:
                    histogram[df] = histogram.get(df, 0) + 1
            if df == 0:
                del postings[word]

    def _compact_if_sparse(self) -> None:
        """Drop deleted slots once they outnumber the live ones: paid for by the writes since the last time."""
        if len(self._ids) < 64 or len(self._ids) < 2 * len(self):
            return
        live = [
            (i, w, int(self._order[s]))
            for s, (i, w) in enumerate(zip(self._ids, self._words, strict=True))
            if i is not None
        ]
        next_order = self._next_order
        self._reset()
        self._next_order = next_order
        for item_id, words, order in live:
            assert words is not None
            self._add(item_id, words, order)

    def _length_factor(self) -> np.ndarray:
        """k1 (1 - b + b dl / avgdl) per slot; infinite where deleted. Worked out once per change."""
        if self._k is None:
            used = self._lengths[: len(self._ids)]
            average = self._total_length / len(self) if self._total_length else 1.0
            with np.errstate(invalid="ignore"):  # 0 * inf at a deleted slot where b or k1 is 0
                self._k = self.k1 * (1 - self.b + self.b * used / average)
        return self._k

    def _idf(self, df: int) -> float:
        n = len(self._slot_of)
        if self.idf == "lucene":
            return math.log(1 + (n - df + 0.5) / (df + 0.5))
        value = math.log(n - df + 0.5) - math.log(df + 0.5)
        return value if value >= 0 else self.epsilon * self._okapi_mean_idf()

    def _okapi_mean_idf(self) -> float:
        """Mean over the words of the idf before the floor. Worked out once per change."""
        if self._mean_idf is None and self.ties != "rounded":
            self._mean_idf = self._mean_idf_in_order()
        if self._mean_idf is None:
            # Sorted, so that the sum does not depend on the order of past changes.
            pairs = np.array(sorted(pair for pair in self._words_with_df.items() if pair[1]), dtype=np.float64)
            df, words = pairs[:, 0], pairs[:, 1]
            idf = np.log(len(self._slot_of) - df + 0.5) - np.log(df + 0.5)
            self._mean_idf = float(np.sum(words * idf) / np.sum(words))
        return self._mean_idf

    def _mean_idf_in_order(self) -> float:
        """The same, summed in the order in which rank_bm25 meets the words, so that ties and signs agree to the last bit."""
        n, total = len(self), 0.0
        for word in dict.fromkeys(word for slot in self._live() for word in self._words[slot] or ()):
            df = self._postings[word].df
            total += math.log(n - df + 0.5) - math.log(df + 0.5)
        return total / len(self._postings)

    def _live(self) -> list[int]:
        """Slots of the texts in insertion order."""
        return sorted(self._slot_of.values(), key=self._order.__getitem__)

    def _slot_scores(self, query: str) -> np.ndarray:
        """Score per slot, float64 ``(slots,)``; 0 for deleted slots and where no word is shared."""
        slots, frequencies, weights, sizes = [], [], [], []
        for word in self._tokenize(query):
            entry = self._postings.get(word)
            if entry is not None:
                slots.append(np.frombuffer(entry.slots, dtype=np.intc))
                frequencies.append(np.frombuffer(entry.frequencies))
                weights.append(self._idf(entry.df))
                sizes.append(len(entry.slots))
        if not slots:
            return np.zeros(len(self._ids))
        at, tf = np.concatenate(slots), np.concatenate(frequencies)
        contributions = np.repeat(weights, sizes) * (tf * (self.k1 + 1) / (tf + self._length_factor()[at]))
        return np.bincount(at, contributions, minlength=len(self._ids))

    def scores(self, query: str) -> dict[str, float]:
        """Score of every text for ``query``, by id in insertion order."""
        values = self._slot_scores(query)
        return {str(self._ids[slot]): float(values[slot]) for slot in self._live()}

    def top_k(self, query: str, k: int) -> list[tuple[str, float]]:
        """The ``min(k, N)`` best texts as (id, score), best first; among equals ``ties`` decides."""
        if k < 1 or not self._slot_of:
            return []
        values = self._slot_scores(query)
        if self.ties == "reversed":
            live = self._live()
            best = np.array(live)[np.argsort(values[live])[::-1][:k]]
            return [(str(self._ids[slot]), float(values[slot])) for slot in best]
        key = -np.round(values, 9) if self.ties == "rounded" else -values
        key[self._lengths[: len(self._ids)] == np.inf] = np.inf
        count = min(k, len(self))
        # Ties at the cut go to the earlier insertion, so everything that reaches the cut is sorted.
        cut = np.partition(key, count - 1)[count - 1]
        best = np.flatnonzero(key <= cut)
        best = best[np.lexsort((self._order[best], key[best]))][:count]
        return [(str(self._ids[slot]), float(values[slot])) for slot in best]
