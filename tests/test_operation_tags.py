"""Rule rewards for operation types: which operation fits, by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_episodes import play

from memenvs.errors import DataError, SettingsError
from memenvs.memory import MemoryLimits
from rewards.credit.tags import operation_tags, step_tags

PARIS = [("INSERT", "Ada lives in Paris.")]
ROME = "Ada lives in Rome now."


def last(*messages, chunks=None, **settings):
    """What the last step earns."""
    return operation_tags(play(list(messages), {"q": "a"}, chunks=chunks), **settings)[-1]


def test_the_tag_is_the_most_frequent_valid_type_and_the_first_of_equals():
    messages = [
        [("INSERT", "a 1"), ("INSERT", "b 2"), ("SKIP",)],
        [("UPDATE", "0.0", "a 2"), ("DELETE", "0.1")],
        [("DELETE", "9.9"), ("DELETE", "9.8"), ("INSERT", "c 3")],
        [("DELETE", "9.9")],
        "no operations here",
        [("SKIP",), ("SKIP",), ("DELETE", "2.0")],
    ]
    tags = step_tags(play(messages, {"a": "1"}))
    assert tags == ("INSERT", "UPDATE", "INSERT", "SKIP", "SKIP", "SKIP")


def test_an_insert_fits_if_no_item_holds_it_already():
    assert last(PARIS) == 1.0
    assert last(PARIS, [("INSERT", "Bob owns a bicycle.")]) == 1.0
    assert last(PARIS, [("INSERT", "In Paris lives Ada")]) == 0.0
    # Ada, lives: 2 of 3 subject words are there, less than .8.
    assert last(PARIS, [("INSERT", "Ada lives in Rome.")]) == 1.0
    assert last(PARIS, [("INSERT", "Ada lives in Rome.")], redundant=0.6) == 0.0
    # The second of two equal ones is not new.
    assert last([*PARIS, *PARIS]) == 0.5


def test_an_update_fits_if_it_says_something_else_about_the_subject():
    assert last(PARIS, [("UPDATE", "0.0", "Ada lives in Rome.")]) == 1.0
    assert last(PARIS, [("UPDATE", "0.0", "Ada lives in Paris and works in Lyon.")]) == 1.0
    assert last(PARIS, [("UPDATE", "0.0", "Ada no longer lives in Paris.")]) == 1.0
    assert last(PARIS, [("UPDATE", "0.0", "Ada lives in Paris.")]) == 0.0
    assert last(PARIS, [("UPDATE", "0.0", "Bob owns a bicycle.")]) == 0.0


def test_a_delete_fits_if_something_newer_is_on_the_subject():
    newer = [("INSERT", "Ada lives in Rome.")]
    other = [("INSERT", "Bob owns a bicycle.")]
    assert last(PARIS, newer, [("DELETE", "0.0")]) == 1.0
    assert last(PARIS, newer, [("DELETE", "1.0")]) == 0.0
    assert last(PARIS, other, [("DELETE", "0.0")]) == 0.0
    # In one message, in either order; and an UPDATE makes an older item newer.
    assert last(PARIS, [("DELETE", "0.0"), *newer]) == 1.0
    assert last(PARIS, newer, [("UPDATE", "0.0", "Ada lives in Oslo.")], [("DELETE", "1.0")]) == 1.0


def test_a_delete_fits_if_the_chunk_contradicts_the_item_and_not_if_it_repeats_it():
    deletion = [("DELETE", "0.0")]
    assert last(PARIS, deletion, chunks=["c", f"The weather is fine. {ROME}"]) == 1.0
    assert last(PARIS, deletion, chunks=["c", "Bob says that Ada lives in Paris."]) == 0.0
    assert last(PARIS, deletion, chunks=["c", "The weather in Paris is fine. Bob lives there."]) == 0.0


def test_a_skip_fits_if_the_memory_holds_the_chunk():
    both = [*PARIS, ("INSERT", "Bob owns a bicycle.")]
    assert last(both, [("SKIP",)], chunks=["c", "Ada lives in Paris. Bob owns a bicycle."]) == 1.0
    assert last(both, [("SKIP",)], chunks=["c", ROME]) == 0.0
    assert last(PARIS, [("SKIP",)], chunks=["c", ROME], redundant=0.6) == 1.0
    # What the same message wrote does not count as known.
    assert last([*PARIS, ("SKIP",)], chunks=["Ada lives in Paris."]) == 0.5


def test_a_faulty_message_pays_the_penalty_and_its_faults_earn_nothing():
    assert last("no operations here") == pytest.approx(-0.1)
    assert last(PARIS, [("INSERT", "Bob owns a bicycle."), ("DELETE", "9.9")]) == pytest.approx(0.5 - 0.1)
    assert last(PARIS, [("UPDATE", "9.9", "Ada lives in Rome.")], format_penalty=-1.0) == -1.0
    over_budget = play([PARIS, [("INSERT", "one two three")]], {"q": "a"}, limits=MemoryLimits(max_tokens=6))
    assert operation_tags(over_budget, format_penalty=0.0) == (1.0, 0.0)


def test_a_failed_reader_changes_nothing():
    assert operation_tags(play([PARIS], {"q": "a"}, fails=True)) == (1.0,)


def test_bad_thresholds_and_contradictory_records_are_refused():
    record = play([PARIS, [("DELETE", "0.0")]], {"q": "a"})
    with pytest.raises(SettingsError, match=r"related is a share of words in \(0, 1\], got 0"):
        operation_tags(record, related=0)
    with pytest.raises(SettingsError, match="at most 0, got 0.1"):
        operation_tags(record, format_penalty=0.1)
    with pytest.raises(DataError, match="DELETE of item '0.0' valid"):
        operation_tags(replace(record, steps=record.steps[1:]))


OPERATIONS = st.one_of(
    st.tuples(st.just("INSERT"), st.sampled_from(["Ada lives in Paris.", "Ada lives in Rome.", "Bob", "the"])),
    st.tuples(st.just("UPDATE"), st.sampled_from(["0.0", "1.0"]), st.sampled_from(["Ada lives in Rome.", "Bob"])),
    st.tuples(st.just("DELETE"), st.sampled_from(["0.0", "1.0"])),
    st.just(("SKIP",)),
)


@given(st.lists(st.lists(OPERATIONS, max_size=3), min_size=1, max_size=5))
def test_rewards_stay_in_their_range_and_whole_messages_pay_no_penalty(messages):
    record = play(messages, {"q": "a"}, chunks=[ROME] * len(messages))
    for reward, step in zip(operation_tags(record), record.steps, strict=True):
        valid = bool(step.operations) and all(outcome.valid for outcome in step.operations)
        assert (0 if valid else -0.1) <= reward <= (1 if valid else 0.9)
