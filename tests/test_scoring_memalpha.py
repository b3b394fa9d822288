"""Mem-alpha's three scorers against the published functions, their vectors and typed-in cases."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.errors import ScorerError
from memenvs.scoring import disagreements, locomo, metric_for, published, score
from memenvs.scoring.memalpha import by_source, level_match
from memenvs.scoring.metrics import normalize
from memenvs.scoring.published import (
    answer_line,
    boxed_answer,
    contains,
    exact,
    precision_recall,
    rouge_mean,
    text_metrics,
)

TRAIN, EVAL, BASELINE = "memalpha-train", "memalpha-eval", "memalpha-baseline"
ALL = (TRAIN, EVAL, BASELINE)
TREC = "icl_trec_coarse_6600shot_balance"


def said(prediction, references, source):
    """What the three say, in the order of ALL."""
    return tuple(score(prediction, references, source, profile) for profile in ALL)


@pytest.mark.parametrize(
    ("text", "line", "boxed"),
    [
        ("The reasoning.\nAnswer: Paris\nDone", "Paris", "The reasoning.\nAnswer: Paris\nDone"),
        ("Answer: answer: Answer: Paris", "Answer: Paris", "Answer: answer: Answer: Paris"),
        ("ANSWER:\nParis", "", "ANSWER:\nParis"),
        ("\n\nParis", "", "Paris"),
        ("  first \nsecond", "first", "first \nsecond"),
        (r"so \boxed{ 3 } or \boxed{4}", r"so \boxed{ 3 } or \boxed{4}", "3"),
        (r"\boxed{{3}}", r"\boxed{{3}}", "{3"),
        (r"\boxed{3", r"\boxed{3", r"\boxed{3"),
    ],
)
def test_how_an_answer_is_cut_out_of_a_reply(text, line, boxed):
    assert (answer_line(text), boxed_answer(text)) == (line, boxed)


def test_published_substring_match_looks_for_characters():
    assert contains("Norway", "no") == 1.0
    assert contains("tea", "the") == 1.0  # the reference normalises to nothing
    assert contains("“tea”", "tea") == 1.0  # typographic quotes stay, and do not matter inside
    assert exact("“tea”", "tea") == 0.0
    assert exact("The 1,000!", "a 1000") == 1.0


def test_f1_is_0_where_one_side_alone_is_yes_no_or_noanswer():
    assert precision_recall("10th & 11th centuries", "10th and 11th centuries") == pytest.approx((6 / 7, 1.0, 0.75))
    assert precision_recall("yes, because the no-fly zone ended", "yes") == (0, 0, 0)
    assert precision_recall("Yes!", "yes") == (1, 1, 1)
    assert precision_recall("", "") == (0, 0, 0)


def test_metrics_of_one_answer_take_the_best_reference():
    assert text_metrics("Paris or London", ["London", "Paris"]) == {
        "exact_match": 0, "f1": 0.5, "substring_exact_match": 1,
        "rougeL_f1": 0.5, "rougeL_recall": 1, "rougeLsum_f1": 0.5, "rougeLsum_recall": 1,
    }  # fmt: skip
    assert rouge_mean("An apple", "apple") == pytest.approx(4 / 9)  # (2/3 + 0 + 2/3) / 3


def test_thinking_is_dropped_and_unfinished_thinking_is_no_answer():
    assert said("<think>Rome?</think>Paris", ("Paris",), "squad") == (1, 1, 1)
    assert said("<think>Rome?</think>Paris", ("Rome",), "squad") == (0, 0, 0)
    assert said("<think>Paris", ("Paris",), "squad") == (0, 0, 0)
    assert said("<think>Paris", ("empty",), "squad") == (1, 1, 1)  # it is replaced by the word "Empty"
    # A closing tag alone ends thinking in evaluation, not in the reward.
    assert said("Paris</think>Rome", ("Paris",), "squad") == (1, 0, 0)


def test_keywords_of_books_are_split_in_two_ways():
    assert said("Pemberley and love", ("Pemberley,love",), "booksum") == (1, 0, 0)
    assert said("Pemberley and love", ("Pemberley, love, ball, letter",), "booksum") == (0.5, 0.5, 0.5)
    assert score("a ball", ["Ball", "letter"], "booksum", EVAL) == 0.5
    with pytest.raises(ScorerError, match="expected the answer of a booksum question as one text"):
        score("a ball", ["Ball", "letter"], "booksum", TRAIN)


def test_several_keywords_miss_capitals_but_one_does_not():
    assert said("Basketball", ("Basketball; Reading",), "perltqa") == (0, 0, 0)
    assert said("basketball", ("Basketball; Reading",), "perltqa") == (0.5, 0.5, 0.5)
    assert said("Basketball", ("basketball",), "perltqa") == (1, 1, 1)
    assert score("Basketball", ("Basketball; Reading",), "perltqa") == 0.5
    for profile in ALL:
        with pytest.raises(ScorerError, match="as one text"):
            score("Basketball", ["Basketball", "Reading"], "perltqa", profile)


def test_labels_are_numbers_and_nothing_else_except_for_baselines():
    assert said(r"It is \boxed{'3'}.", ("3",), TREC) == (1, 1, 1)
    assert said("label: 3", ("3",), TREC) == (0, 0, 1)
    assert said("33", ("3",), TREC) == (0, 0, 1)
    assert said("3\nno: 4", ("4",), TREC) == (0, 0, 0)
    # A list is compared with its Python notation in the reward, with its first element in the evaluation.
    assert said("3", ["3", "4"], TREC) == (0, 1, 1)
    assert said("3", ("3", "4"), TREC) == (0, 1, 1)
    assert said("3", ["3"], "pubmed-rct") == (0, 1, 0)


def test_a_tuple_of_one_is_the_text_that_the_data_set_stores():
    assert said("3", ("3",), "pubmed-rct") == said("3", "3", "pubmed-rct") == (1, 1, 1)


def test_ruler_takes_other_references_everywhere_but_for_baselines():
    assert said("Paris", ["London", "Paris"], "ruler_qa1_197K") == (1, 1, 0)
    assert said("J Smith", ["J. Smith"], "ruler_qa1_197K") == (1, 1, 0)


def test_summaries_are_rouge_in_training_and_keywords_in_evaluation():
    assert said("Anna leaves", ["Anna", "Paris"], "infbench_sum_eng_shots2") == pytest.approx((2 / 3, 0.5, 0.5))


def test_levels_of_a_label_earn_until_the_first_wrong_one():
    assert [level_match(label, "1 > 2 > 3") for label in ("1 > 2 > 3", "1>2>4", "1 > 9 > 3", "0>2>3", "1 > 2")] == [
        1.0, 0.8, 0.5, 0.0, 0.0,
    ]  # fmt: skip


def test_what_the_published_code_crashes_on_is_refused():
    for references in (["London"], [["London"], ["Paris"]]):
        with pytest.raises(ScorerError):
            by_source("Paris", references, "infbench_choice_eng")
    with pytest.raises(ScorerError, match="profile 'mab' has"):
        by_source("Paris", ["Paris"], "ruler_niah_mk")
    with pytest.raises(ScorerError, match="give entities=load_entities"):
        score("1. Up", ["1"], "recsys_redial_full", EVAL)
    with pytest.raises(ScorerError, match="needs one"):
        metric_for("lme_train", TRAIN)


def test_an_answer_that_is_a_number_is_read_as_upstream_reads_it_or_refused():
    assert said("It is 12", 12, "squad") == (1, 1, 1)
    assert said("12", 12, "pubmed-rct") == (1, 1, 1)
    for source in ("booksum", "perltqa", "factconsolidation_sh_6k", "eventqa_full", "infbench_choice_eng"):
        for profile in ALL:
            with pytest.raises(ScorerError, match="got 12"):
                score("12", 12, source, profile)


def test_an_empty_list_is_scored_where_the_published_code_does_not_crash():
    assert said("Rome", [], "squad") == said("", [], "hotpotqa") == (1, 1, 1)  # its first element is ""
    assert (score("3", [], TREC, TRAIN), score("3", [], "pubmed-rct", BASELINE)) == (0, 0)
    for source, profile in (
        ("pubmed-rct", EVAL),
        ("booksum", EVAL),
        ("booksum", TRAIN),
        (TREC, BASELINE),
        ("eventqa_full", EVAL),
    ):
        with pytest.raises(ScorerError):
            score("3", [], source, profile)
    with pytest.raises(ScorerError, match="at least one reference"):
        score("3", [], "lme_train", TRAIN, judge=None)


def test_an_answer_may_be_an_object_with_a_text():
    assert said("In Rome.", {"text": "Rome", "start": 3}, "squad") == (1, 1, 1)
    for wrong in ({}, {"texts": "Rome"}, {"text": ["Rome"]}):
        with pytest.raises(ScorerError, match="an object with its text"):
            score("In Rome.", wrong, "squad", EVAL)


# A model's reply, split where upstream splits it: (reply, its answer line, what stands boxed in it)
@pytest.mark.parametrize(
    ("reply", "line", "boxed"),
    [
        ("", "", ""),
        ("\r\nRome", "", "Rome"),
        ("Rome\r\nOslo", "Rome", "Rome\r\nOslo"),
        ("Rome\u2028Oslo", "Rome\u2028Oslo", "Rome\u2028Oslo"),  # only a line feed ends a line
        ("The answer:Rome", "Rome", "The answer:Rome"),
        ("an\u017fwer: Rome", "Rome", "an\u017fwer: Rome"),  # the long s counts as an s
        ("Answer: Answer:", "", "Answer: Answer:"),
        ("Answer:\nAnswer: Rome", "", "Answer:\nAnswer: Rome"),
        (r"\boxed{}", r"\boxed{}", ""),
        ("\\boxed{a\nb}", "\\boxed{a", "a\nb"),
        (r"\boxed{\frac{1}{2}}", r"\boxed{\frac{1}{2}}", r"\frac{1"),
        (r"\\boxed{1} \boxed{2}", r"\\boxed{1} \boxed{2}", "1"),
        (r"\Boxed{1} \box{2}", r"\Boxed{1} \box{2}", r"\Boxed{1} \box{2}"),
    ],
)
def test_odd_replies_are_cut_as_published(reply, line, boxed):
    assert (answer_line(reply), boxed_answer(reply)) == (line, boxed)


@pytest.mark.parametrize(
    ("prediction", "reward", "evaluation"),
    [
        ("a</think>b</think>c", 0, 0),  # "b" is left, in evaluation alone
        (
            "<think>x</think>c<think>y</think>d",
            1,
            1,
        ),  # what stands between the first two endings, "c<think>y", is "Empty"
        ("</think><think>c", 1, 1),  # "<think>c" is left, which is "Empty"
        ("<think></think>", 0, 0),
    ],
)
def test_thoughts_in_odd_places(prediction, reward, evaluation):
    assert said(prediction, "Empty", "squad") == (reward, evaluation, evaluation)


def test_numbers_are_digits_of_any_script_without_spaces_or_signs():
    assert [score(text, "3", "pubmed-rct", EVAL) for text in ("3", "'3'", '"3', " 3 ", "03", "3.0", "+3", "3 3")] == [
        1, 1, 1, 1, 0, 0, 0, 0,
    ]  # fmt: skip
    assert score("\u0663", "\u0663", "pubmed-rct", EVAL) == 1  # an Arabic digit is a digit
    assert score("\u00b2", "\u00b2", "pubmed-rct", EVAL) == 0  # a raised two is none
    assert score(r"\boxed{' 3 '}", "'3'", "pubmed-rct", EVAL) == 1


@pytest.mark.parametrize("profile", ALL)
def test_empty_keywords_are_always_found(profile):
    assert score("x", ";", "perltqa", profile) == 1
    assert score("tea", "tea;", "perltqa", profile) == 1
    assert score("", "", "perltqa", profile) == 1
    assert score("x", ",", "booksum", profile) == (1 if profile == TRAIN else 0)  # split(", ") leaves "," in one piece
    assert score("", "", "booksum", profile) == 1
    assert score("x", "tea, ", "booksum", profile) == 0.5


@settings(max_examples=150)
@given(st.text(st.sampled_from("aT he.,!“”\u2019\u0130ß\n\x85é"), max_size=14))
def test_what_normalising_leaves(text):
    normal = normalize(text)
    assert normal == normal.lower().strip()
    assert not set(normal) & set("!.,\n\x85")
    assert not {"a", "an", "the"} & set(normal.split())
    assert contains(text, text) == exact(text, text) == 1.0


def test_a_missing_library_is_named(monkeypatch):
    for module in ("rouge_score.rouge_scorer", "rapidfuzz.distance", "nltk.stem"):
        monkeypatch.setitem(sys.modules, module, None)
    for cached in (published._rouge, published._rouge_scorer, locomo._stemmer):
        cached.cache_clear()
    for source, profile in (("infbench_sum_eng_shots2", TRAIN), ("recsys_redial_full", "mab"), ("locomo-4", "locomo")):
        with pytest.raises(ScorerError, match=r"pip install -e '.\[bench\]'"):
            score("1. Up", ["1"], source, profile, entities={"Up": 1})
    assert score("Up", ["up"], "ruler_qa1_197K", TRAIN) == 1.0  # needs none of them


def test_the_three_disagree_about_one_prediction():
    found = disagreements("label: 3", ("3",), TREC)
    assert found == {
        "corrected": 1, "memalpha-train": 0, "memalpha-eval": 0, "memalpha-baseline": 1,
        "mab": 0, "longmemeval": None, "locomo": None,
    }  # fmt: skip


@settings(max_examples=50)
@given(
    st.text(max_size=30),
    st.text(min_size=1, max_size=10),
    st.sampled_from(["squad", "booksum", TREC, "ruler_qa1_197K"]),
)
def test_scores_are_shares(prediction, reference, source):
    for profile in ALL:
        assert 0 <= score(prediction, (reference,), source, profile) <= 1
