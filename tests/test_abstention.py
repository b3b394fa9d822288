"""Questions without an answer: saying so is right, whatever the words."""

from __future__ import annotations

import pytest

from memenvs.scoring import score


@pytest.mark.parametrize(
    "prediction",
    ["No information available", "It was not mentioned in the conversation.", "I don't know.", "I don’t know", "Unknown",
     "You did not mention this.", "This cannot be answered from the memory.", "There is not enough information", ""],
)  # fmt: skip
@pytest.mark.parametrize("source", ["locomo-5", "longmemeval-abstention-multi-session"])
def test_saying_that_there_is_no_answer_is_right(prediction, source):
    assert score(prediction, ["anything"], source) == 1.0


@pytest.mark.parametrize("prediction", ["self-care is important", "No, she likes it.", "note the unknowns", "Norway"])
def test_an_answer_is_wrong_there(prediction):
    assert score(prediction, [prediction], "locomo-5") == 0.0


def test_questions_that_have_an_answer_are_not_scored_so():
    assert score("I don't know", ["Paris"], "longmemeval-multi-session") == 0.0
    assert score("the sunday before 25 May", ["The Sunday before 25 May 2023"], "locomo-2") == pytest.approx(8 / 9)
    assert score("I don't know", ["Paris"], "locomo-4") == 0.0


@pytest.mark.parametrize(
    ("source", "prediction", "references", "expected"),
    [
        ("factconsolidation_sh_6k", "It is associated with pesäpallo.", ["pesäpallo"], 1.0),
        ("eventqa_65536", "She leaves the house", ["she left"], 0.0),
        ("detective_qa", '{"answer": "C. The butler"}', ["C. The butler"], 1.0),
        ("recsys_redial_full", "1. Jaws 2. Mama", ["Mama", "It"], 0.5),
    ],
)
def test_sources_of_memoryagentbench_have_a_metric(source, prediction, references, expected):
    assert score(prediction, references, source) == expected
