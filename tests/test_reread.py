"""Examples that the published conversion loses at the borders of its chunks."""

from __future__ import annotations

from memenvs.streams.builders.reread import reread_examples

CONTEXT = "\n\n".join(f"The {word} is here.\nlabel: {n}" for n, word in enumerate(("tea", "jazz", "rain")))


def words(text: str) -> int:
    return len(text.split())


def test_everything_is_left_where_nothing_is_cut():
    assert reread_examples(CONTEXT, words, 99) == [
        [("The tea is here.", "0"), ("The jazz is here.", "1"), ("The rain is here.", "2")]
    ]


def test_an_example_at_a_border_is_lost():
    # Sentences: "The tea is here." (4), "label: 0 The jazz is here." (6), "label: 1 The rain is here." (6), "label: 2" (2).
    assert reread_examples(CONTEXT, words, 10) == [[("The tea is here.", "0")], [("The rain is here.", "2")]]
    assert reread_examples(CONTEXT, words, 1) == [[], [], [], []]


def test_a_sentence_with_the_word_is_no_example():
    assert reread_examples("My label: is red.\nlabel: 1", words, 99) == [[]]
    assert reread_examples("", words, 99) == []
