"""The published filter of questions that a model answers without the text."""

from __future__ import annotations

import json

import pytest

from memenvs.errors import DataError
from memenvs.memory import count_tokens, token_counter
from memenvs.streams.closed_book import contains_answer, keeps_question


@pytest.mark.parametrize(
    ("answer", "reply", "kept"),
    [
        ("Paris", "It is London.", True),
        ("Paris", "It is PARIS.", False),
        ("one two three four", "none", True),
        ("one two three four five", "none", False),
        ("", "x", True),
        ("one two three four five", " ", True),
    ],
)
def test_short_answers_that_are_not_in_the_reply_are_kept(answer, reply, kept):
    assert keeps_question(answer, reply, count_tokens) is kept


@pytest.mark.parametrize(
    ("reply", "answer", "there"),
    [
        ("19 days", "19", True),
        (' "Quoted" ', "quoted\n", True),
        ("1e3", "1000", False),
        ("x", " ", False),
        ("", "x", False),
    ],
)
def test_an_answer_is_looked_for_without_case(reply, answer, there):
    assert contains_answer(reply, answer) is there


def test_both_rules_equal_the_published_ones(shared):
    try:
        count = token_counter("qwen")
    except DataError as error:
        pytest.skip(str(error))
    seen = set()
    for line in (shared / "oracles/peers/memalpha_chunking.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        given, function = case["inputs"], case["function"]
        if function == "judge_answer_with_token_logic":  # 1: the question is left out
            kept = keeps_question(given["ground_truth_answer"], given["predicted_answer"], count)
            assert int(not kept) == case["output"], case
        elif function == "is_answer_correct":
            assert contains_answer(given["model_answer"], given["expected_answer"]) is case["output"], case
        seen.add(function)
    assert {"judge_answer_with_token_logic", "is_answer_correct"} <= seen
