"""Agreement of an estimate with the exact credit, by hand."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from tiny_episodes import KeyReader, play

from memenvs.errors import SettingsError
from rewards.credit import StepGame
from rewards.credit.fidelity import (
    advantage_fidelity,
    efficiency_gap,
    fidelity,
    kendall_b,
    linear_datamodelling_score,
    negative_recall,
    normalised_l1,
    spearman,
    top1,
)
from rewards.credit.surrogate import lasso

PHI = [-1 / 6, 5 / 6, 1 / 3]
VECTORS = st.lists(st.floats(-1, 1, width=16), min_size=2, max_size=8)


def test_all_measures_of_the_published_example():
    # Credit vector 60, example G: all of the credit on the step with the largest phi.
    found = fidelity([0, 1, 0], PHI)
    assert found.spearman == pytest.approx(0.8660254037844387)
    assert found.kendall_b == pytest.approx(0.816496580927726)
    assert found.top1 == 1.0
    assert found.negative_recall == 0.0
    assert found.normalised_l1 == pytest.approx(0.375)
    assert found.efficiency_gap == pytest.approx(0.0)
    assert not found.degenerate


def test_constant_vectors_correlate_0_and_count_as_degenerate():
    for c, phi in (([0.25, 0.25, 0.25], PHI), (PHI, [0.0, 0.0, 0.0]), ([0.1], [0.3])):
        found = fidelity(c, phi)
        assert (found.spearman, found.kendall_b, found.degenerate) == (0.0, 0.0, True)
    # What differs by rounding only is constant too.
    assert fidelity([0.1 + 0.2, 0.3, 0.3], PHI).degenerate


def test_rounding_makes_no_ranks():
    # Steps 0 and 1 are symmetric; their exact values differ in the last bit.
    assert spearman([0.3, 0.3, 0.1], [0.1 + 0.2, 0.3, 0.1]) == 1.0
    assert negative_recall([1.0, 0.5], [1.0, -1e-17]) != negative_recall([1.0, 0.5], [1.0, -1e-3])


def test_top1_is_the_share_of_the_largest_c_that_is_right():
    assert top1([0.1, 0.2, 0.3], PHI) == 0.0
    assert top1([0.5, 0.5, 0.0], PHI) == 0.5
    assert top1([0.5, 0.5, 0.0], [1.0, 1.0, 0.0]) == 1.0
    assert top1([1.0, 0.0, 0.0], [1.0, 1.0, 0.0]) == 1.0


def test_negative_recall_is_the_share_of_harmful_steps_that_were_found():
    assert negative_recall([-0.1, 0.2, -0.3, 0.0], [-0.5, -0.1, 0.2, -0.2]) == pytest.approx(1 / 3)
    assert math.isnan(negative_recall([-1.0, 1.0], [0.0, 1.0]))


def test_normalised_l1_ignores_the_scale_and_ends_at_1():
    assert normalised_l1([10.0, 20.0], [1.0, 2.0]) == pytest.approx(0.0)
    assert normalised_l1([1.0, -2.0], [-1.0, 2.0]) == pytest.approx(1.0)
    assert normalised_l1([1.0, 0.0], [0.0, 3.0]) == pytest.approx(1.0)
    assert normalised_l1([0.0, 0.0], [0.0, 3.0]) == pytest.approx(0.5)


def test_efficiency_gap_is_the_credit_invented_or_lost():
    assert efficiency_gap([0.25, 0.25], 0.75) == 0.25
    assert fidelity([0.5, 1.0, 0.5], PHI).efficiency_gap == pytest.approx(1.0)


@given(VECTORS, st.randoms())
def test_correlations_equal_those_of_scipy_and_do_not_depend_on_scale(phi, random):
    c = list(phi)
    random.shuffle(c)
    assume(len(set(phi)) > 1)
    # Numbers this near to each other would be ties here and not in SciPy.
    gaps = np.diff(np.unique(phi)) / np.abs(phi).max()
    assume(gaps.min() > 1e-6)
    assert spearman(c, phi) == pytest.approx(stats.spearmanr(c, phi).statistic)
    assert kendall_b(c, phi) == pytest.approx(stats.kendalltau(c, phi).statistic)
    assert spearman(1e-6 * np.array(c), phi) == pytest.approx(spearman(c, phi))
    assert spearman(phi, phi) == pytest.approx(1.0)
    assert normalised_l1(phi, phi) == pytest.approx(0.0)


def test_datamodelling_score_ranks_coalitions_by_their_summed_credit():
    # Credit vector 50, with the coalitions drawn here instead of listed: v of any coalition is what its credit sums to, apart from
    # the order-preserving changes to 1 and .2.
    masks = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    assert masks @ [0.1, 0.4, 0.5] == pytest.approx([1.0, 0.6, 0.9, 0.5, 0.1])
    assert spearman(masks @ [0.1, 0.4, 0.5], [1.0, 0.6, 0.9, 0.5, 0.2]) == pytest.approx(1.0)
    worth = [0.1, 0.4, 0.5]
    game = SimpleNamespace(T=3, value=lambda steps: sum(worth[t] for t in steps) ** 2)
    assert linear_datamodelling_score(worth, game) == pytest.approx(1.0)
    assert linear_datamodelling_score([-x for x in worth], game) == pytest.approx(-1.0)
    assert linear_datamodelling_score([1.0, 0.0, 0.0], game) < 0.6
    assert linear_datamodelling_score([0.0, 0.0, 0.0], game) == 0.0


def test_datamodelling_score_of_a_real_episode_prefers_the_writer_of_the_answer():
    record = play([[("INSERT", "a 1")], [("INSERT", "noise")], [("SKIP",)]], {"a": "1"})
    game = StepGame(record, KeyReader())
    assert linear_datamodelling_score([1.0, 0.0, 0.0], game) == pytest.approx(1.0)
    assert linear_datamodelling_score([0.0, 1.0, 0.0], game) < 0.5
    # Credit for a step that did nothing costs agreement as well.
    assert linear_datamodelling_score([1.0, 0.0, 2.0], game) < 0.9


def test_datamodelling_score_and_surrogate_draw_different_coalitions(monkeypatch):
    record = play([[("INSERT", f"{key} 1")] for key in "abcdef"], {"a": "1"})
    drawn = []
    original = StepGame.value
    monkeypatch.setattr(StepGame, "value", lambda game, steps: drawn.append(frozenset(steps)) or original(game, steps))
    lasso(record, KeyReader())
    trained = list(drawn)
    drawn.clear()
    linear_datamodelling_score([0.0] * 6, StepGame(record, KeyReader()))
    assert len(trained) == len(drawn) == 64
    assert trained != drawn


def test_advantage_fidelity_of_the_published_example():
    # Credit vector 61: the group is the first axis; the vector lists step by step.
    true = [[0.2, -0.1], [0.0, 0.3], [-0.2, 0.1]]
    credit = [[0.5, 0.1], [0.4, 0.6], [0.0, 0.2]]
    pairs = advantage_fidelity(credit, true)
    z = [[0.755926088886, 0.377963044443, -1.13388913333], [-0.755926088886, 1.13388913333, -0.377963044443]]
    np.testing.assert_allclose(pairs[:, 0].reshape(3, 2).T, z, atol=1e-9)
    np.testing.assert_allclose(pairs[:, 1].reshape(3, 2).T, [[0.2, 0, -0.2], [-0.2, 0.2, 0]], atol=1e-12)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.944911182523)


def test_failed_rollouts_leave_the_group_and_too_small_groups_have_no_pairs():
    credit, true = np.array([[0.5], [0.1], [0.3]]), np.array([[0.1], [0.2], [0.6]])
    with_failures = np.vstack([credit, [[np.nan], [0.9]]]), np.vstack([true, [[0.9], [np.nan]]])
    np.testing.assert_allclose(advantage_fidelity(*with_failures), advantage_fidelity(credit, true))
    assert advantage_fidelity(credit[:1], true[:1]).shape == (0, 2)


def test_equal_credit_in_a_group_is_no_advantage():
    pairs = advantage_fidelity([[0.1], [0.1], [0.1]], [[1.0], [2.0], [3.0]], eps=0.0)
    assert pairs.tolist() == [[0.0, -1.0], [0.0, 0.0], [0.0, 1.0]]


def test_wrong_shapes_and_failed_episodes_are_refused():
    with pytest.raises(SettingsError, match=r"same T, got shapes \(2,\) and \(3,\)"):
        spearman([1.0, 2.0], PHI)
    with pytest.raises(SettingsError, match="leave failed episodes out"):
        fidelity([float("nan"), 1.0, 2.0], PHI)
    with pytest.raises(SettingsError, match=r"\(G, T\) of the same shape, got \(3,\) and \(3,\)"):
        advantage_fidelity(PHI, PHI)


def test_shared_vectors(shared):
    oracle = json.loads((shared / "oracles/rl/60_credit_ground_truth.json").read_text())["G_metric"]
    found = fidelity(oracle["c"], oracle["phi"])
    assert found.spearman == pytest.approx(oracle["spearman_ties_avg"])
    assert found.kendall_b == pytest.approx(oracle["kendall_tau_b"])
    assert (found.top1, found.negative_recall) == (oracle["top1"], oracle["negative_recall"])
    assert found.normalised_l1 == pytest.approx(oracle["normalised_L1"])
    assert found.efficiency_gap == pytest.approx(oracle["efficiency_gap"], abs=1e-12)


@pytest.mark.parametrize("measure", [spearman, kendall_b, fidelity])
def test_without_scipy_it_is_said_what_to_install(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(SettingsError, match="need SciPy: pip install"):
        measure(PHI, PHI)
