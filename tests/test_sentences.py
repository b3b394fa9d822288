"""Splitting text into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.streams.sentences import sentences


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("  \n ", []),
        ("One", ["One"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It opens at 7:30. See you.", ["It opens at 7:30.", "See you."]),
        ("Version 1.5 is out.", ["Version 1.5 is out."]),
        ("Sentence: a b\nLabel: 3\n\nSentence: c", ["Sentence: a b\nLabel: 3", "Sentence: c"]),
        (
            "Intro. Here:\n\nSample: is it? yes.\nLabels: 2\nend",
            ["Intro.", "Here:", "Sample: is it? yes.\nLabels: 2", "end"],
        ),
        ("Label: 3\nSentence: c", ["Label: 3", "Sentence: c"]),
        ("Which one? I mean. label: 53\n\nAnd then?", ["Which one? I mean. label: 53", "And then?"]),
        ("it broke. again\nlabel: 7\n\nhelp", ["it broke. again\nlabel: 7", "help"]),
        ("He read the label: it said no. Then left.", ["He read the label: it said no.", "Then left."]),
        (" a.  b. ", ["a.", "b."]),
        ("Facts: 1. A is B. 12. C is D.", ["Facts: 1.", "A is B.", "12. C is D."]),
        ("It was in 1990. 3. 4. Four.\n5.\nFive.", ["It was in 1990.", "3. 4. Four.", "5.", "Five."]),
    ],
)
def test_sentences(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


@given(st.text(alphabet="ab .!?\n\t", max_size=60))
def test_sentences_lose_no_word(text: str) -> None:
    found = sentences(text)
    assert " ".join(found).split() == text.split()
    assert all(part == part.strip() and part for part in found)


def test_sentences_gives_a_list_of_ones_own() -> None:
    sentences("One. Two.").clear()
    assert sentences("One. Two.") == ["One.", "Two."]
