"""The most similar text, found without comparing with each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.overlap import overlap
from agents.similar import SimilarTexts

SENTENCES = st.lists(st.sampled_from(["the", "a", "of", "tea", "Tea", "coffee", "Oslo", "lives", "7"]), max_size=5).map(
    " ".join
)
HELD = st.dictionaries(st.sampled_from("abcdefgh"), SENTENCES, max_size=8)


@settings(max_examples=400)
@given(st.lists(HELD, min_size=1, max_size=4), SENTENCES, st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.95, 1.0]))
def test_what_is_found_is_what_comparing_with_every_text_finds(memories, query, least):
    texts = SimilarTexts()
    for memory in memories:  # each one follows on the one before
        texts.hold(memory)
    best = max(memories[-1], key=lambda key: overlap(query, memories[-1][key]), default=None)
    likeness = 0.0 if best is None else overlap(query, memories[-1][best])
    expected = None if best is None or likeness < least else (best, likeness)
    assert texts.nearest(query, least) == expected


def test_a_dropped_text_is_not_found_and_an_added_one_is():
    texts = SimilarTexts()
    texts.hold({"x": "Ann likes tea", "y": "Ann likes tea"})
    assert texts.nearest("ann likes tea", 0.9) == ("x", 1.0)
    texts.drop("x")
    assert texts.nearest("ann likes tea", 0.9) == ("y", 1.0)
    texts.drop("y")
    assert texts.nearest("ann likes tea", 0.9) is None
    texts.add("z", "Bob likes tea")
    # Common weight 5 + 3 of 3 + 5 + 3 on each side.
    assert texts.nearest("ann likes tea", 0.7) == ("z", pytest.approx(16 / 22))
