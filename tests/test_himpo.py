"""HiMPO: bounded relevance times what a step changed, by hand."""

import pytest
from tiny_episodes import KeyReader, play

from memenvs.errors import ReaderError, SettingsError
from rewards.credit.hindsight import himpo, memory_credit, relevance


def test_memory_credit_is_clipped_relevance_times_the_gain():
    # Credit vector 49.
    assert memory_credit(new=0.7, old=0.4, relevance=0.5) == pytest.approx(0.15)
    assert memory_credit(0.4, 0.7, 0.5) == pytest.approx(-0.15)
    assert memory_credit(1.0, 0.0, 0.9, bound=0.25) == 0.25
    assert memory_credit(1.0, 0.0, -0.5) == 0.0


def test_relevance_is_the_share_of_the_cited_items_and_of_the_retrieved_ones_where_none_was_cited():
    messages = [[("INSERT", "a 1")], [("INSERT", "b 2")], [("INSERT", "c 3")]]
    answered, silent = play(messages, {"a": "1", "z": "9"}).questions
    assert relevance(answered, {"0.0", "1.0"}) == 1.0
    assert relevance(answered, {"1.0"}) == 0.0
    assert relevance(silent, {"1.0"}) == pytest.approx(1 / 3)
    assert relevance(play([[("SKIP",)]], {"a": "1"}).questions[0], {"0.0"}) == 0.0


def test_gains_count_only_for_steps_that_wrote_the_evidence():
    # Question a is answered from step 0 on; step 1 spoils it, step 2 mends it (same item, so all three wrote the evidence);
    # question b is answered from step 1 on.
    messages = [
        [("INSERT", "a 1")],
        [("UPDATE", "0.0", "a wrong"), ("INSERT", "b 2")],
        [("UPDATE", "0.0", "a 1")],
        [("SKIP",)],
    ]
    record = play(messages, {"a": "1", "b": "2"})
    assert himpo(record, KeyReader()) == pytest.approx((0.5, (-1 + 1) / 2, 0.5, 0.0))
    assert himpo(record, KeyReader(), bound=0.5) == pytest.approx((0.25, 0.0, 0.25, 0.0))


def test_a_delete_wrote_no_evidence_whatever_it_changed():
    # The first item that begins with "a" is read: the DELETE of step 2 makes the right one come first, and earns nothing.
    messages = [[("INSERT", "a wrong")], [("INSERT", "a 1")], [("DELETE", "0.0")]]
    record = play(messages, {"a": "1"})
    assert record.r_global == 1.0
    assert himpo(record, KeyReader()) == (0.0, 0.0, 0.0)


def test_uncited_questions_share_a_loss_among_the_writers_of_what_is_retrieved():
    # Step 2 rewrites the item that answered: nothing is cited at the end, both items are retrieved, so its relevance is 1/2.
    messages = [[("INSERT", "a 1")], [("INSERT", "b 2")], [("UPDATE", "0.0", "gone")]]
    record = play(messages, {"a": "1"})
    assert record.questions[0].evidence_ids == ()
    assert himpo(record, KeyReader()) == pytest.approx((0.5, 0.0, -0.5))


def test_bad_bounds_and_failed_episodes_are_refused():
    with pytest.raises(SettingsError, match="bound must be above 0, got 0"):
        himpo(play([[("INSERT", "a 1")]], {"a": "1"}), KeyReader(), bound=0)
    with pytest.raises(ReaderError):
        himpo(play([[("INSERT", "a 1")]], {"a": "1"}, fails=True), KeyReader())
