"""The item game: closed weights against enumeration, recursions by hand, readings counted."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from builtin_episodes import WordReader, builtin_record
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_episodes import KeyReader, play

from memenvs.errors import SettingsError
from memenvs.memory import BM25Retriever
from memenvs.reading import CachedReader, Reading
from rewards.credit import StepGame, exact_shapley
from rewards.credit.items import frozen_shapley, item_shapley, knn_shapley, loo_item, window_count


def by_enumeration(value, m, k):
    """All 2^m coalitions, each worth the value of its k best."""
    return exact_shapley(lambda coalition: value(tuple(sorted(coalition)[:k])), range(m))


# Credit vector 60, example D: relevance by rank, k = 2.
RELEVANCE = (0, 1, 0, 1)


def any_hit(window):
    return float(any(RELEVANCE[rank] for rank in window))


def share_of_hits(window):
    return sum(RELEVANCE[rank] for rank in window) / 2


def test_the_published_example():
    assert frozen_shapley(any_hit, 4, 2) == pytest.approx([-1 / 12, 3 / 4, -1 / 12, 5 / 12])
    assert frozen_shapley(share_of_hits, 4, 2) == pytest.approx([-1 / 12, 5 / 12, -1 / 12, 1 / 4])
    assert knn_shapley(RELEVANCE, 2) == pytest.approx([-1 / 12, 5 / 12, -1 / 12, 1 / 4])


@st.composite
def window_games(draw):
    m, k = draw(st.integers(0, 7)), draw(st.integers(1, 4))
    windows = [w for size in range(min(m, k) + 1) for w in itertools.combinations(range(m), size)]
    values = draw(st.lists(st.floats(-1, 1), min_size=len(windows), max_size=len(windows)))
    return m, k, dict(zip(windows, values, strict=True))


@given(window_games())
@settings(max_examples=60)
def test_closed_weights_equal_enumeration_for_any_value_of_the_window(game):
    m, k, values = game
    phi = frozen_shapley(values.__getitem__, m, k)
    assert phi == pytest.approx(by_enumeration(values.__getitem__, m, k), abs=1e-9)
    assert phi.sum() == pytest.approx(values[tuple(range(min(m, k)))] - values[()], abs=1e-9)


@given(st.lists(st.floats(-1, 1), max_size=7), st.integers(1, 9))
@settings(max_examples=60)
def test_the_recursion_equals_enumeration_for_additive_readers(relevance, k):
    def value(window):
        return sum(relevance[rank] for rank in window) / k

    assert knn_shapley(relevance, k) == pytest.approx(by_enumeration(value, len(relevance), k), abs=1e-9)


def test_windows_are_evaluated_once_each_and_are_far_fewer_than_coalitions():
    asked = []
    frozen_shapley(lambda window: asked.append(window) or 0.0, 12, 5)
    assert len(asked) == len(set(asked)) == window_count(12, 5) == 1586
    assert window_count(3, 5) == 8


def test_several_games_at_once():
    both = frozen_shapley(lambda window: (any_hit(window), share_of_hits(window)), 4, 2)
    assert both.shape == (4, 2)
    assert both[:, 0] == pytest.approx(frozen_shapley(any_hit, 4, 2))
    assert both[:, 1] == pytest.approx(frozen_shapley(share_of_hits, 4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frozen_shapley(any_hit, 4, 0), "k must be at least 1"),
        (lambda: frozen_shapley(any_hit, -1, 1), "m must be at least 0"),
        (lambda: knn_shapley([1.0], 0), "k must be at least 1"),
        (lambda: knn_shapley([[1.0]], 1), r"\(m,\) numbers by rank, got an array of shape \(1, 1\)"),
    ],
)
def test_sizes_that_cannot_be_are_refused(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


# ---- on episodes


def test_leaving_out_an_item_lets_the_next_one_move_up():
    alone = play([[("INSERT", "town Rome")], [("INSERT", "river Po")]], {"town": "Rome"}, k=1)
    twice = play([[("INSERT", "town Rome")], [("INSERT", "town Rome")]], {"town": "Rome"}, k=1)
    stale = play([[("INSERT", "town Oslo")], [("INSERT", "town Rome")]], {"town": "Rome"}, k=1)
    assert loo_item(alone, KeyReader()) == (1.0, 0.0)
    assert loo_item(twice, KeyReader()) == (0.0, 0.0)
    assert loo_item(stale, KeyReader()) == (-1.0, 0.0), "without the stale item the right one is read"
    assert item_shapley(stale, KeyReader()) == pytest.approx((-1 / 2, 1 / 2))


def test_only_what_was_retrieved_is_left_out_and_each_reading_is_asked_once():
    record = play([[("INSERT", f"town {n}")] for n in "abcdef"], {"town": "a", "hill": "b"}, k=2)
    reader = CachedReader(KeyReader())
    assert loo_item(record, reader) == (0.5, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert reader.calls == 2 * (2 + 1)
    assert item_shapley(record, CachedReader(KeyReader()))[2] < 0, "an item that takes a place from the right one"


def test_items_are_credited_to_their_last_write_or_to_their_creation():
    record = play([[("INSERT", "town Oslo")], [("SKIP",)], [("UPDATE", "0.0", "town Rome")]], {"town": "Rome"})
    for estimator in (loo_item, item_shapley):
        assert estimator(record, KeyReader()) == (0.0, 0.0, 1.0)
        assert estimator(record, KeyReader(), phi="created") == (1.0, 0.0, 0.0)
        with pytest.raises(SettingsError, match="Did you mean 'last_write'"):
            estimator(record, KeyReader(), phi="last")


def test_an_empty_memory_earns_nothing():
    record = play([[("INSERT", "town Rome")], [("DELETE", "0.0")]], {"town": "Rome"})
    assert loo_item(record, KeyReader()) == item_shapley(record, KeyReader()) == (0.0, 0.0)


@pytest.mark.parametrize("k", [2, 5])
def test_on_an_embedded_stream_item_values_equal_enumeration_under_the_same_ranking(k):
    record, reader = builtin_record(T=4, k=k), CachedReader(WordReader())
    examiner, m = StepGame(record, reader).examiner, len(record.memory)
    retriever = BM25Retriever()
    retriever.restore(record.memory)
    expected, left_out = np.zeros(4), np.zeros(4)
    for question in record.questions:
        ranked = [item for _, item in retriever.top_k(question.question, m)]

        def value(coalition, question=question, ranked=ranked):
            items = tuple((ranked[rank].id, ranked[rank].content) for rank in sorted(coalition)[:k])
            # One reading per question is expected; the others do not matter here.
            readings = [Reading(q.question, items, q.source) for q in record.questions]
            return examiner.marks(readings)[record.questions.index(question)] / len(record.questions)

        everything = frozenset(range(m))
        for rank, phi in enumerate(exact_shapley(value, range(m))):
            expected[ranked[rank].step] += phi
            left_out[ranked[rank].step] += value(everything) - value(everything - {rank})
    assert np.ptp(expected) > 0.1, "the episode must tell the steps apart"
    assert item_shapley(record, reader) == pytest.approx(expected, abs=1e-9)
    assert loo_item(record, reader) == pytest.approx(left_out, abs=1e-9)
    game = StepGame(record, reader)
    assert math.fsum(expected) == pytest.approx(record.r_global - game.value(()), abs=1e-9)


def test_what_would_take_too_many_readings_is_refused_before_any_of_them():
    record, reader = builtin_record(), CachedReader(WordReader())
    m, n = len(record.memory), len(record.questions)
    needed = n * window_count(m, 5)
    with pytest.raises(
        SettingsError, match=rf"{m} items at k=5 need up to {needed} readings for {n} questions, and most={needed - 1}"
    ):
        item_shapley(record, reader, most=needed - 1)
    assert reader.requests == 0
    assert len(item_shapley(record, reader, most=needed)) == record.T
