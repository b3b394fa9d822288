"""Managers of numbered facts: what they keep, wherever the list is cut and whatever the limits are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base import make_agent
from memenvs.memory.bank import MemoryBank, MemoryLimits
from memenvs.memory.operations import parse_operations
from memenvs.streams import load

LINES = (
    "The capital of Chad is Rome.",
    "A. B. Lee is married to C. Bo Jr..",
    "The capital of Chad is St. Ives.",
    "Acme was founded in the city of Troy, N.Y..",
    "A. B. Lee likes tea.",
    "The univeristy where A. B. Lee was educated is College No. 9.",
    "Acme was founded by A. B. Lee.",
    "The capital of Chad is Dr. Dre's Town.",
    "Acme was founded by D.",
    "A. B. Lee is married to E. F..",
)
TEXT = "Here is a list of facts:\n" + "\n".join(f"{i}. {line}" for i, line in enumerate(LINES))
NEWEST = [f"{i}. {LINES[i]}" for i in (3, 4, 5, 7, 8, 9)]


def kept(name, chunks, **limits):
    """Contents of the memory after the chunks; every operation must have been accepted."""
    bank = MemoryBank(
        MemoryLimits(limits.get("max_operations"), limits.get("max_item_tokens"), limits.get("memory_budget"))
    )
    agent = make_agent(name, **limits)
    agent.reset(0)
    for step, chunk in enumerate(chunks):
        message = agent.act({"chunk": chunk, "memory": "", "step": step}, {"memory": bank.items, "T": len(chunks)})
        outcomes = bank.apply(parse_operations(message).operations).outcomes
        assert [o for o in outcomes if not o.valid] == []
    return [item.content for item in bank.items]


def by_number(contents):
    return sorted(contents, key=lambda text: int(text.partition(".")[0]))


def test_the_newest_of_each_relation_and_subject_is_kept_with_its_number():
    assert by_number(kept("newest_fact", [TEXT])) == NEWEST
    assert kept("every_fact", [TEXT]) == TEXT.split("\n")[1:]


def test_a_newer_fact_updates_the_item_of_the_older_one_and_an_older_one_does_not():
    bank = MemoryBank()
    agent = make_agent("newest_fact")
    agent.reset(0)
    chunks = [
        "5. Acme is owned by A. 6. Bo is married to C.",
        "20. Acme is owned by B. 21. Bo is married to D.",
        "7. Acme is owned by E.",
    ]
    operations = []
    for step, chunk in enumerate(chunks):
        message = agent.act({"chunk": chunk, "memory": "", "step": step}, {"memory": bank.items, "T": 3})
        operations.append([o.op for o in bank.apply(parse_operations(message).operations).outcomes])
    assert operations == [["INSERT", "INSERT"], ["UPDATE", "UPDATE"], ["SKIP"]]
    assert [(item.id, item.content, item.step) for item in bank.items] == [
        ("0.0", "20. Acme is owned by B.", 1),
        ("0.1", "21. Bo is married to D.", 1),
    ]


@given(st.sets(st.integers(30, len(TEXT.split()) - 30), max_size=2))
def test_cuts_between_any_words_change_nothing(cuts):
    words = TEXT.split()
    # A chunk with a few whole facts shows that it is a list.
    places = [0]
    for cut in sorted(cuts):
        if cut - places[-1] >= 30 and len(words) - cut >= 30:
            places.append(cut)
    chunks = [" ".join(words[a:b]) for a, b in zip(places, [*places[1:], len(words)], strict=True)]
    assert by_number(kept("newest_fact", chunks)) == NEWEST
    assert by_number(kept("every_fact", chunks)) == TEXT.split("\n")[1:]


@given(st.integers(3, 30), st.integers(5, 120), st.integers(30, len(TEXT.split()) - 20))
def test_under_limits_of_size_every_item_is_a_whole_fact(longest, budget, size):
    words = TEXT.split()
    chunks = [" ".join(words[:size]), " ".join(words[size:])]
    contents = kept("newest_fact", chunks, max_item_tokens=longest, memory_budget=budget)
    assert set(contents) <= set(TEXT.split("\n"))


@given(st.integers(1, 8), st.integers(5, 120), st.integers(1, 60))
def test_no_operation_is_refused_under_any_quota(most, budget, size):
    words = TEXT.split()
    chunks = [" ".join(words[a : a + size]) for a in range(0, len(words), size)]
    contents = kept("newest_fact", chunks, max_operations=most, memory_budget=budget)
    assert len(contents) <= most * len(chunks)


def test_updates_come_before_new_facts_under_a_quota():
    chunks = ["1. A is married to B. 2. C is married to D.", "3. E is married to F. 4. A is married to G."]
    assert kept("newest_fact", chunks, max_operations=1) == ["4. A is married to G."]


def test_a_fact_longer_than_an_item_is_left_out():
    assert kept("newest_fact", ["1. A is married to B. 2. A long name is married to B."], max_item_tokens=8) == [
        "1. A is married to B."
    ]


@pytest.mark.parametrize("name", ["newest_fact", "every_fact"])
def test_other_text_is_kept_by_sentences(name):
    assert kept(name, ["It rained. Ann sings!", "1. Sing. 2. Dance."]) == [
        "It rained.", "Ann sings!", "1. Sing.", "2. Dance.",
    ]  # fmt: skip


@pytest.mark.parametrize("chunk_size", [4096, 512, 40])
def test_the_real_list_is_kept_whole_however_it_is_cut(shared, chunk_size):
    path = shared / "data/memoryagentbench/factconsolidation_6k_context.txt"
    chunks = [chunk.text for chunk in load(path, chunk_size=chunk_size)[0].chunks]
    assert by_number(kept("every_fact", chunks)) == path.read_text().strip().split("\n")[1:]
    assert len(kept("newest_fact", chunks)) == 294
