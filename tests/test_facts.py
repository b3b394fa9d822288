"""Numbered facts: parsing of sentences and lists, which one counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.streams.facts import HOLDER, RELATIONS, Fact, fact_list, facts_in, newest, parse_fact


@pytest.mark.parametrize(
    ("text", "relation", "subject", "value"),
    [
        ("Ann Lee worked in the city of Troy, N.Y..", "worked in", "Ann Lee", "Troy, N.Y."),
        ("Bo's child is Bo Jr..", "child", "Bo", "Bo Jr."),
        ("Bo's child is Bo Jr.", "child", "Bo", "Bo Jr"),
        ("The univeristy where Ann was educated is Oslo College.", "educated at", "Ann", "Oslo College"),
        ("The university where Ann was educated is Oslo College.", "educated at", "Ann", "Oslo College"),
        ("The origianl broadcaster of The Univeristy is BBC 1.", "broadcaster", "The Univeristy", "BBC 1"),
        ("The author of What is Art? is Leo.", "author", "What is Art?", "Leo"),
        (
            "The name of the current head of the Isle of Wight government is Bo.",
            "head of government",
            "Isle of Wight",
            "Bo",
        ),
        ("The name of the current head of state in Chad is Bo.", "head of state", "Chad", "Bo"),
        ("The headquarters of Acme is located in the city of Rome.", "headquarters", "Acme", "Rome"),
        ("Acme is located in Rome.", "place", "Acme", "Rome"),
        ("Acme was founded in the city of Rome.", "founded in", "Acme", "Rome"),
        ("Acme was founded by Ann, Duchess of Rome.", "founder", "Acme", "Ann, Duchess of Rome"),
        ("The Lord Mayor of York is Ann.", HOLDER, "Lord Mayor of York", "Ann"),
        ("the  chair\nis red.", None, "", ""),
        ("Ann was founded by .", None, "", ""),
        ("", None, "", ""),
    ],
)
def test_a_sentence_is_a_relation_a_subject_and_a_value(text, relation, subject, value):
    fact = parse_fact(text, 3)
    assert (fact.relation, fact.subject, fact.value) == (relation, subject, value)
    assert fact.text == " ".join(text.split())


def test_every_relation_has_a_name_of_its_own():
    assert len(set(RELATIONS)) == len(RELATIONS)


def test_a_list_is_told_apart_by_its_numbers_and_not_by_stops():
    listed = fact_list("Facts:\n0. A. B. Lee is a citizen of the U.S..\n1. Apollo 13. was founded by Bo. 2. Xyz")
    assert listed.head == "Facts:"
    assert [(fact.serial, fact.text) for fact in listed.facts] == [
        (0, "A. B. Lee is a citizen of the U.S.."),
        (1, "Apollo 13. was founded by Bo."),
        (2, "Xyz"),
    ]
    assert listed.sound


def test_a_text_that_begins_within_a_fact_has_a_head_and_may_end_with_a_bare_number():
    listed = fact_list("1984. 62. A is a citizen of Chad. 63. B is a citizen of Chad. 64.")
    assert listed.head == "1984."
    assert [fact.serial for fact in listed.facts] == [62, 63]


@pytest.mark.parametrize("text", ["", "No list at all. 12 of them.", "1. Sing. 2. Dance. 3. The sun is hot."])
def test_a_list_of_other_things_is_no_list_of_facts(text):
    assert not fact_list(text).sound


def test_facts_in_text_without_numbers_are_found_too():
    assert [f.key for f in facts_in("A. B. Lee is married to Bo.")] == [("spouse", "A. B. Lee")]
    assert [f.value for f in facts_in("Nice day! Acme is owned by Bo. The sea was wide.")] == ["Bo"]
    assert facts_in("Nice day!") == ()


def test_the_newest_number_counts_and_any_number_before_none():
    old, new = parse_fact("A is married to B.", 7), parse_fact("A is married to C.", 20)
    loose, later = parse_fact("A is married to D."), parse_fact("A is married to E.")
    assert newest([new, old]) == newest([old, new]) == {("spouse", "A"): new}
    assert newest([loose, old, later])["spouse", "A"] is old
    assert newest([loose, later])["spouse", "A"] is loose


def test_opaque_facts_contradict_nothing():
    facts = [parse_fact("A likes tea.", 1), parse_fact("A likes jam.", 2), parse_fact("A likes tea.", 3)]
    assert [fact.serial for fact in newest(facts).values()] == [3, 2]


names = st.from_regex(r"[A-Z][a-z]{1,6}( [A-Z]\. [A-Z][a-z]{1,6})?", fullmatch=True)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=12), st.integers(0, 400))
def test_a_printed_list_reads_back(pairs, first):
    facts = [parse_fact(f"{a} is a citizen of {b}.", first + i) for i, (a, b) in enumerate(pairs)]
    assert fact_list(" ".join(fact.numbered for fact in facts)).facts == tuple(facts)
    assert all(
        fact == Fact(fact.serial, fact.text, "citizen of", a, b) for fact, (a, b) in zip(facts, pairs, strict=True)
    )


def test_the_real_list_has_every_fact_and_every_contradiction(shared):
    listed = fact_list((shared / "data/memoryagentbench/factconsolidation_6k_context.txt").read_text())
    assert [fact.serial for fact in listed.facts] == list(range(455))
    assert [fact.text for fact in listed.facts if fact.relation is None] == []
    values: dict[tuple[str, str], set[str]] = {}
    for fact in listed.facts:
        values.setdefault(fact.key, set()).add(fact.value)
    assert sorted(len(found) for found in values.values()) == [1] * 133 + [2] * 161
