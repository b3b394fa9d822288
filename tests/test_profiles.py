"""Which metric scores which source."""

from __future__ import annotations

import pytest

from memenvs.errors import ScorerError, SettingsError
from memenvs.scoring import PROFILES, disagreements, metric_for, score
from memenvs.scoring.abstention import abstains
from memenvs.scoring.metrics import keyword_list_share, keyword_share, label_match, substring_match
from memenvs.scoring.points import points_recall
from memenvs.scoring.profiles import nearest_family


@pytest.mark.parametrize(
    ("source", "metric"),
    [
        ("squad", substring_match),
        ("longmemeval_s*", substring_match),
        ("ruler_qa1_197K", substring_match),
        ("icl_banking77_5900shot_balance", label_match),
        ("pubmed-rct", label_match),
        ("infbench_sum_eng_shots2", points_recall),
        ("booksum", keyword_share),
        ("perltqa", keyword_list_share),
    ],
)
def test_published_sources_have_their_metric(source, metric):
    assert metric_for(source) is metric


def test_the_exact_name_wins_over_a_prefix_and_the_longest_prefix_over_a_shorter_one():
    families = ("a", "a-b", "a-b-c")
    found = [nearest_family(source, families) for source in ("a", "a-x", "a-b", "a-b-", "a-b-c", "a-b-cd", "b")]
    assert found == ["a", "a", "a-b", "a-b", "a-b-c", "a-b-c", ""]


def test_score_takes_the_metric_of_the_source():
    assert score("It is the tea.", ["tea"], "squad") == 1.0
    assert score("It is the tea.", ["tea"], "builtin-fact") == 0.0
    assert score("tea", ["coffee", "Tea"], source="builtin-fact", profile="corrected") == 1.0
    assert score("helmets", ["helmets, vaccines"], "builtin-summary") == 0.5


def test_the_default_profile_scores_a_right_answer_1_and_a_wrong_one_0():
    for source in PROFILES["corrected"].families:
        right = "not mentioned" if metric_for(source) is abstains else "12"
        assert score(right, ["12"], source) == 1.0, source
        assert score("zzz", ["12"], source) == 0.0, source


def test_a_text_alone_is_one_reference_and_lists_of_lists_are_taken_apart():
    assert score("tea", "tea", "squad") == 1.0
    assert score("coffee", [["tea"], ["milk", "coffee"]], "squad") == 1.0


@pytest.mark.parametrize("profile", PROFILES)
def test_own_sources_are_scored_alike_in_every_profile(profile):
    assert score("The tea.", ("tea",), "builtin-fact", profile) == 1.0
    assert score("The sum is -12", ("-12",), "running-sum", profile) == 1.0
    assert score("Norway", ("no",), "builtin-fact", profile) == 0.0


def test_what_cannot_be_scored_is_an_error_and_never_a_zero():
    with pytest.raises(SettingsError, match=r"unknown scoring profile 'corected'.*Did you mean 'corrected'"):
        score("a", ["a"], "squad", "corected")
    with pytest.raises(ScorerError, match=r"no metric for source 'sqad'.*Did you mean 'squad'"):
        score("a", ["a"], "sqad")
    with pytest.raises(ScorerError, match="no metric for source ''"):
        score("a", ["a"], "")
    with pytest.raises(ScorerError, match="at least one reference for a question of source 'squad'"):
        score("a", [], "squad")
    with pytest.raises(ScorerError, match="expected the prediction as a text, got None"):
        score(None, ["a"], "squad")
    with pytest.raises(ScorerError, match="expected references that are texts"):
        score("12", [12], "squad")


def test_disagreements_are_what_every_profile_says_of_one_prediction():
    said = disagreements("Oslo, Norway", ["no"], "squad")
    assert said == {
        "corrected": 0.0, "memalpha-train": 1.0, "memalpha-eval": 1.0, "memalpha-baseline": 1.0,
        "mab": None, "longmemeval": None, "locomo": None,
    }  # fmt: skip


def test_disagreements_do_not_hide_an_unknown_word_for_a_source():
    with pytest.raises(ScorerError, match="no profile knows source 'sqad'"):
        disagreements("a", ["a"], "sqad")
