"""The retriever follows a bank through steps and restores as if it were rebuilt each time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.memory import BM25Index, BM25Retriever, MemoryBank, MemoryItem, Operation, Retrieved

CONTENTS = ["tea", "tea", "blue cat", "blue tea", "river paris", ""]
ids = st.builds("{}.{}".format, st.integers(0, 6), st.integers(0, 2))
operations = st.one_of(
    st.builds(Operation, st.just("INSERT"), st.sampled_from(CONTENTS)),
    st.builds(Operation, st.just("INSERT"), st.sampled_from(CONTENTS)),
    st.builds(Operation, st.just("UPDATE"), st.sampled_from(CONTENTS), ids),
    st.builds(Operation, st.just("DELETE"), st.none(), ids),
)
#: A step's operations, or a number: go back to the state after that many of the moves so far.
moves = st.lists(st.lists(operations, max_size=4) | st.integers(0, 20), max_size=14)


def rebuilt(bank, idf="okapi"):
    index = BM25Index(idf=idf)
    for item in bank.items:
        index.insert(item.id, item.content)
    return index


def as_rebuilt(bank, query, k):
    """What a retriever made this moment would give."""
    return [
        (Retrieved(item_id, score, bank[item_id].step, bank[item_id].created), bank[item_id])
        for item_id, score in rebuilt(bank).top_k(query, k)
    ]


def assert_follows(retriever, bank):
    for query, k in (("tea", 3), ("blue tea", 20), ("", 4)):
        found, expected = retriever.top_k(query, k), as_rebuilt(bank, query, k)
        assert [item for _, item in found] == [item for _, item in expected]
        for (mine, _), (other, _) in zip(found, expected, strict=True):
            assert (mine.id, mine.step, mine.created) == (other.id, other.step, other.created)
            assert abs(mine.score - other.score) < 1e-9


@settings(max_examples=150)
@given(moves)
def test_following_and_restoring_equal_a_rebuild(sequence):
    bank, retriever = MemoryBank(), BM25Retriever(idf="okapi")
    taken = [bank.snapshot()]
    for move in sequence:
        if isinstance(move, int):
            bank.restore(taken[move % len(taken)])
            retriever.restore(bank.items)
        else:
            retriever.follow(bank.apply(move).changes)
        taken.append(bank.snapshot())
        assert_follows(retriever, bank)


def test_a_deleted_item_that_returns_regains_its_place_among_ties():
    bank, retriever = MemoryBank(), BM25Retriever()
    insert = Operation("INSERT", "same")
    retriever.follow(bank.apply([insert, insert, insert]).changes)
    snapshot = bank.snapshot()
    retriever.follow(bank.apply([Operation("DELETE", id="0.0"), insert]).changes)
    assert [found.id for found, _ in retriever.top_k("same", 9)] == ["0.1", "0.2", "1.0"]
    bank.restore(snapshot)
    retriever.restore(bank.items)
    assert [found.id for found, _ in retriever.top_k("same", 9)] == ["0.0", "0.1", "0.2"]


def test_provenance_is_that_of_the_moment():
    bank, retriever = MemoryBank(), BM25Retriever()
    retriever.follow(bank.apply([Operation("INSERT", "blue tea")]).changes)
    # The text stays the same, so the index has nothing to do; the provenance must move all the same.
    retriever.follow(bank.apply([Operation("UPDATE", "blue tea", "0.0")]).changes)
    ((found, item),) = retriever.top_k("tea", 5)
    assert (found.step, found.created) == (1, 0)
    assert item == MemoryItem("0.0", "blue tea", 1, 0, 2)


def test_another_episodes_items_under_the_same_ids_replace_the_old_ones():
    first, second, retriever = MemoryBank(), MemoryBank(), BM25Retriever()
    retriever.follow(first.apply([Operation("INSERT", "tea"), Operation("INSERT", "cat")]).changes)
    second.apply([Operation("INSERT", "river")])
    retriever.restore(second.items)
    assert [item.content for _, item in retriever.top_k("river tea cat", 5)] == ["river"]


def test_as_many_items_as_there_are_come_back_whatever_their_score():
    bank, retriever = MemoryBank(), BM25Retriever(idf="okapi")
    retriever.follow(bank.apply([Operation("INSERT", "tea")]).changes)
    ((found, _),) = retriever.top_k("tea", 5)
    assert found.score < 0, "okapi's idf is negative where every text has the word; the item still comes back"
