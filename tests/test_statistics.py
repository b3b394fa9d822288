import numpy as np
import pytest

from trainers.statistics import bootstrap, bootstrap_pearson, episodes_to_reach


def test_mean_and_interval_of_known_scores():
    scores = np.array([[0.0, 1.0] * 50])
    interval = bootstrap(scores)
    assert interval.mean == 0.5
    # The standard error of 100 fair coins is .05: the interval is about .5 +- .098.
    assert interval.low == pytest.approx(0.402, abs=0.02)
    assert interval.high == pytest.approx(0.598, abs=0.02)


def test_seeds_that_disagree_widen_the_interval():
    agree = bootstrap(np.full((4, 50), 0.5))
    disagree = bootstrap(np.repeat([[0.2], [0.4], [0.6], [0.8]], 50, axis=1))
    assert agree.high - agree.low == 0
    assert disagree.high - disagree.low > 0.3


def test_failed_episodes_are_left_out_and_not_zero():
    assert bootstrap([0.8, float("nan"), 0.8]).mean == pytest.approx(0.8)


def test_the_same_table_gives_the_same_interval():
    scores = np.random.default_rng(3).random((3, 20))
    assert bootstrap(scores) == bootstrap(scores)


@pytest.mark.parametrize(("level", "expected"), [(0.1, 100.0), (0.3, 150.0), (0.4, 200.0), (0.6, 300.0), (0.7, None)])
def test_first_crossing_is_interpolated(level, expected):
    # The curve rises from .2 to .4 to .6; a dip afterwards does not matter.
    curve = [(100, 0.2), (200, 0.4), (300, 0.6), (400, 0.3)]
    assert episodes_to_reach(curve, level) == (None if expected is None else pytest.approx(expected))


def test_pooled_correlation_is_that_of_all_pairs_together():
    groups = [[[0.0, 1.0], [1.0, 3.0]], [[2.0, 2.0]], [[4.0, 9.0], [5.0, 8.0]]]
    found = bootstrap_pearson(groups)
    x, y = [0, 1, 2, 4, 5], [1, 3, 2, 9, 8]
    assert found.mean == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.low <= found.mean <= found.high


def test_groups_are_resampled_whole():
    # Within each group the correlation is perfect, and all groups are alike: nothing to be unsure of.
    same = bootstrap_pearson([[[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]] * 5)
    assert same == pytest.approx((1.0, 1.0, 1.0))
    # One of two groups speaks against the other: a resample may hold the same one twice.
    torn = bootstrap_pearson([[[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert torn == pytest.approx((0.0, -1.0, 1.0))


def test_a_constant_side_correlates_with_nothing_and_no_pairs_with_nothing_known():
    assert bootstrap_pearson([[[0.3, 1.0], [0.3, 2.0]], [[0.3, 5.0]]]) == (0.0, 0.0, 0.0)
    assert np.isnan(bootstrap_pearson([[], []]).mean)


def test_groups_are_pooled_before_they_are_correlated():
    first, second = np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([[1.0, -3.0], [-1.0, 3.0]])
    # Sums over the four pairs: xy 1 + 1 - 3 - 3 = -4, xx 4, yy 20.
    assert bootstrap_pearson([first, second]).mean == pytest.approx(-4 / 80**0.5)
    assert bootstrap_pearson([first, second, np.empty((0, 2))]).mean == pytest.approx(-4 / 80**0.5)
