"""Judges: what they are asked, how their replies are read, that each prompt is asked once, and that a failure is no score."""

from __future__ import annotations

import hashlib

import pytest

from memenvs.errors import ScorerError
from memenvs.scoring import CachedJudge, Case, disagreements, metric_for, rubric_for, score, verdicts
from memenvs.scoring.infbench import parse_reply, rubric, summary_scores
from memenvs.scoring.longmemeval import BY_TYPE, prompt, says_only_yes, says_yes


class Canned:
    """A judge that answers from a list and remembers what it was asked."""

    name = "canned-1"

    def __init__(self, *replies):
        self.pending, self.asked = list(replies), []

    def replies(self, prompts):
        self.asked += prompts
        return [self.pending.pop(0) for _ in prompts]


# SHA-256 of the published prompts for question "Q", answer ["A1"] and response "R".
@pytest.mark.parametrize(
    ("kind", "sha"),
    [
        ("single-session-assistant", "b6bd9d8e89bf7339d81e138cc88bbea92b7eb6565b8c39e4e6b11d52d7cd06ee"),
        ("multi-session", "b6bd9d8e89bf7339d81e138cc88bbea92b7eb6565b8c39e4e6b11d52d7cd06ee"),
        ("temporal-reasoning", "34ef522b9c67c472d79db31b97904653afed2f31f76369aafb23e853d9e99538"),
        ("knowledge-update", "f74aa7d3d0f0864946542b925e635dc7fd35b32a587eebaf97bb2643706755a5"),
        ("single-session-preference", "5e32f20b9ef0cf27bef2b4e22f7b224a9517c61ca7d18ae1c6554154773247c8"),
        ("multi-session_abs", "9a88af69e5ca3c5ea935c8d45df9845aff81f25ab330388e816f478b980d04cf"),
        ("abstention", "9a88af69e5ca3c5ea935c8d45df9845aff81f25ab330388e816f478b980d04cf"),
    ],
)
def test_prompts_are_the_published_ones(kind, sha):
    assert hashlib.sha256(prompt(kind, "Q", ["A1"], "R").encode()).hexdigest() == sha


def test_yes_is_read_in_two_ways():
    replies = ("Yes.", "eyes", "yes or no", "Yes, I know", "No", "")
    assert [says_yes(reply) for reply in replies] == [True, True, True, True, False, False]
    assert [says_only_yes(reply) for reply in replies] == [True, True, False, False, False, False]


def test_a_judge_decides_where_the_profile_says_so():
    given = {"references": ("Rome",), "source": "longmemeval_s*", "question": "Where?", "kind": "multi-session"}
    assert score("It is Rome", **given, profile="mab", judge=Canned("Yes, I know")) == 1.0
    assert score("It is Rome", **given, profile="memalpha-eval", judge=Canned("Yes, I know")) == 0.0
    assert score("It is Rome", **given, profile="memalpha-train", judge=Canned()) == 1.0  # a substring match, no judge


def test_without_a_judge_the_score_is_refused_and_says_what_to_do():
    for profile in ("memalpha-eval", "memalpha-baseline", "mab", "longmemeval"):
        with pytest.raises(ScorerError, match=r"to a model judge .* needs one: score\(\.\.\., judge="):
            score("Rome", ("Rome",), "longmemeval_s*", profile)
    with pytest.raises(ScorerError, match="needs one"):
        metric_for("infbench_sum_eng_shots2", "mab")
    assert rubric_for("lme_train", "memalpha-baseline") is None  # falls through to a substring match
    assert score("Rome", ("Rome",), "lme_train") == 1.0  # the default profile needs no judge


def test_who_prints_the_answer_how():
    judge = Canned(*["yes"] * 4)
    given = {"references": ("Rome",), "question": "Where?", "kind": "multi-session", "judge": judge}
    score("R", source="longmemeval_s*", profile="mab", **given)
    score("R", source="longmemeval_s*", profile="longmemeval", **given)
    score("<think>hm</think>R", source="lme_train", profile="memalpha-train", **given)
    listed, plain, rubric_prompt = judge.asked
    assert "Correct Answer: ['Rome']\n" in listed
    assert "Correct Answer: Rome\n" in plain
    assert "Rubric: Rome\n\nModel Response: R\n" in rubric_prompt


