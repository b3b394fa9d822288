"""The item game: players are the items of the final memory, under the ranking that all of them together have.

In this frozen ranking a coalition's answer depends on its k best items alone, its window; the next ranked item moves up where one
is left out. (Rebuilt without an item, BM25's other scores would shift too.) Deletions and earlier versions are no players: what
they earned only the step game knows.

* `frozen_shapley` - Shapley values of any function of the window, by closed weights.
* `knn_shapley` - the same for additive functions, in one pass.
* `item_shapley`, `loo_item` - estimators that credit items to steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import DataError, SettingsError, whole
from memenvs.memory import MemoryItem
from memenvs.memory.architectures import FLAT
from memenvs.memory.retrieval_profiles import WITHOUT_RANKING
from memenvs.reading import Reader, Reading
from memenvs.record import EpisodeRecord
from rewards.credit.replay import StepGame, retriever_of, settings_of
from rewards.terms import PHI, Terms, check_choice

Array = NDArray[np.float64]
Window = tuple[int, ...]
"""Ranks of at most k items, best (0) first."""


def window_count(m: int, k: int) -> int:
    """Windows of at most k of m items: sum_{j <= k} C(m, j)."""
    return sum(math.comb(m, j) for j in range(min(m, k) + 1))


def frozen_shapley(value: Callable[[Window], ArrayLike], m: int, k: int) -> Array:
    """Shapley values of m ranked items where a coalition is worth the value of its k best ones.

    A full window R of r = k items is that of all coalitions R + J with J ranked below the l-th item, the worst in R; a smaller one
    is that of R alone, and l = m. Shapley's weights, summed over J, leave 1 / (r C(l, r)) for an item in R, -1 / ((l - r) C(l, r))
    for one of the first l outside R, and 0 for those below, which change nothing.

    Args:
        value: called once for each of the `window_count` windows; a number, or an array (n,) for n games at once.
        m: items.
        k: size of a full window, at least 1.

    Returns:
        (m,) float64 by rank, or (m, n). They sum to value(the first k) - value(()).

    Raises:
        SettingsError: ``m`` or ``k`` is no whole number in range.

    Source: Shapley (1953); the sums over the lower ranked members of a coalition in closed form (a Beta integral) are ours.
    """
    whole("m", m, 0)
    whole("k", k, 1)
    phi = np.zeros(())
    for size in range(min(m, k) + 1):
        for window in itertools.combinations(range(m), size):
            reach = window[-1] + 1 if size == k else m
            ways = math.comb(reach, size)
            weights = np.zeros(m)
            if reach > size:
                weights[:reach] = -1 / ((reach - size) * ways)
            if size:
                weights[list(window)] = 1 / (size * ways)
            phi = phi + np.multiply.outer(weights, np.asarray(value(window), np.float64))
    return phi


def knn_shapley(relevance: ArrayLike, k: int) -> Array:
    """Shapley values where a coalition is worth the sum of the relevance of its k best items, over k.

    Args:
        relevance: (m,) of the ranked items, best ranked first.
        k: at least 1.

    Returns:
        (m,) float64 by rank, in O(m); they sum to (1/k) times the relevance of the first k.

    Raises:
        SettingsError: ``relevance`` has another shape, or ``k`` is no whole number of at least 1.

    Source: Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", arXiv 1908.08619, recursion
    s_m = rel_m / m min(k, m) / k, s_i = s_{i+1} + (rel_i - rel_{i+1}) / k min(k, i) / i.
    """
    whole("k", k, 1)
    rel = np.asarray(relevance, np.float64)
    if rel.ndim != 1:
        raise SettingsError(f"relevance must be (m,) numbers by rank, got an array of shape {rel.shape}")
    i = np.arange(1, len(rel) + 1)
    # With rel_{m+1} = 0 and s_{m+1} = 0 the first line of the recursion is the second.
    gains = -np.diff(rel, append=0.0) / k * np.minimum(k, i) / i
    return np.cumsum(gains[::-1])[::-1]


def loo_item(record: EpisodeRecord, reader: Reader, phi: str = "last_write") -> Terms:
    """Leave one item out: c_t = sum over the items m of step t of v(M) - v(M without m). At most n (k + 1) readings.

    Only a question's k best items are ever left out of its reading: the others could not change it.

    Args:
        record: a finished episode.
        reader: who answers.
        phi: items are credited to their ``"last_write"`` or to the step that ``"created"`` them.

    Returns:
        T floats. Two items that say the same both get 0.

    Raises:
        SettingsError: unknown ``phi``.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings, or its retrieval was no ranking of one list of items.

    Source: the ContextCite family (arXiv 2409.00729), with memory items as the sources.
    """
    check_choice("phi", phi, PHI)
    examiner = StepGame(record, reader).examiner
    ranked = _ranked(record, examiner.k + 1)
    whole_scores = examiner.marks(_readings(record, ranked, range(examiner.k)))
    credit = np.zeros(record.T)
    for rank in range(min(examiner.k, len(record.memory))):
        others = (r for r in range(examiner.k + 1) if r != rank)
        without = examiner.marks(_readings(record, ranked, others))
        for items, whole_score, score in zip(ranked, whole_scores, without, strict=True):
            if rank < len(items):  # a retrieval profile may find fewer than k
                credit[_step(items[rank], phi)] += (whole_score - score) / len(ranked)
    return tuple(credit.tolist())


def item_shapley(record: EpisodeRecord, reader: Reader, phi: str = "last_write", most: int = 50_000) -> Terms:
    """Shapley values of the items under frozen ranking, added up over the items of each step.

    Costs at most n sum_{j <= k} C(m, j) readings for m items, far more than the step game in long episodes.

    Args:
        record: a finished episode.
        reader: who answers.
        phi: items are credited to their ``"last_write"`` or to the step that ``"created"`` them.
        most: readings beyond which nothing is begun.

    Returns:
        T floats; they sum to v(M_T) - v(empty).

    Raises:
        SettingsError: unknown ``phi``, or more than ``most`` readings.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings, or its retrieval was no ranking of one list of items.

    Source: see `frozen_shapley`.
    """
    check_choice("phi", phi, PHI)
    examiner = StepGame(record, reader).examiner
    m, n = len(record.memory), len(record.questions)
    if (needed := n * window_count(m, examiner.k)) > most:
        raise SettingsError(
            f"Shapley values of {m} items at k={examiner.k} need up to {needed} readings for {n} questions, and most={most} "
            "are allowed: allow more, or take loo-item, or permutation-shapley over the steps"
        )
    ranked = _ranked(record, m)
    values = frozen_shapley(lambda window: examiner.marks(_readings(record, ranked, window)), m, examiner.k)
    credit = np.zeros(record.T)
    for items, column in zip(ranked, values.T, strict=True):
        # A retrieval profile may find fewer than m items; ranks without an item are worth 0.
        for item, value in zip(items, column, strict=False):
            credit[_step(item, phi)] += value / n
    return tuple(credit.tolist())


def _step(item: MemoryItem, phi: str) -> int:
    return item.step if phi == "last_write" else item.created


def _ranked(record: EpisodeRecord, count: int) -> list[tuple[MemoryItem, ...]]:
    """The best ``count`` items of the final memory for each global question, best first.

    Raises:
        DataError: the episode's retrieval was no ranking of one list of items.
    """
    settings = settings_of(record)
    if settings.memory != FLAT or settings.retrieval in WITHOUT_RANKING:
        raise DataError(
            "leaving items out under a frozen ranking needs one ranked list of items; the record has "
            f"memory={settings.memory!r}, retrieval={settings.retrieval!r}: take a credit that replays steps, such as loo-step"
        )
    retriever = retriever_of(record)
    retriever.restore(record.memory)
    return [tuple(item for _, item in retriever.top_k(question.question, count)) for question in record.questions]


def _readings(record: EpisodeRecord, ranked: list[tuple[MemoryItem, ...]], ranks: Iterable[int]) -> list[Reading]:
    """Each global question with its items of these ranks, as far as there are any."""
    kept = tuple(ranks)
    return [
        Reading(
            question.question, tuple((items[r].id, items[r].content) for r in kept if r < len(items)), question.source
        )
        for question, items in zip(record.questions, ranked, strict=True)
    ]
