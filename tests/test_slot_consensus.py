"""Consensus as a judge, and how it tells that answers have collapsed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_answers import judged

from trainers.advantages import group_advantages
from trainers.slots import consensus
from trainers.slots.collapse import collapse, summary
from trainers.slots.consensus import ConsensusJudge

NAN = float("nan")
HIDDEN = [[3.0, 0.3], [2.0, -0.2], [1.0, 0.1], [-0.5, 2.0]]


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
