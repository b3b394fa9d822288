"""The symbolic reader of facts: one hop, several hops, what it cites."""

from __future__ import annotations

import random

import pytest

from memenvs.reading import Reading, make_reader
from memenvs.reading.asking import ask
from memenvs.reading.fact_paths import by_subject, reachable
from memenvs.reading.fact_words import CUES, asked_kind
from memenvs.streams.facts import RELATIONS, newest, parse_fact

FACTS = (
    "1. The author of Night Train is Ann Lee.",
    "2. Ann Lee is married to Bo Hill.",
    "3. Bo Hill is a citizen of Chad.",
    "4. The capital of Chad is Rome.",
    "5. Ann Lee died in the city of Bath.",
    "6. Ann Lee is married to Cy Moor.",
    "7. Cy Moor is a citizen of Peru.",
    "8. Peru is located in the continent of Asia.",
    "9. The capital of Peru is Troy, N.Y..",
    "10. Night is associated with the sport of chess.",
    "11. The Lord Mayor of Bath is Bo Hill.",
    "12. chess was created in the country of Chad.",
)
ITEMS = tuple((fact.partition(".")[0], fact) for fact in FACTS)


def answer(question, items=ITEMS):
    found = ask(make_reader("facts"), [Reading(question, tuple(items))])[0]
    return found.text, found.evidence_ids


@pytest.mark.parametrize(
    ("question", "text", "evidence"),
    [
        ("Who is the author of Night Train?", "Ann Lee", ("1",)),
        ("Who is Ann Lee married to?", "Cy Moor", ("6",)),
        ("Which city did Ann Lee die in?", "Bath", ("5",)),
        ("In which city did the writer of Night Train take her last breath?", "Bath", ("1", "5")),
        ("What is the nationality of the partner of Ann Lee?", "Peru", ("6", "7")),
        ("What is the capital of the country of citizenship of Night Train's author's husband?", "Troy, N.Y.",
         ("1", "6", "7", "9")),
        ("On which continent is the country of the spouse of the author of night train?", "Asia", ("1", "6", "7", "8")),
        ("From which country does the sport of Night come?", "Chad", ("10", "12")),
        ("Of which country is the Lord Mayor of Bath a citizen?", "Chad", ("3", "11")),
        ("Who is the author of Day Train?", "", ()),
        ("", "", ()),
    ],
)  # fmt: skip
def test_answers_follow_the_newest_facts_from_the_name_and_cite_them(question, text, evidence):
    assert answer(question) == (text, evidence)


def test_the_order_of_the_items_decides_nothing():
    question = "What is the capital of the country of citizenship of Night Train's author's husband?"
    for seed in range(20):
        items = random.Random(seed).sample(ITEMS, len(ITEMS))
        text, evidence = answer(question, items)
        assert (text, set(evidence)) == ("Troy, N.Y.", {"1", "6", "7", "9"})


def test_without_numbers_the_item_retrieved_first_counts():
    items = (("a", "Nice. Ann Lee is married to Cy Moor. Bye."), ("b", "Ann Lee is married to Bo Hill."))
    assert answer("Who is Ann Lee married to?", items) == ("Cy Moor", ("a",))
    assert answer("Who is Ann Lee married to?", items[::-1]) == ("Bo Hill", ("b",))
    assert answer("Who is Ann Lee married to?", (*items, ("c", "2. Ann Lee is married to Di.")))[0] == "Di"


def test_an_item_of_several_facts_is_cited_once_and_circles_end():
    items = (("x", "1. A Bo is married to C Bo. 2. C Bo is married to A Bo. 3. C Bo is a citizen of Chad."),)
    assert answer("Which country is the spouse of A Bo a citizen of?", items) == ("Chad", ("x",))


def test_without_a_fact_in_the_chain_there_is_no_way_on():
    assert answer("What is the nationality of the partner of Ann Lee?", [item for item in ITEMS if item[0] != "7"])[
        0
    ] in ("", "Cy Moor")


def test_every_relation_can_be_named():
    assert set(CUES) == set(RELATIONS)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who wrote it?", "person"),
        ("To which continent does it belong?", "continent"),
        ("What is the name of the capital of Chad?", "city"),
        ("Where was it founded?", "place"),
        ("Is it so?", ""),
    ],
)
def test_the_kind_that_is_asked_for(question, kind):
    assert asked_kind(question) == kind


def test_reachable_values_are_those_of_all_paths_from_the_names():
    facts = by_subject(newest(parse_fact(text.partition(". ")[2], int(i)) for i, text in ITEMS).values())
    assert reachable("What of Ann Lee?", facts) == {"Bath", "Cy Moor", "Peru", "Asia", "Troy, N.Y."}
    assert reachable("What of Night?", facts) == {"chess", "Chad", "Rome"}
