"""Judges: the published examples, and verdicts that are no verdict."""

from __future__ import annotations

import numpy as np
import pytest
from judged_answers import judged

from memenvs.errors import ScorerError, SettingsError
from trainers.slots import self_prm
from trainers.slots.consensus import ConsensusJudge
from trainers.slots.copeland import CopelandJudge
from trainers.slots.judges import JUDGES, ExactJudge, ModelJudge, parse_verdict
from trainers.slots.self_prm import SelfPrmJudge

NAN = float("nan")


# Exact


def test_exact_is_a_match_after_normalisation():
    scores = ExactJudge()("Where?", ("Paris", "the Louvre"), judged("paris.", "Louvre", "in Paris", ""))
    assert scores.tolist() == [1, 1, 0, 0]
    assert ExactJudge("substring")("Where?", ("Paris",), judged("in Paris", "Parisian")).tolist() == [1, 0]
    np.testing.assert_allclose(ExactJudge("f1")("Where?", ("Paris",), judged("in Paris")), [2 / 3])


# Model


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("yes", 1), (" No.\n", 0), ('"YES!"', 1), ("**no**", 0), ("yes, because", NAN), ("maybe", NAN), ("", NAN),
     ("yes no", NAN), ("not", NAN), (None, NAN)],
)  # fmt: skip
def test_only_a_whole_yes_or_no_is_a_verdict(reply, verdict):
    assert parse_verdict(reply) == pytest.approx(verdict, nan_ok=True)


def test_the_model_is_asked_once_about_equal_answers():
    asked = []

    def ask(prompts):
        asked.extend(prompts)
        return ["yes" if "<answer>Paris</answer>" in prompt else "hm" for prompt in prompts]

    scores = ModelJudge(ask)("Where?", ("Paris", "France"), judged("Paris", "{answer}", "Paris"))
    np.testing.assert_array_equal(scores, [1, NAN, 1])
    assert len(asked) == 2
    assert "Where?" in asked[0]
    assert "Paris; France" in asked[0]
    assert "<answer>{answer}</answer>" in asked[1]


def test_a_model_that_fails_is_an_error_and_not_a_verdict():
    def broken(prompts):
        raise TimeoutError("too slow")

    with pytest.raises(ScorerError, match="too slow") as caught:
        ModelJudge(broken)("q", ("a",), judged("x"))
    assert isinstance(caught.value.__cause__, TimeoutError)
    with pytest.raises(ScorerError, match="1 replies to 2 prompts"):
        ModelJudge(lambda prompts: ["yes"])("q", ("a",), judged("x", "y"))


def test_a_prompt_without_references_needs_none():
    judge = ModelJudge(lambda prompts: ["yes"] * len(prompts), prompt="Is {answer} likely for {question}? yes or no")
    assert judge("q", (), judged("x")).tolist() == [1]


# Self-PRM

ANSWERS, SELF = ["A", "B", "A", "B", "B"], [0.9, 0.2, 0.8, 0.3, 0.1]


def test_self_scores_against_the_majority():
    """Vector 33."""
    assert self_prm.majority(ANSWERS) == "B"
    assert self_prm.best_of_n(ANSWERS, SELF) == "A"
    assert self_prm.weighted_vote(ANSWERS, SELF) == "A"


@pytest.mark.parametrize(
    ("rule", "scores"),
    [("best", [1, 0, 1, 0, 0]), ("vote", [1, 0, 1, 0, 0]), ("majority", [0, 1, 0, 1, 1]), ("score", [1, 1 / 8, 7 / 8, 2 / 8, 0])],
)  # fmt: skip
def test_self_prm_as_a_judge(rule, scores):
    np.testing.assert_allclose(SelfPrmJudge(rule)("q", (), judged(*ANSWERS, self_score=SELF)), scores, atol=1e-7)


def test_answers_are_one_class_whatever_their_case():
    answers = ["the cat", "Dog", "Cat.", "dog", "bird"]
    assert self_prm.majority(answers) == "the cat"  # the first of equals
    assert self_prm.weighted_vote(answers, [0.2, 0.1, 0.2, 0.4, 0.1]) == "Dog"
    assert SelfPrmJudge("majority")("q", (), judged(*answers)).tolist() == [1, 0, 1, 0, 0]


def test_an_unknown_self_score_has_no_verdict():
    scores = SelfPrmJudge("best")("q", (), judged("a", "b", "a", self_score=[NAN, 0.1, 0.3]))
    np.testing.assert_array_equal(scores, [NAN, 0, 1])
    assert np.isnan(SelfPrmJudge()("q", (), judged("a", self_score=[NAN]))).all()


# All


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExactJudge()("Where?", (), judged("x")), "exact compares with references, and 'Where\\?' has none"),
        (lambda: ModelJudge(lambda p: p)("q", (), judged("x")), "model compares with references"),
        (lambda: ModelJudge(), "needs ask"),
        (lambda: ModelJudge(lambda p: p, prompt="Is it right?"), r"fields \{question\} and \{answer\}"),
        (lambda: ModelJudge(lambda p: p, prompt="{question} {answer} {memory}"), "memory"),
        (lambda: ModelJudge(lambda p: p, prompt="{question} {answer} {"), "braces"),
        (lambda: ConsensusJudge(embed=None)("q", (), judged("a", "b")), "no hidden states"),
        (lambda: ConsensusJudge()("q", (), judged("a", "b", hidden=[np.ones(2), None])), "1 of 2 answers"),
        (lambda: ConsensusJudge()("q", (), judged("a", "b", hidden=[np.ones(2), np.ones(3)])), r"same d.*\(2,\), \(3,\)"),
        (lambda: ConsensusJudge(distance="cosin"), "Did you mean 'cosine'"),
        (lambda: ConsensusJudge(sigma=0), "sigma must be"),
        (lambda: ConsensusJudge(iterations=0), "iterations must be at least 1"),
        (lambda: CopelandJudge(), "needs compare"),
        (lambda: CopelandJudge(lambda *_: "1", rounds=3), "rounds must be even"),
        (lambda: CopelandJudge(lambda *_: "1", alpha=1.0), "alpha must be"),
        (lambda: SelfPrmJudge()("q", (), judged("a", "b", self_score=[0.5, None])), "1 of 2 to 'q' have none"),
        (lambda: SelfPrmJudge("vote")("q", (), judged("a", self_score=[-1.0])), "not negative"),
        (lambda: SelfPrmJudge("votes"), "Did you mean 'vote'"),
        (lambda: ExactJudge("exactly"), "Did you mean 'exact'"),
    ],
)  # fmt: skip
def test_what_a_judge_lacks_is_said(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


def test_every_judge_has_the_same_form():
    made = {
        "exact": {}, "model": {"ask": lambda prompts: ["yes"] * len(prompts)}, "consensus": {},
        "copeland": {"compare": lambda q, a, b: "1"}, "self_prm": {},
    }  # fmt: skip
    assert set(made) == set(JUDGES)
    for name, arguments in made.items():
        scores = JUDGES[name](**arguments)("q", ("a",), judged("a", "b", "c", self_score=[0.1, 0.2, 0.3]))
        assert scores.shape == (3,), name
        assert ((scores >= 0) & (scores <= 1)).all(), name
