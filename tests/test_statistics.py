import numpy as np
import pytest

from trainers.statistics import bootstrap, episodes_to_reach


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
