"""Metrics by hand and against published vectors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.scoring.metrics import (
    exact_match,
    integer_match,
    keyword_list_share,
    keyword_share,
    label_match,
    normalize,
    substring_match,
    token_f1,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("The", ""),
        ("An  Apple,\na day.", "apple day"),
        ("Theatre", "theatre"),
        ("it's e-mail", "its email"),
        ("Ä é «x»", "ä é «x»"),
        ("U.S.A.", "usa"),
    ],
)
def test_normalize(text, normal):
    assert normalize(text) == normal


@pytest.mark.parametrize(
    ("metric", "prediction", "references", "score"),
    [
        (exact_match, "The tea!", ["coffee", "tea"], 1),
        (exact_match, "green tea", ["tea"], 0),
        (exact_match, "", ["tea"], 0),
        (substring_match, "It was the Green Tea.", ["green tea"], 1),
        (substring_match, "green", ["green tea"], 0),
        (substring_match, "green, tea", ["green tea"], 1),
        (substring_match, "anything", ["the"], 0),
        (substring_match, "", ["!"], 0),
        (substring_match, "teapot", ["tea"], 0),
        (substring_match, "Norway", ["no"], 0),
        (substring_match, "No, Norway", ["no"], 1),
        (substring_match, "in the year 1912", ["1912"], 1),
        (substring_match, "year 19120", ["1912"], 0),
        (token_f1, "the green tea", ["green tea"], 1),
        (token_f1, "green tea please", ["tea"], 0.5),
        (token_f1, "green tea", ["tea green cup of"], 2 / 3),
        (token_f1, "tea tea", ["tea"], 2 / 3),
        (token_f1, "milk", ["tea", "milk shake"], 2 / 3),
        (token_f1, "milk", ["tea"], 0),
        (token_f1, "", ["tea"], 0),
        (keyword_share, "helmets and Vaccines", ["helmets, vaccines"], 1),
        (keyword_share, "helmets", ["helmets, vaccines, tea, milk"], 0.25),
        (keyword_share, "tea", ["helmets, vaccines", "tea, milk"], 0.5),
        (keyword_share, "anything", [" , "], 0),
        (keyword_share, "tea; milk", ["tea; milk"], 1),
        (keyword_list_share, "Ann met Bob", ["Ann", "Bob", "Carl", "Dora"], 0.5),
        (keyword_list_share, "Ann met Bob", ["Ann; Bob"], 1),
        (keyword_list_share, "1, 2", ["1, 2", "3"], 0.5),
        (label_match, "41", ["41"], 1),
        (label_match, " Label: 41\n", ["41"], 1),
        (label_match, "labels: Card Lost", ["card lost"], 1),
        (label_match, r"so \boxed{41} it is", ["41"], 1),
        (label_match, r"label: 7 \boxed{41}", ["7"], 0),
        (label_match, '"41"', ["41"], 1),
        (label_match, "4", ["41"], 0),
        (label_match, "141", ["41"], 0),
        (label_match, "the label is 41", ["41"], 0),
        (label_match, "3", ["1", "3"], 1),
        (integer_match, "-17", ["-17"], 1),
        (integer_match, "17", ["-17"], 0),
        (integer_match, "−17.", ["-17"], 1),
        (integer_match, "After turn 3 it is 1,204.", ["1204"], 1),
        (integer_match, "12, 15", ["12"], 0),
        (integer_match, "12", ["3", "12"], 1),
        (integer_match, "12.5", ["12", "5"], 0),
        (integer_match, "2024-12", ["12", "-12", "2024"], 0),
        (integer_match, "12%", ["12"], 0),
        (integer_match, "7" * 5000, ["7"], 0),
        (integer_match, "twelve", ["12"], 0),
        (integer_match, "", ["0"], 0),
    ],
)
def test_hand_computed(metric, prediction, references, score):
    assert metric(prediction, references) == pytest.approx(score, abs=1e-12)


METRICS = [exact_match, substring_match, token_f1, keyword_share, keyword_list_share, label_match, integer_match]
text = st.text(st.sampled_from("abthe ,;.\\{}é-12"), max_size=12)


@settings(max_examples=60)
@given(st.sampled_from(METRICS), text, st.lists(text, min_size=1, max_size=3), text)
def test_scores_are_in_range_and_one_more_reference_never_hurts(metric, prediction, references, more):
    score = metric(prediction, references)
    assert 0 <= score <= 1
    if metric is not keyword_list_share:  # there the references are all wanted
        assert metric(prediction, [*references, more]) >= score


def published(shared, function):
    lines = (shared / "oracles/peers/memalpha_metrics.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [case for case in map(json.loads, lines) if case["function"] == function and "output" in case]
    assert len(cases) > 100
    return cases


def test_normalize_equals_the_published_one(shared):
    for case in published(shared, "normalize_answer"):
        assert normalize(case["inputs"]["answer_text"]) == case["output"], case


def test_substring_match_equals_the_published_one_but_for_empty_golds_and_parts_of_words(shared):
    parts = 0
    for case in published(shared, "substring_exact_match_score"):
        prediction, gold = case["inputs"]["prediction"], case["inputs"]["ground_truth"]
        # "" stands inside everything, so a gold of "the" or "!" is always right there; here it never matches.
        expected = float(case["output"]) if normalize(gold) else 0.0
        words, wanted = normalize(prediction).split(), normalize(gold).split()
        if expected and not any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            expected = 0.0  # "no" stands inside "Norway"; here whole words must match
            parts += 1
        assert substring_match(prediction, [gold]) == expected, case
    assert parts, "the vectors hold such a case"


def test_exact_match_equals_the_published_one(shared):
    for case in published(shared, "drqa_exact_match_score"):
        prediction, gold = case["inputs"]["prediction"], case["inputs"]["ground_truth"]
        assert exact_match(prediction, [gold]) == float(case["output"]), case


def test_f1_equals_the_published_one_but_for_yes_and_no(shared):
    special = {"yes", "no", "noanswer"}
    for case in published(shared, "f1_score"):
        prediction, gold = case["inputs"]["prediction"], case["inputs"]["ground_truth"]
        both = {normalize(prediction), normalize(gold)}
        if len(both) == 2 and both & special:
            assert case["output"][0] == 0, case  # HotpotQA's rule: "yes, because ..." earns nothing for "yes"
        elif both == {""}:
            assert (case["output"][0], token_f1(prediction, [gold])) == (0, 1), case
        else:
            assert token_f1(prediction, [gold]) == pytest.approx(case["output"][0], abs=1e-12), case
