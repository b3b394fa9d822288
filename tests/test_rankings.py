"""Rankings over changing sets of texts against an index made anew for each set."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.memory import BM25Index
from memenvs.memory.rankings import Rankings

WORDS = ["tea", "cat", "blue", "river", "Bob", "likes", "the", "2024", "é\ud800"]
texts = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)
memories = st.lists(st.lists(texts | st.sampled_from(["", "!?", "tea tea tea"]), max_size=12), min_size=1, max_size=5)
parameters = st.sampled_from([(1.5, 0.75), (0.9, 0.4), (1.2, 0.0), (2.0, 1.0)])


def rebuilt(memory, query, k, k1, b):
    index = BM25Index(k1, b)
    for n, text in enumerate(memory):
        index.insert(str(n), text)
    return [int(name) for name, _ in index.top_k(query, k)]


@settings(max_examples=300)
@given(st.lists(texts, max_size=4), memories, st.integers(1, 9), parameters)
def test_every_memory_is_ranked_as_by_an_index_of_its_own(queries, asked, k, parameters):
    rankings = Rankings(queries, *parameters)
    for memory in [*asked, *reversed(asked)]:
        assert rankings.top_k(memory, k) == [rebuilt(memory, query, k, *parameters) for query in queries]


def test_the_rarer_word_decides_and_ties_go_to_the_earlier_text():
    rankings = Rankings(["blue tea", "river", "tea"])
    assert rankings.top_k(["tea", "tea", "blue"], 2) == [[2, 0], [0, 1], [0, 1]]
    assert rankings.top_k(["blue", "tea", "blue"], 2) == [[1, 0], [0, 1], [1, 0]]
    assert rankings.top_k([], 2) == [[], [], []]
