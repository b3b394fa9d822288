"""The LASSO surrogate: weights by hand, and additive games found again."""

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr
from tiny_episodes import KeyReader, play

from memenvs.errors import ReaderError, SettingsError
from rewards.credit.coalitions import sample_coalitions
from rewards.credit.surrogate import lasso, surrogate_weights


def test_weights_of_a_balanced_design_by_hand():
    # All four coalitions of two players, v = .1 + .6 a + .2 b. Standardised columns are -1 and 1 and orthogonal, so the LASSO
    # shrinks v'z / n = .3 and .1 by alpha; divided by the deviation 1/2 that is .58 and .18. b = mean - w . 1/2 = .5 - .38.
    masks = np.array(list(itertools.product([False, True], repeat=2)))
    weights, intercept = surrogate_weights(masks, 0.1 + masks @ [0.6, 0.2], alpha=0.01)
    assert weights == pytest.approx([0.58, 0.18])
    assert intercept == pytest.approx(0.12)
    # A weight below alpha / (1/2) goes to exactly 0, from either side.
    weights, _ = surrogate_weights(masks, masks @ [0.6, -0.02], alpha=0.011)
    assert weights == pytest.approx([0.578, 0.0])
    assert weights[1] == 0.0


def test_a_player_in_every_coalition_gets_nothing():
    masks = np.array([[1, 0], [1, 1], [1, 0], [1, 1]])
    weights, intercept = surrogate_weights(masks, [0.0, 1.0, 0.0, 1.0])
    assert weights == pytest.approx([0.0, 0.98])
    assert intercept == pytest.approx(0.01)


def test_an_additive_game_is_found_again_in_rank_and_sign():
    true = np.array([0.5, -0.4, 0.3, -0.2, 0.1, 0.06])
    sampled = sample_coalitions(lambda s: 0.4 + sum(true[i] for i in s), range(6), samples=64, seed=3)
    found, _ = surrogate_weights(*sampled)
    assert np.sign(found).tolist() == np.sign(true).tolist()
    assert spearmanr(found, true).statistic == pytest.approx(1.0)
    assert np.abs(found - true).max() < 0.05


def test_coalitions_keep_players_independently_with_the_given_probability():
    masks, values = sample_coalitions(lambda s: float(len(s)), [3, 5, 9], samples=4000, keep=0.25)
    assert masks.mean(axis=0) == pytest.approx([0.25] * 3, abs=0.03)
    assert (masks[:, 0] & masks[:, 1]).mean() == pytest.approx(0.0625, abs=0.02)
    assert (values == masks.sum(axis=1)).all()
    seen = []
    sample_coalitions(lambda s: float(seen.append(s) is None), [3, 5, 9], samples=30)
    assert frozenset().union(*seen) == {3, 5, 9}


def test_steps_earn_the_share_of_questions_that_they_answer():
    # v(S) = (2 [0 in S] + [2 in S]) / 4: steps 0, 2 answer two and one of four questions; step 1 writes what nobody asks for and
    # step 3 nothing.
    messages = [
        [("INSERT", "a 1"), ("INSERT", "b 2")],
        [("INSERT", "noise here")],
        [("INSERT", "c 3")],
        [("SKIP",)],
    ]
    record = play(messages, {"a": "1", "b": "2", "c": "3", "d": "4"})
    assert record.r_global == 0.75
    credit = lasso(record, KeyReader())
    # Each weight loses about alpha / deviation = .02.
    assert credit == pytest.approx((0.48, 0.0, 0.23, 0.0), abs=0.02)
    assert credit[1] == credit[3] == 0.0
    assert lasso(record, KeyReader()) == credit
    assert lasso(record, KeyReader(), seed=1) != credit


def test_an_episode_without_a_write_earns_nothing():
    assert lasso(play([[("SKIP",)], "nonsense"], {"a": "1"}), KeyReader()) == (0.0, 0.0)


def test_a_step_that_spoils_the_memory_gets_a_negative_weight():
    record = play([[("INSERT", "a 1")], [("INSERT", "b 2")], [("UPDATE", "0.0", "a wrong")]], {"a": "1", "b": "2"})
    credit = lasso(record, KeyReader())
    assert credit[0] > 0.1
    assert credit[1] > 0.4
    assert credit[2] < -0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"masks": 1}, "samples must be at least 2, got 1"),
        ({"keep": 1.0}, "keep must be a probability between 0 and 1"),
        ({"alpha": 0.0}, "alpha must be above 0, got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        lasso(play([[("INSERT", "a 1")]], {"a": "1"}), KeyReader(), **settings)


def test_a_failed_episode_is_refused():
    with pytest.raises(ReaderError):
        lasso(play([[("INSERT", "a 1")]], {"a": "1"}, fails=True), KeyReader())
