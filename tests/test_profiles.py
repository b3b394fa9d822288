"""Which metric scores which source."""

from __future__ import annotations

import pytest

from memenvs.errors import ScorerError, SettingsError
from memenvs.scoring import PROFILES, metric_for, score
from memenvs.scoring.abstention import abstains
from memenvs.scoring.metrics import keyword_list_share, keyword_share, label_match, substring_match


@pytest.mark.parametrize(
    ("source", "metric"),
    [
        ("squad", substring_match),
        ("longmemeval_s*", substring_match),
        ("ruler_qa1_197K", substring_match),
        ("icl_banking77_5900shot_balance", label_match),
        ("pubmed-rct", label_match),
        ("infbench_sum_eng_shots2", keyword_list_share),
        ("booksum", keyword_share),
        ("perltqa", keyword_list_share),
    ],
)
def test_published_sources_have_their_metric(source, metric):
    assert metric_for(source) is metric


def test_the_exact_name_wins_over_a_prefix_and_the_longest_prefix_over_a_shorter_one(monkeypatch):
    metrics = {"a": label_match, "a-b": keyword_share, "a-b-c": substring_match}
    monkeypatch.setattr("memenvs.scoring.profiles.PROFILES", {"corrected": metrics})
    found = [metric_for(source) for source in ("a", "a-x", "a-b", "a-b-", "a-b-c", "a-b-cd")]
    assert found == [label_match, label_match, keyword_share, keyword_share, substring_match, substring_match]


def test_score_takes_the_metric_of_the_source():
    assert score("It is the tea.", ["tea"], "squad") == 1.0
    assert score("It is the tea.", ["tea"], "builtin-fact") == 0.0
    assert score("tea", ["coffee", "Tea"], source="builtin-fact", profile="corrected") == 1.0
    assert score("helmets", ["helmets, vaccines"], "builtin-summary") == 0.5


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_scores_a_right_answer_1_and_a_wrong_one_0(profile):
    for source, metric in PROFILES[profile].items():
        right = "not mentioned" if metric is abstains else "12"
        assert score(right, ["12"], source, profile) == 1.0, source
        assert score("zzz", ["12"], source, profile) == 0.0, source


def test_what_cannot_be_scored_is_an_error_and_never_a_zero():
    with pytest.raises(SettingsError, match=r"unknown scoring profile 'corected'.*Did you mean 'corrected'"):
        score("a", ["a"], "squad", "corected")
    with pytest.raises(ScorerError, match=r"no metric for source 'sqad'.*Did you mean 'squad'"):
        score("a", ["a"], "sqad")
    with pytest.raises(ScorerError, match="no metric for source ''"):
        score("a", ["a"], "")
    with pytest.raises(ScorerError, match="at least one reference for a question of source 'squad'"):
        score("a", [], "squad")
