"""Solutions of games against their definitions: sums over all orders, the axioms, games worked out by hand."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from rewards.credit import exact_shapley, leave_one_out, permutation_shapley

EACH = [exact_shapley, lambda value, players: permutation_shapley(value, players).values, leave_one_out]


def subsets(players):
    return [frozenset(c) for size in range(len(players) + 1) for c in itertools.combinations(players, size)]


def by_definition(value, players):
    """The mean over all n! orders of what each player adds on arrival."""
    phi = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        for place, player in enumerate(order):
            phi[player] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return [phi[player] / math.factorial(len(players)) for player in players]


@st.composite
def games(draw, most=6, sizes=st.floats(-1, 1)):
    """Players with any names, and the worth of each coalition; that of nobody need not be 0."""
    players = draw(st.lists(st.integers(-50, 50), unique=True, max_size=most))
    coalitions = subsets(players)
    worth = draw(st.lists(sizes, min_size=len(coalitions), max_size=len(coalitions)))
    return players, dict(zip(coalitions, worth, strict=True)).__getitem__


def interactions(n, rng):
    """What players add alone and in pairs, and the game that sums it up."""
    singles, pairs = rng.normal(size=n), np.triu(rng.normal(size=(n, n)), 1)
    return singles, pairs, lambda s: sum(singles[i] + sum(pairs[i, j] for j in s) for i in s)


@settings(max_examples=60)
@given(games())
def test_exact_values_are_the_mean_over_all_orders(game):
    players, value = game
    np.testing.assert_allclose(exact_shapley(value, players), by_definition(value, players), atol=1e-12)


@settings(max_examples=60)
@given(games(), st.integers(1, 4), st.integers(0, 9))
def test_all_the_worth_is_shared_out_exactly_and_in_every_sample(game, pairs, seed):
    players, value = game
    total = value(frozenset(players)) - value(frozenset()) if players else 0.0
    assert exact_shapley(value, players).sum() == pytest.approx(total, abs=1e-12)
    assert permutation_shapley(value, players, 2 * pairs, seed).values.sum() == pytest.approx(total, abs=1e-12)


@settings(max_examples=60)
@given(games(5), st.integers(51, 60))
def test_a_player_who_adds_nothing_gets_nothing_and_changes_nothing(game, idle):
    players, value = game
    for solve in EACH:
        found = solve(lambda steps: value(steps - {idle}), [*players, idle])
        assert found[-1] == 0
        if solve is not EACH[1]:  # a sample's orders depend on the number of players
            np.testing.assert_allclose(found[:-1], solve(value, players), atol=1e-12)


@settings(max_examples=60)
@given(games(5), st.integers(51, 60), st.integers(61, 70))
def test_players_that_can_stand_for_each_other_get_the_same(game, one, other):
    players, value = game
    extra = {0: 0.0, 1: 0.25, 2: 1.0}

    def symmetric(steps):
        twins = len(steps & {one, other})
        return value(steps - {one, other}) * (1 + twins) + extra[twins]

    *_, first, second = exact_shapley(symmetric, [*players, one, other])
    assert first == pytest.approx(second, abs=1e-12)
    *_, first, second = leave_one_out(symmetric, [*players, one, other])
    assert first == second


@settings(max_examples=60)
@given(games(5), st.data())
def test_solutions_of_a_sum_are_sums_of_solutions(game, data):
    players, value = game
    other = {c: data.draw(st.floats(-1, 1)) for c in subsets(players)}
    for solve in EACH:
        together = solve(lambda steps: 2 * value(steps) + other[steps], players)
        np.testing.assert_allclose(together, 2 * solve(value, players) + solve(other.__getitem__, players), atol=1e-12)


@given(games(5))
def test_the_order_of_the_players_only_orders_the_values(game):
    players, value = game
    np.testing.assert_allclose(exact_shapley(value, players[::-1])[::-1], exact_shapley(value, players), atol=1e-12)


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(0, 99))
def test_additive_games_are_solved_by_one_pair_of_orders_whatever_their_size(gains, seed):
    found = permutation_shapley(lambda steps: 3.0 + sum(gains[i] for i in sorted(steps)), range(len(gains)), 2, seed)
    np.testing.assert_allclose(found.values, gains, atol=1e-9)
    assert np.isnan(found.errors).all()


@pytest.mark.parametrize("seed", range(3))
def test_interactions_of_pairs_are_solved_by_one_pair_of_orders(seed):
    # Of two players each comes second in one of the two orders, so that the pair halves what they add together.
    singles, pairs, value = interactions(9, np.random.default_rng(seed))
    expected = singles + (pairs + pairs.T).sum(axis=0) / 2
    np.testing.assert_allclose(permutation_shapley(value, range(9), 2, seed).values, expected, atol=1e-12)
    errors = permutation_shapley(value, range(9), 8, seed).errors
    np.testing.assert_allclose(errors, 0, atol=1e-12)


def quorum(steps):
    """Any four of seven steps answer the question: 1/7 each."""
    return float(len(steps) >= 4)


def haphazard(steps):
    """Five players, a number out of a hat for each coalition: interactions of all orders."""
    return HAT[sum(1 << i for i in steps)]


HAT = np.random.default_rng(0).normal(size=32)


def test_more_permutations_come_nearer():
    distances = [np.abs(permutation_shapley(quorum, range(7), n).values - 1 / 7).max() for n in (4, 100, 4000)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.015


def test_the_standard_error_says_how_far_off_a_sample_is():
    exact = exact_shapley(haphazard, range(5))
    runs = [permutation_shapley(haphazard, range(5), 100, seed) for seed in range(300)]
    values, errors = (np.array([getattr(found, name) for found in runs]) for name in ("values", "errors"))
    np.testing.assert_allclose(errors.mean(axis=0), values.std(axis=0), rtol=0.1)
    covered = (np.abs(values - exact) <= 1.96 * errors).mean(axis=0)
    assert ((covered > 0.9) & (covered < 0.99)).all()


def test_the_standard_error_is_that_of_the_mean_over_pairs():
    # Three players of whom 0 decides alone once anybody has come before him: each pair of orders gives him 1/2 or 1.
    def value(steps):
        return float(0 in steps and len(steps) > 1)

    found = permutation_shapley(value, [0, 1, 2], 6, seed=1)
    rng = np.random.default_rng(1)
    samples = [1.0 if rng.permutation(3)[1] == 0 else 0.5 for _ in range(3)]
    assert set(samples) == {0.5, 1.0}
    assert found.values[0] == pytest.approx(np.mean(samples))
    assert found.errors[0] == pytest.approx(np.std(samples, ddof=1) / math.sqrt(3))


def test_each_coalition_is_asked_once():
    asked = []

    def value(steps):
        asked.append(steps)
        return 0.0

    exact_shapley(value, range(6))
    assert sorted(map(sorted, asked)) == sorted(map(sorted, subsets(range(6))))
    asked.clear()
    permutation_shapley(value, range(6), 200)
    assert len(asked) == len(set(asked)) <= 64


def test_the_same_seed_gives_the_same_sample():
    first, again, other = (permutation_shapley(haphazard, range(5), 4, seed) for seed in (3, 3, 4))
    assert first.values.tolist() == again.values.tolist() != other.values.tolist()


# Credit vectors 60: v, exact values, leave-one-out. Steps are counted from 1 there.
STALE = ({(2,), (2, 3), (1, 2, 3)}, [-1 / 6, 5 / 6, 1 / 3], [0, 1, 1])
DUPLICATES = ({(1,), (2,), (1, 2), (1, 3), (2, 3), (1, 2, 3)}, [1 / 2, 1 / 2, 0], [0, 0, 0])


@pytest.mark.parametrize(("winning", "shapley", "loo"), [STALE, DUPLICATES])
def test_games_of_three_steps(winning, shapley, loo):
    def value(steps):
        return float(tuple(sorted(steps)) in winning)

    np.testing.assert_allclose(exact_shapley(value, [1, 2, 3]), shapley, atol=1e-12)
    np.testing.assert_allclose(leave_one_out(value, [1, 2, 3]), loo, atol=1e-12)


def test_two_hops_among_distractors():
    def value(steps):
        return float({1, 2} <= steps)

    np.testing.assert_allclose(exact_shapley(value, [1, 2, 3, 4, 5]), [0.5, 0.5, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(leave_one_out(value, [1, 2, 3, 4, 5]), [1, 1, 0, 0, 0], atol=1e-12)


def test_shared_vectors(shared):
    oracle = json.loads((shared / "oracles/rl/60_credit_ground_truth.json").read_text())["A_delete_and_stale"]
    table = {frozenset(json.loads(steps)): float(worth) for steps, worth in oracle["v"].items()}
    expected = [np.divide(*map(int, oracle["shapley"][i].split("/"))) for i in "123"]
    np.testing.assert_allclose(exact_shapley(table.__getitem__, [1, 2, 3]), expected, atol=1e-12)
    loo = [float(oracle["LOO_step"][i]) for i in "123"]
    np.testing.assert_allclose(leave_one_out(table.__getitem__, [1, 2, 3]), loo, atol=1e-12)


@pytest.mark.parametrize("solve", EACH)
def test_a_failure_is_never_a_zero(solve):
    found = solve(lambda steps: float("nan") if 2 in steps else 1.0, [1, 2])
    assert np.isnan(found).all()


@pytest.mark.parametrize("permutations", [0, -2, 1, 7, 2.0, True, "8"])
def test_permutations_come_in_pairs(permutations):
    with pytest.raises(SettingsError, match="permutations (come in pairs|must be)"):
        permutation_shapley(quorum, range(7), permutations)


@pytest.mark.parametrize("solve", EACH)
def test_a_player_who_comes_twice_is_refused(solve):
    with pytest.raises(SettingsError, match=r"players must be different, got \[1, 2, 1\]"):
        solve(quorum, [1, 2, 1])


def test_too_many_players_are_sampled_instead():
    with pytest.raises(SettingsError, match=r"21 players are 2\^21 coalitions; .*permutation_shapley"):
        exact_shapley(quorum, range(21))
    assert permutation_shapley(quorum, range(21), 2).values.sum() == 1
