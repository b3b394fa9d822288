"""Judges: the published examples, verdicts that are no verdict, and consensus that has collapsed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import ScorerError, SettingsError
from trainers.advantages import group_advantages
from trainers.slots import consensus, copeland, self_prm
from trainers.slots.collapse import collapse, summary
from trainers.slots.consensus import ConsensusJudge
from trainers.slots.copeland import CopelandJudge
from trainers.slots.judges import JUDGES, ExactJudge, ModelJudge, parse_verdict
from trainers.slots.judging import Judged
from trainers.slots.self_prm import SelfPrmJudge

NAN = float("nan")
HIDDEN = [[3.0, 0.3], [2.0, -0.2], [1.0, 0.1], [-0.5, 2.0]]


def judged(*texts, **fields):
    return [Judged(text, **{name: values[i] for name, values in fields.items()}) for i, text in enumerate(texts)]


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


# Consensus


def test_the_robust_centroid_forgets_the_outlier():
    """Vector 13."""
    sphere = consensus.to_sphere(HIDDEN)
    np.testing.assert_allclose(sphere[[0, 3]], [[0.99503719021, 0.099503719021], [-0.242535625036, 0.970142500145]])
    found = consensus.robust_centroid(sphere, sigma=0.5, iterations=3)
    np.testing.assert_allclose(
        found.weights,
        [[0.78048918802, 0.630840674317, 0.78048918802, 0.0664904902516],
         [0.995559650198, 0.941942279603, 0.995559650198, 0.0110248960466],
         [0.992684984552, 0.962269257205, 0.992684984552, 0.00844668598834]], rtol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(
        found.centroids,
        [[0.958599836637, 0.0695464497437], [0.99040277755, 0.0390928515963], [0.991500963839, 0.0372102902599]],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        found.distance, [0.0623937189448, 0.136759735414, 0.0623937189448, 1.54699993889], rtol=1e-10
    )


def test_consensus_scores_and_their_advantages():
    """Vector 13."""
    scores = ConsensusJudge()("q", (), judged("a", "b", "c", "d", hidden=np.array(HIDDEN)))
    np.testing.assert_allclose(scores, [0.999999993264, 0.949908585206, 0.999999993264, 0.0], atol=1e-11)
    np.testing.assert_allclose(
        group_advantages(scores[:, None])[:, 0],
        [0.533345453085, 0.431578979452, 0.533345453085, -1.49826988562], atol=1e-9,
    )  # fmt: skip


def test_consensus_on_the_sphere_and_by_cosine():
    """Vector 13, variants: the centroid is put back at the start and after each iteration."""
    found = consensus.robust_centroid(consensus.to_sphere(HIDDEN), reproject=True, distance="cosine")
    np.testing.assert_allclose(found.centroids[-1], [0.999302459312, 0.0373442741667], rtol=1e-10)
    np.testing.assert_allclose(
        1 - found.distance, [0.998059005447, 0.99062721712, 0.998059005447, -0.206137179063], rtol=1e-10
    )
    judge = ConsensusJudge(reproject=True, distance="cosine")
    scores = judge("q", (), judged("a", "b", "c", "d", hidden=np.array(HIDDEN)))
    np.testing.assert_allclose(
        scores, (1 - found.distance + 0.206137179063) / (0.998059005447 + 0.206137179063), atol=1e-7
    )


def test_the_cosine_does_not_depend_on_the_centroids_length():
    free = consensus.robust_centroid(consensus.to_sphere(HIDDEN), distance="cosine")
    centre = free.centroids[-1]
    np.testing.assert_allclose(free.distance, 1 - consensus.to_sphere(HIDDEN) @ centre / np.hypot(*centre), rtol=1e-12)


def test_a_narrow_gaussian_stays_finite():
    found = consensus.robust_centroid(consensus.to_sphere([[1, 0], [0, 1], [-1, 0], [0, -1]]), sigma=1e-3)
    assert np.isfinite(found.centroids).all()


@given(st.permutations(range(4)), st.floats(0.1, 10), st.booleans(), st.sampled_from(consensus.DISTANCES))
def test_consensus_does_not_depend_on_order_or_length_of_the_vectors(order, factor, reproject, distance):
    judge = ConsensusJudge(reproject=reproject, distance=distance)
    plain = judge("q", (), judged(*"abcd", hidden=np.array(HIDDEN)))
    other = judge("q", (), judged(*"abcd", hidden=factor * np.array(HIDDEN)[order]))
    np.testing.assert_allclose(other, plain[order], atol=1e-7)


def test_texts_stand_in_for_hidden_states():
    scores = ConsensusJudge()("q", (), judged("in Paris", "Paris, in", "IN PARIS", "the moon", ""))
    assert scores[0] == scores[1] == scores[2] == pytest.approx(1, abs=1e-6)
    assert (scores[3:] < 0.5).all()


def test_vectors_without_direction_have_no_verdict():
    hidden = [np.array(v, float) for v in ([1, 0], [0, 0], [1, 0.1], [NAN, 1], [0, 1])]
    scores = ConsensusJudge()("q", (), judged(*"abcde", hidden=hidden))
    assert np.isnan(scores).tolist() == [False, True, False, True, False]
    kept = ConsensusJudge()("q", (), judged(*"ace", hidden=[hidden[0], hidden[2], hidden[4]]))
    np.testing.assert_array_equal(scores[[0, 2, 4]], kept)
    assert np.isnan(ConsensusJudge()("q", (), judged("alone"))).all()


def test_collapsed_answers_are_flagged():
    judge = ConsensusJudge()
    assert judge("q", ("Paris",), judged(*["unknown"] * 8)).tolist() == [0] * 8
    judge("q", ("Paris",), judged(*["Paris"] * 7, "Rome"))
    judge("q", ("Paris",), judged(*["Paris"] * 8))
    assert [one.collapsed for one in judge.seen] == [True, False, False]
    assert summary(judge.seen)["collapsed"] == pytest.approx(1 / 3)


def test_collapse_counts_answers_by_their_entropy():
    found = collapse(["The cat", "cat.", "dog", "bird"], ("cat",))
    assert (found.identical, found.agreement, found.collapsed) == (0.5, 0.5, False)
    # Shares 1/2, 1/4, 1/4: entropy 1.5 ln 2.
    assert found.distinct == pytest.approx(2**1.5)
    assert collapse(["a", "b", "c", "d"]).distinct == pytest.approx(4)
    unknown = collapse(["same"] * 5)
    assert math.isnan(unknown.agreement)
    assert (unknown.distinct, unknown.collapsed) == (1, True)
    assert not collapse(["alone"]).collapsed
    assert collapse(["no"] * 9 + ["yes"], ("yes",)).collapsed
    assert not collapse(["no"] * 8 + ["yes"] * 2, ("yes",)).collapsed


def test_a_summary_leaves_out_what_nobody_knows():
    found = [collapse(["a", "b"]), collapse(["a", "a"])]
    assert summary(found) == pytest.approx({"identical": 0.75, "distinct": 1.5, "collapsed": 0.5})
    assert summary([*found, collapse(["a", "b"], ("a",))])["agreement"] == 0.5
    assert summary([]) == {}


# Copeland

PAIRS = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
CHOICES = ["1", "2", "1", "2", "2", "1"]


def test_comparisons_are_even_in_order():
    pairs = copeland.ordered_pairs(3, 2)
    assert pairs == PAIRS
    assert sum(0 in pair for pair in pairs) == 4  # comparisons of one answer
    assert sorted(copeland.ordered_pairs(3, 4)) == sorted(PAIRS * 2)


def test_wins_over_comparisons():
    """Vector 17."""
    plain = copeland.copeland_scores(PAIRS, CHOICES, 3)
    assert plain.tolist() == [1.0, 0, 0.5]
    controlled = copeland.copeland_scores(PAIRS, CHOICES, 3, [100, 110, 150], 0.2)
    np.testing.assert_allclose(controlled, [0.55, 0, 0], rtol=1e-12)
    assert copeland.judgement_rewards(PAIRS, CHOICES, controlled).tolist() == [1, 1, 1, 1, 0, 0]
    # TRL's eps.
    np.testing.assert_allclose(
        group_advantages(controlled[:, None], eps=1e-4)[:, 0],
        [1.1543370165, -0.577168508248, -0.577168508248],
        atol=1e-9,
    )


def test_a_judgement_against_the_scores_is_punished():
    assert copeland.judgement_rewards([(0, 1), (0, 1), (0, 1)], ["2", "?", "1"], [1.0, 0.0]).tolist() == [-1, -1, 1]


def test_invalid_judgements_are_no_comparisons():
    scores = copeland.copeland_scores(PAIRS, ["1", "neither", "1", "", "?", "?"], 3)
    assert scores.tolist() == [1.0, 0.0, 0.0]
    scores = copeland.copeland_scores([(0, 1), (1, 0), (0, 2)], ["1", "1", "x"], 3)
    np.testing.assert_array_equal(scores, [0.5, 0.5, NAN])


@pytest.mark.parametrize(("winner", "loser", "worth"), [(80, 100, 0), (81, 100, 100 / 81), (119, 100, 100 / 119), (120, 100, 0),
                                                        (0, 5, 0), (5, 0, 0), (0, 0, 0)])  # fmt: skip
def test_length_control_is_open_at_both_ends(winner, loser, worth):
    scores = copeland.copeland_scores([(0, 1)], ["1"], 2, [winner, loser], 0.2)
    assert scores == pytest.approx([worth, 0])


@given(st.integers(2, 5), st.sampled_from([2, 4]), st.data())
def test_every_valid_judgement_is_one_win(count, rounds, data):
    pairs = copeland.ordered_pairs(count, rounds)
    choices = data.draw(st.lists(st.sampled_from("12?"), min_size=len(pairs), max_size=len(pairs)))
    scores = copeland.copeland_scores(pairs, choices, count)
    valid = [pair for pair, choice in zip(pairs, choices, strict=True) if choice != "?"]
    games = np.array([sum(g in pair for pair in valid) for g in range(count)])
    assert (np.isnan(scores) == (games == 0)).all()
    assert np.nansum(scores * games) == pytest.approx(len(valid))


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_length_controlled_scores_are_in_range_whoever_wins(lengths, data):
    texts = [" ".join(["w"] * n) for n in lengths]
    judge = CopelandJudge(lambda q, a, b: data.draw(st.sampled_from("12?")))
    assert all(np.isnan(score) or 0 <= score <= 1 for score in judge("q", (), judged(*texts)))


def test_the_pairwise_judge_hears_both_orders():
    heard = []

    def longer(question, first, second):
        heard.append((first, second))
        return "1" if len(first) > len(second) else "2"

    scores = CopelandJudge(longer, length_control=False)("q", (), judged("aa", "bbb", "c"))
    assert scores.tolist() == [0.5, 1, 0]
    assert heard == [("aa", "bbb"), ("bbb", "aa"), ("aa", "c"), ("c", "aa"), ("bbb", "c"), ("c", "bbb")]
    # A judge that likes the first place says nothing about the answers.
    assert CopelandJudge(lambda q, a, b: "1", length_control=False)("q", (), judged("a", "b")).tolist() == [0.5, 0.5]


def test_length_controlled_scores_stay_in_range():
    """Vector 17, times 1 - alpha."""
    texts = [" ".join(["w"] * n) for n in (100, 110, 150)]
    choices = iter(CHOICES)
    scores = CopelandJudge(lambda *_: next(choices))("q", (), judged(*texts))
    np.testing.assert_allclose(scores, [0.44, 0, 0], rtol=1e-12)


def test_a_comparison_that_fails_is_an_error():
    with pytest.raises(ScorerError, match="failed: 'nothing'"):
        CopelandJudge(lambda q, a, b: {}["nothing"])("q", (), judged("a", "b"))


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