def test_a_source_can_name_the_questions_type():
    judge = Canned("yes", "yes")
    score("R", ("no such trip",), "longmemeval-abstention-multi-session", "longmemeval", judge=judge, question="Q")
    score("R", ("18 days",), "longmemeval-temporal-reasoning", "longmemeval", judge=judge, question="Q")
    assert judge.asked[0] == prompt("abstention", "Q", "no such trip", "R")
    assert judge.asked[1] == prompt("temporal-reasoning", "Q", "18 days", "R")
    with pytest.raises(ScorerError, match=r"got 'temporal-resoning'\. Did you mean 'temporal-reasoning'"):
        score("R", ("x",), "longmemeval_s*", "mab", judge=judge, kind="temporal-resoning")


def test_equal_prompts_are_asked_once_and_replies_outlive_the_judge():
    known = {}
    judge = Canned("yes", "no")
    case, other = Case("Rome", ("Rome",), "Where?", "multi-session"), Case("Oslo", ("Rome",), "Where?", "multi-session")
    assert verdicts([case, other, case], BY_TYPE, CachedJudge(judge, known)) == [1, 0, 1]
    assert len(judge.asked) == 2
    assert verdicts([other, case], BY_TYPE, CachedJudge(Canned(), known)) == [0, 1]
    another = Canned("no")
    another.name = "canned-2"
    assert verdicts([case], BY_TYPE, CachedJudge(another, known)) == [0]  # another judge's replies are not its own
    assert len(known) == 3


def test_a_failing_judge_is_an_error_and_leaves_nothing_behind():
    class Broken(Canned):
        def replies(self, prompts):
            return super().replies(prompts)[:-1]

    known = {}
    case = Case("Rome", ("Rome",), "Where?", "multi-session")
    with pytest.raises(ScorerError, match="must give one text per prompt; got 0 replies for 1"):
        verdicts([case], BY_TYPE, CachedJudge(Broken("yes"), known))
    with pytest.raises(ScorerError, match="must give one text per prompt"):
        verdicts([case], BY_TYPE, Canned(None))
    assert known == {}


def test_the_last_object_of_a_reply_is_read():
    assert parse_reply('so {"recall": 1} then {"recall": 4}.') == {"recall": 4}
    assert parse_reply('```json\n{"a": {"b": 1}}\n```') == {"a": {"b": 1}}
    assert parse_reply('{"recall": 4} {oops}') is None
    assert parse_reply("four") is None


def test_the_f1_of_a_summary():
    assert summary_scores(1, 2, 5, 1, 3)["f1"] == pytest.approx(4 / 11)
    assert summary_scores(0, 5, 5, 3, 3)["f1"] == 0  # not fluent
    assert summary_scores(1, 0, 0, 0, 0) == {"fluency": 1, "recall": 0, "precision": 0, "f1": 0}
    assert summary_scores(1, 7, 6, 9, 8)["f1"] > 1  # counts are not capped


def test_a_summary_is_judged_by_three_replies():
    judge = Canned('{"fluency": 1}', 'Two. {"recall": 2}', '{"precision": 1, "sentence_count": 3}')
    points = ("Anna leaves", "Bob stays", "c", "d", "e")
    got = score("Anna leaves.", [["Anna left."]], "infbench_sum_eng_shots2", "mab", judge=judge, keypoints=points)
    assert got == pytest.approx(4 / 11)
    assert "1. Anna leaves\n2. Bob stays" in judge.asked[1]
    assert "Expert summary: ['Anna left.']" in judge.asked[2]  # a nested answer, printed as upstream prints it


def test_a_summarys_judge_that_says_no_number_is_no_score():
    case = Case("Anna leaves.", ("Anna left.",), keypoints=("Anna leaves",))
    with pytest.raises(ScorerError, match="expected a JSON object at the end of the judge's reply, got 'two'"):
        verdicts([case], rubric(), Canned('{"fluency": 1}', "two", '{"precision": 1, "sentence_count": 3}'))
    with pytest.raises(ScorerError, match="expected fluency, recall, precision and sentence_count"):
        verdicts([case], rubric(), Canned('{"fluency": 1}', '{"recal": 1}', '{"precision": 1, "sentence_count": 3}'))
    with pytest.raises(ScorerError, match="key points as keypoints"):
        verdicts([Case("Anna leaves.", ("Anna left.",))], rubric(), Canned())


def test_disagreements_ask_the_judge_too():
    judge = CachedJudge(Canned("no", "Yes, I know", "Yes, I know"))
    found = disagreements("Rome", ("Rome",), "longmemeval_s*", judge=judge, question="Where?", kind="multi-session")
    # One preference prompt serves Mem-alpha's evaluation and its baselines; its reply was "no".
    assert found == {
        "corrected": 1, "memalpha-train": 1, "memalpha-eval": 0, "memalpha-baseline": 0,
        "mab": 1, "longmemeval": 1, "locomo": None,
    }  # fmt: skip
