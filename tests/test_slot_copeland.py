"""The pairwise judge: wins over comparisons, and control of length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_answers import judged

from memenvs.errors import ScorerError
from trainers.advantages import group_advantages
from trainers.slots import copeland
from trainers.slots.copeland import CopelandJudge

NAN = float("nan")
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
