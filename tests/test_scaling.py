"""ScaleRL's curve and BroRL's analysis against numbers worked out by hand and against autograd."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from trainers.scaling import (
    ScalingCurve,
    fit_sigmoid,
    learning_rate_for,
    positive_mass_change,
    sigmoid,
    unsampled_second_moment,
)

CURVE = ScalingCurve(R0=0.3, A=0.645, B=1.7, C_mid=8000.0)


def test_sigmoid():
    got = sigmoid([2000, 8000, 50000], CURVE)
    assert got == pytest.approx([0.329854457479, 0.4725, 0.630345456044], abs=1e-11)
    # Far out it neither overflows nor leaves the ends.
    assert sigmoid([1e-300, 1e300], CURVE) == pytest.approx([0.3, 0.645])
    with pytest.raises(SettingsError, match="above 0 and finite"):
        sigmoid([0.0], CURVE)


@settings(max_examples=40)
@given(
    st.floats(0, 0.4),
    st.floats(0.5, 1),
    st.floats(0.5, 4),
    st.floats(1, 1e5),
)
def test_the_fit_finds_the_curve_that_made_the_points(R0, A, B, C_mid):
    curve = ScalingCurve(R0, A, B, C_mid)
    compute = C_mid * np.geomspace(0.02, 20, 12)
    for fit in (fit_sigmoid(compute, sigmoid(compute, curve)), fit_sigmoid(compute, sigmoid(compute, curve), R0=R0)):
        np.testing.assert_allclose((fit.R0, fit.A), (R0, A), atol=1e-4)
        np.testing.assert_allclose((fit.B, fit.C_mid), (B, C_mid), rtol=1e-3)


def test_the_fit_bears_noise():
    compute = np.geomspace(500, 200_000, 30)
    noise = np.random.default_rng(0).normal(0, 0.02, 30)
    fit = fit_sigmoid(compute, sigmoid(compute, CURVE) + noise, R0=0.3)
    assert abs(fit.A - 0.645) < 0.02


def test_a_fit_that_ends_before_its_midpoint_warns():
    compute = np.geomspace(500, 6000, 10)
    with pytest.warns(UserWarning, match=r"not identified: its midpoint C_mid = 8e\+03 lies beyond the last point"):
        fit_sigmoid(compute, sigmoid(compute, CURVE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute = np.geomspace(500, 9000, 10)
        fit_sigmoid(compute, sigmoid(compute, CURVE))


def test_points_that_cannot_be_fitted_are_refused():
    with pytest.raises(SettingsError, match="at least 4 different computes"):
        fit_sigmoid([1, 2, 3, 3], [0.1, 0.2, 0.3, 0.3])
    with pytest.raises(SettingsError, match=r"got \(4,\) and \(3,\)"):
        fit_sigmoid([1, 2, 3, 4], [0.1, 0.2, 0.3])
    with pytest.raises(SettingsError, match="level line"):
        fit_sigmoid([1, 2, 3, 4], [0.5] * 4)
    with pytest.raises(SettingsError, match="finite"):
        fit_sigmoid([1, 2, 3, 4], [0.1, 0.2, float("nan"), 0.3])
    with pytest.raises(
        SettingsError, match="compute must be above 0 and finite; give the reward before training as R0"
    ):
        fit_sigmoid([0, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])


def test_the_learning_rate_grows_with_the_root_of_the_batch():
    assert learning_rate_for(65536, 1e-6, 8192) == pytest.approx(2.82842712475e-06, rel=1e-11)
    with pytest.raises(SettingsError, match="base_batch"):
        learning_rate_for(8, 1e-6, 0)


def test_unsampled_second_moment():
    assert unsampled_second_moment([0.1, 0.01], 16) == pytest.approx([0.00185302018885, 8.51457771095e-05], rel=1e-10)
    assert unsampled_second_moment([0.1, 0.01], 512) == pytest.approx([3.73391848741e-26, 5.82397676866e-07], rel=1e-10)


def test_unsampled_second_moment_is_the_mean_over_rollouts():
    rng, p = np.random.default_rng(0), np.array([0.6, 0.3, 0.1])
    draws = rng.choice(3, size=(20_000, 4), p=p)
    missed = np.array([(draws != k).all(axis=1) for k in range(3)]).T
    np.testing.assert_allclose((missed * p**2).mean(axis=0), unsampled_second_moment(p, 4), rtol=0.05)


P = [0.3, 0.1, 0.05, 0.25, 0.2, 0.1]
CORRECT = [True, True, True, False, False, False]
SAMPLED = [True, True, False, True, False, False]


def first_order(p, correct, sampled, learning_rate, rollouts, right, wrong):
    """The same change from autograd: an ascent step on the sampled reward, then the slope of the right choices' mass along it."""
    logits = torch.tensor(p, dtype=torch.float64).log().requires_grad_()
    policy, good = logits.softmax(0), torch.tensor(correct)
    rewards = (right * good.double() + wrong * (~good).double()) * torch.tensor(sampled)
    (step,) = torch.autograd.grad((policy * rewards).sum() * learning_rate / rollouts, logits, retain_graph=True)
    (slope,) = torch.autograd.grad((policy * good).sum(), logits)
    return (step * slope).sum().item()


def test_positive_mass_change():
    # (.04675 + .03234375 + .00316875) * .1 / 4: all three terms of the theorem.
    got = positive_mass_change(P, CORRECT, SAMPLED, learning_rate=0.1, rollouts=4)
    assert got == pytest.approx(0.0020565625, abs=1e-12)
    assert first_order(P, CORRECT, SAMPLED, 0.1, 4, 1.0, -1.0) == pytest.approx(0.0020565625, abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.booleans(), st.booleans()), min_size=2, max_size=8),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_positive_mass_change_is_the_first_order_change_of_the_softmax(choices, right, wrong):
    weights, correct, sampled = (list(x) for x in zip(*choices, strict=True))
    p = np.array(weights) / sum(weights)
    got = positive_mass_change(p, correct, sampled, 0.1, 4, right, wrong)
    assert got == pytest.approx(first_order(p, correct, sampled, 0.1, 4, right, wrong), abs=1e-12)


def test_analysis_refuses_what_is_no_distribution():
    with pytest.raises(SettingsError, match="first sum to 1"):
        positive_mass_change([0.5, 0.4], [True, False], [True, True], 0.1, 4)
    with pytest.raises(SettingsError, match=r"\(2,\), \(3,\)"):
        positive_mass_change([0.5, 0.5], [True, False, True], [True, True], 0.1, 4)
    with pytest.raises(SettingsError, match=r"in \[0, 1\]"):
        unsampled_second_moment([1.5], 4)
    with pytest.raises(SettingsError, match="rollouts must be at least 1"):
        unsampled_second_moment([0.5], 0)
