"""Rank correlations over methods between what was measured and what was learned."""

import numpy as np
import pytest

from trainers.reward_bench.cells import MIXED_ENV, Cell
from trainers.reward_bench.prediction import (
    Draws,
    learned,
    measures,
    permutation_p,
    predict,
    weighted_correlations,
    weighted_means,
)


def rng():
    return np.random.default_rng(0)


def sure(*values):
    """Numbers that no resampling changes."""
    return Draws(np.array(values), np.tile(values, (50, 1)))


def test_the_same_order_predicts_and_the_opposite_one_predicts_the_opposite():
    assert predict(sure(1.0, 2.0, 3.0, 9.0), sure(0.1, 0.2, 0.3, 0.4))[:3] == pytest.approx((1, 1, 1))
    assert predict(sure(1.0, 2.0, 3.0, 9.0), sure(0.4, 0.3, 0.2, 0.1))[:3] == pytest.approx((-1, -1, -1))
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15).
    assert predict(sure(1.0, 2.0, 3.0, 4.0), sure(0.2, 0.1, 0.4, 0.3)).spearman == pytest.approx(0.6)


def test_a_measure_that_is_equal_for_all_predicts_nothing():
    found = predict(sure(0.5, 0.5, 0.5), sure(0.1, 0.2, 0.3))
    assert found[:3] == (0, 0, 0)
    assert np.isnan(found.p)


def test_p_values_count_orders():
    # Of the 24 orders of four, only the own one and its reverse correlate with +-1.
    assert predict(sure(1.0, 2.0, 3.0, 9.0), sure(0.1, 0.2, 0.3, 0.4)).p == pytest.approx(2 / 24)
    # |rho| >= .8 of four ranks: sum of squared differences 0 or 2 (1 + 3 orders), or 18 or 20 (3 + 1).
    assert predict(sure(1.0, 2.0, 3.0, 4.0), sure(0.1, 0.2, 0.4, 0.3)).p == pytest.approx(8 / 24)
    # Two equal methods: 3 distinct orders of (1, 2.5, 2.5), correlations sqrt(3)/2, 0 and -sqrt(3)/2 against 1 2 3.
    assert predict(sure(1.0, 2.0, 3.0), sure(0.1, 0.2, 0.2)).p == pytest.approx(2 / 3)


def test_p_values_of_many_methods_are_drawn_with_a_seed():
    x, y = np.arange(14.0), np.array([3, 0, 1, 7, 2, 5, 4, 6, 12, 9, 8, 13, 10, 11.0])
    assert permutation_p(x, x) == 1 / 100_000
    first = permutation_p(x, y, seed=1)
    assert first == permutation_p(x, y, seed=1)
    # Drawn orders against all of them: nine methods are drawn, and their share is a mean of 99,999.
    nine = np.array([2, 0, 1, 4, 3, 8, 5, 7, 6.0])
    assert permutation_p(np.arange(9.0), nine, seed=2) == pytest.approx(0.01077, abs=0.0015)


def test_an_uncertain_order_widens_the_interval():
    swapped = Draws(np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]] * 25))
    assert predict(swapped, sure(0.1, 0.2, 0.3))[:3] == pytest.approx((1, -1, 1))


def test_means_leave_out_what_is_unknown_and_share_their_episodes():
    table = [[1.0, np.nan, 3.0, 5.0], [2.0, 4.0, 4.0, 6.0]]
    found = weighted_means(table, 500, rng())
    assert found.value == pytest.approx([3, 4])
    # A method that is always one better stays so in every resample.
    shifted = weighted_means([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], 500, rng())
    assert shifted.resampled[:, 1] - shifted.resampled[:, 0] == pytest.approx(np.ones(500))
    assert shifted.resampled[:, 0].std() == pytest.approx((2 / 3 / 3) ** 0.5, rel=0.1)  # sqrt(variance / n)


def test_correlations_pool_groups():
    pairs = [[[[0, 0], [1, 1]], [[2, 3]]], [[[0, 1], [1, 0]], [[2, 0]]]]
    found = weighted_correlations(pairs, 100, rng())
    expected = [np.corrcoef([0, 1, 2], y)[0, 1] for y in ([0, 1, 3], [1, 0, 0])]
    assert found.value == pytest.approx(expected)
    assert found.resampled.shape == (100, 2)


def test_what_was_learned_varies_with_seeds_and_streams():
    same = learned(np.full((2, 3, 4), 0.5), 100, rng())
    assert same.resampled == pytest.approx(np.full((100, 2), 0.5))
    seeds = np.array([[[0.0] * 4, [1.0] * 4], [[0.0, 1.0] * 2] * 2])
    found = learned(seeds, 2000, rng())
    assert found.value == pytest.approx([0.5, 0.5])
    assert found.resampled.std(axis=0) == pytest.approx([0.125**0.5, 0.0625**0.5], rel=0.1)
    unknown = learned(np.array([[[0.2, np.nan]]]), 200, rng())
    assert unknown.value == pytest.approx([0.2])


def episode(stream, one, other, **both):
    cell = Cell("attribution", "builtin", MIXED_ENV, "mixed", "clean", 5, stream)
    rest = dict.fromkeys(("kendall_b", "top1", "negative_recall", "linear_datamodelling", "efficiency_gap"), 0.0)
    entries = {
        name: rest | {"credit": [0.0], "spearman": 0.0, "normalised_l1": 0.0, "degenerate": False} | values
        for name, values in (("one", one), ("other", other))
    }
    return cell, {"flat": False, "methods": entries} | both


def test_measures_are_taken_where_all_methods_served_and_point_upwards():
    results = [
        episode(0, {"spearman": 0.5, "normalised_l1": 0.2}, {"spearman": 0.1, "normalised_l1": 0.6}),
        episode(1, {"spearman": 0.7, "normalised_l1": 0.4}, {"spearman": 0.3, "normalised_l1": 0.6}),
        episode(2, {"spearman": 9.0}, {}, flat=True),
        episode(3, {"spearman": 9.0}, {}, failure="gone"),
    ]
    unserved = episode(4, {"spearman": 9.0}, {})
    del unserved[1]["methods"]["other"]["credit"]
    results[3] = results[3][0], {"failure": "the reader is gone"}
    found = measures(["one", "other"], [*results, unserved], 10, rng())
    assert found["spearman"].value == pytest.approx([0.6, 0.2])
    assert found["normalised_l1"].value == pytest.approx([-0.3, -0.6])
    assert "advantage" not in found
