"""The reward mix against a published vector and small numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from rewards.terms import total
from trainers.slots.advantages import decoupled, zscore
from trainers.slots.groups import step
from trainers.slots.mixing import MIXINGS, gdpo, summed
from trainers.slots.types import AdvantageSettings, Scored

NAN = float("nan")
PLAIN = AdvantageSettings()
COMPONENTS = {
    "eara": [0.2, 0.1, 0.4, 0.3],
    "fmt": [1, 1, 0, 1],
    "chunk": [0.6, 0.2, 0.6, 0.2],
    "comp": [0.9, 0.8, 0.9, 0.8],
}
WEIGHTS = {"eara": 1, "fmt": 1, "chunk": 0.5, "comp": 0.05}


def columns(components, weights=None):
    """One step of G rollouts per term, weights included as the wrappers do."""
    return {name: (weights or {}).get(name, 1) * np.array(row, float)[:, None] for name, row in components.items()}


def advantages(rewards, choice):
    group = Scored(rewards=rewards, outcomes=rewards.sum(axis=1))
    return choice([group], [step(group, PLAIN)], PLAIN)[0][:, 0]


def test_sum_and_gdpo_as_published():
    plain = summed(columns(COMPONENTS, WEIGHTS), {}, PLAIN)
    np.testing.assert_allclose(plain[:, 0], [1.545, 1.24, 0.745, 1.44])
    grpo = [0.852166626496, -0.00704269939253, -1.40149717911, 0.55637325201]
    np.testing.assert_allclose(advantages(plain, zscore), grpo, atol=1e-10)
    mixed = gdpo(columns(COMPONENTS), WEIGHTS, PLAIN)
    before = [0.589015012461, -1.13819835103, 0.138200351028, 0.410982987543]
    np.testing.assert_allclose(mixed[:, 0], before, atol=1e-10)
    # The batch's z-score is the advantage slot's.
    after = [0.754064723667, -1.4571364174, 0.176925897141, 0.526145796588]
    np.testing.assert_allclose(advantages(mixed, decoupled), after, atol=1e-10)


def test_gdpo_hardly_sees_the_weight_inside_a_term():
    exact = AdvantageSettings(eps=0.0)
    inside = gdpo(columns(COMPONENTS, WEIGHTS), WEIGHTS, exact)
    np.testing.assert_allclose(inside, gdpo(columns(COMPONENTS), WEIGHTS, exact))
    # Without weights every term counts 1.
    ones = dict.fromkeys(COMPONENTS, 1.0)
    np.testing.assert_array_equal(gdpo(columns(COMPONENTS), {}, PLAIN), gdpo(columns(COMPONENTS), ones, PLAIN))


def test_gdpo_normalises_each_step_by_itself():
    terms = {"a": np.array([[0, 0.5], [2, 0.5]]), "b": np.array([[0, 10], [0, 30.0]])}
    got = gdpo(terms, {"b": 3}, AdvantageSettings(ddof=0, eps=0.0))
    np.testing.assert_allclose(got, [[-1, -3], [1, 3]])


@pytest.mark.parametrize("name", MIXINGS)
def test_a_rollout_that_failed_in_one_term_leaves_all(name):
    evidence, fmt = np.array([[0.1, 0.4], [NAN, NAN], [0.3, 0.2]]), np.array([[1, 0], [50, 50], [0, 0.5]])
    got = MIXINGS[name]({"evidence": evidence, "format": fmt}, {}, PLAIN)
    assert np.isnan(got[1]).all()
    kept = MIXINGS[name]({"evidence": evidence[[0, 2]], "format": fmt[[0, 2]]}, {}, PLAIN)
    np.testing.assert_allclose(got[[0, 2]], kept)
    assert math.isclose(fmt[1, 0], 50)  # what came in stays as it was


@given(st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=4), min_size=1, max_size=5))
def test_sum_is_what_the_wrappers_paid_to_the_last_bit(rows):
    names = [f"term {i}" for i in range(len(rows))]
    paid = total({name: tuple(row) for name, row in zip(names, rows, strict=True)})
    terms = {name: np.array([row]) for name, row in zip(names, rows, strict=True)}
    assert tuple(summed(terms, dict.fromkeys(names, 3.0), PLAIN)[0]) == paid


@pytest.mark.parametrize("name", MIXINGS)
def test_what_cannot_be_mixed_is_refused(name):
    mix, one = MIXINGS[name], np.zeros((2, 3))
    with pytest.raises(SettingsError, match="at least one reward term"):
        mix({}, {}, PLAIN)
    with pytest.raises(SettingsError, match="Did you mean 'chunk'"):
        mix({"chunk": one}, {"chunks": 1.0}, PLAIN)
    with pytest.raises(SettingsError, match="finite"):
        mix({"chunk": one}, {"chunk": float("inf")}, PLAIN)
    with pytest.raises(SettingsError, match="one shape"):
        mix({"chunk": one, "format": np.zeros((2, 2))}, {}, PLAIN)
    with pytest.raises(SettingsError, match="same T"):
        mix({"chunk": [[1.0, 2.0], [1.0]]}, {}, PLAIN)
