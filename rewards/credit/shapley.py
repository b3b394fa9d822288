"""Solutions of a cooperative game given by its value function v: frozenset of players -> float.

* `exact_shapley` - all 2^n coalitions.
* `permutation_shapley` - antithetic permutation sampling, with a standard error.
* `leave_one_out` - what is lost without each player.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import SettingsError, whole

Value = Callable[[frozenset[int]], float]
Array = NDArray[np.float64]
MOST_EXACT = 20
"""Players beyond which enumeration is refused: a million coalitions."""


class Estimate(NamedTuple):
    """A sampled solution."""

    values: Array
    """(n,) float64."""
    errors: Array
    """(n,) standard errors; NaN where a single sample says nothing about them."""


def exact_shapley(value: Value, players: Sequence[int]) -> Array:
    """Shapley values: phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).

    Args:
        value: v; called once per coalition, 2^n times.
        players: n different players.

    Returns:
        (n,) float64 in the order of ``players``; they sum to v(all) - v(empty).

    Raises:
        SettingsError: more than `MOST_EXACT` players, or one of them twice.

    Source: Shapley, "A value for n-person games" (1953).
    """
    n = _count(players)
    if n > MOST_EXACT:
        raise SettingsError(f"{n} players are 2^{n} coalitions; sample permutations instead (permutation_shapley)")
    # The first player is the highest bit, so that coalitions asked in a row begin alike, which a replay profits from.
    bits = [1 << (n - 1 - i) for i in range(n)]
    members = list(zip(players, bits, strict=True))
    worth = np.array([value(frozenset(p for p, bit in members if mask & bit)) for mask in range(1 << n)])
    masks = np.arange(1 << n)
    sizes = np.array([mask.bit_count() for mask in range(1 << n)])
    weight = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    phi = np.zeros(n)
    for i, bit in enumerate(bits):
        without = masks[masks & bit == 0]
        phi[i] = np.sum(weight[sizes[without]] * (worth[without | bit] - worth[without]))
    return phi


def permutation_shapley(value: Value, players: Sequence[int], permutations: int = 32, seed: int = 0) -> Estimate:
    """Shapley values from sampled orders of arrival, in pairs of an order and its reverse.

    Efficiency holds for every sample: the values sum to v(all) - v(empty).

    Args:
        value: v; called at most ``permutations * n`` times.
        players: n different players.
        permutations: orders; an even number, because they come in antithetic pairs.
        seed: decides the orders.

    Returns:
        The estimate. A pair is one sample of the standard error, so one pair alone has none.

    Raises:
        SettingsError: ``permutations`` is no positive even number, or a player comes twice.

    Source: Castro et al., "Polynomial calculation of the Shapley value based on sampling" (2009); antithetic pairs: Mitchell
    et al., arXiv 2104.12199.
    """
    if whole("permutations", permutations, 2) % 2:
        raise SettingsError(f"permutations come in pairs: give a positive even number, got {permutations}")
    n = _count(players)
    known: dict[int, float] = {}  # by the bits of the places in ``players``: small, however many players there are

    def worth(mask: int) -> float:
        if mask not in known:
            known[mask] = value(frozenset(player for i, player in enumerate(players) if mask >> i & 1))
        return known[mask]

    rng = np.random.default_rng(seed)
    pairs = np.zeros((permutations // 2, n))
    for row in pairs:
        order = rng.permutation(n)
        for direction in (order, order[::-1]):
            coalition = 0
            for i in direction.tolist():
                grown = coalition | 1 << i
                row[i] += (worth(grown) - worth(coalition)) / 2
                coalition = grown
    errors = np.full(n, np.nan)
    if len(pairs) > 1:
        errors = pairs.std(axis=0, ddof=1) / math.sqrt(len(pairs))
    return Estimate(pairs.mean(axis=0), errors)


def _count(players: Sequence[int]) -> int:
    if len(set(players)) < len(players):
        raise SettingsError(f"players must be different, got {list(players)}")
    return len(players)


def leave_one_out(value: Value, players: Sequence[int]) -> Array:
    """v(all) - v(all without i) for each player, (n,) float64. Two players that can replace each other both get 0.

    Raises:
        SettingsError: a player comes twice.
    """
    _count(players)
    everyone = frozenset(players)
    total = value(everyone)
    return np.array([total - value(everyone - {player}) for player in players])
