"""Ids that a replay gives: items keep the ids they once had, and a memory cannot be corrupted by them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank import MALFORMED, SKIP, delete, insert, limit, steps, update

from memenvs.errors import SettingsError
from memenvs.memory import MemoryBank, MemoryLimits


def test_given_ids_go_to_the_inserts_in_order_and_a_refused_one_consumes_its_own():
    bank = MemoryBank(MemoryLimits(max_item_tokens=3))
    sent = [insert("a"), MALFORMED, insert("far too long a note"), SKIP, insert("b"), update("4.7", "c"), delete("x")]
    report = bank.apply(sent, insert_ids=["x", "y", "4.7"])
    assert [outcome.id for outcome in report.outcomes] == ["x", None, None, None, "4.7", "4.7", "x"]
    assert [(item.id, item.content, item.created) for item in bank.items] == [("4.7", "c", 0)]
    bank.apply([insert("d")], insert_ids=iter(["x"]))  # free again: a replay may write what it has dropped
    bank.apply([insert("e")])
    assert [item.id for item in bank.items] == ["4.7", "x", "2.0"]


@pytest.mark.parametrize(
    ("given_ids", "message"),
    [
        ([], r"one for each of 2 INSERTs, got \[\]"),
        (["1.0"], r"one for each of 2 INSERTs, got \['1.0'\]"),
        (["1.0", "1.1", "1.2"], "one for each of 2 INSERTs"),
        (["1.0", "1.0"], "must be different ids"),
        (["1.0", "0.0"], r"must be new, but the memory holds \['0.0'\]"),
    ],
)
def test_ids_that_are_not_one_new_id_per_insert_change_nothing(given_ids, message):
    bank = MemoryBank(MemoryLimits(max_item_tokens=3))
    bank.apply([insert("a")])
    before = (bank.digest(), bank.items, bank.tokens, bank.step)
    with pytest.raises(SettingsError, match=message):
        bank.apply([delete("0.0"), insert("b"), insert("far too long a note")], insert_ids=given_ids)
    assert (bank.digest(), bank.items, bank.tokens, bank.step) == before


@settings(max_examples=60)
@given(st.builds(MemoryLimits, limit, limit, limit), st.lists(steps, max_size=6))
def test_a_replay_with_the_ids_of_the_first_time_is_the_first_time(limits, sent):
    first, again = MemoryBank(limits), MemoryBank(limits)
    for step, ops in enumerate(sent):
        report = first.apply(ops)
        given_ids = [
            outcome.id or f"{step} refused {n}" for n, outcome in enumerate(report.outcomes) if outcome.op == "INSERT"
        ]
        assert again.apply(iter(ops), given_ids) == report
        assert (again.digest(), again.tokens) == (first.digest(), first.tokens)
