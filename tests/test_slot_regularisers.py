"""The regulariser slot against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from memenvs.errors import SettingsError
from trainers.slots.regularisers import REGULARISERS, ReferenceResets, RegulariserSettings, adrpo, kl_k3, none

NAN, INF = float("nan"), float("inf")
KLS = ("kl_k1", "kl_k2", "kl_k3")
MASK = torch.tensor([[True, True, False], [True, True, True]])


def table(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def penalty(name, new, reference, advantage=0.0, **settings):
    mask = torch.ones(1, 1, dtype=torch.bool)
    arguments = (table([new]), table([reference]), table([advantage]), mask, RegulariserSettings(**settings))
    return REGULARISERS[name](*arguments).item()


def test_estimates_of_the_kl():
    # log reference - log new = -.2: .2, .02, e^-.2 + .2 - 1.
    assert penalty("kl_k1", -1.0, -1.2, beta=1.0) == pytest.approx(0.2)
    assert penalty("kl_k2", -1.0, -1.2, beta=1.0) == pytest.approx(0.02)
    assert penalty("kl_k3", -1.0, -1.2, beta=1.0) == pytest.approx(0.018730753078, abs=1e-12)
    assert penalty("kl_k3", -1.0, -1.2, beta=0.04) == pytest.approx(0.04 * 0.018730753078, abs=1e-12)


def distributions():
    reference = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    logits = torch.tensor([0.1, -0.4, 0.7], dtype=torch.float64, requires_grad=True)
    return logits, logits.log_softmax(0), reference.log()


@pytest.mark.parametrize("name", ["kl_k1", "kl_k3"])
def test_k1_and_k3_have_the_mean_of_the_kl(name):
    _, new, reference = distributions()
    mask, settings = torch.ones(1, 3, dtype=torch.bool), RegulariserSettings(beta=1.0)
    estimates = REGULARISERS[name](new[None], reference[None], torch.zeros(1, 1), mask, settings)
    assert (new.exp() * estimates).sum().item() == pytest.approx((new.exp() * (new - reference)).sum().item())


@pytest.mark.parametrize("name", KLS)
def test_the_mean_gradient_of_each_estimate(name):
    # Samples weigh by the policy's probabilities, which are constants for the sampled loss.
    logits, new, reference = distributions()
    policy = new.exp().detach()
    mask, settings = torch.ones(1, 3, dtype=torch.bool), RegulariserSettings(beta=1.0)
    estimates = REGULARISERS[name](new[None], reference[None], torch.zeros(1, 1), mask, settings)
    (got,) = torch.autograd.grad((policy * estimates).sum(), logits, retain_graph=True)
    objective = {
        "kl_k1": 0.0 * new.sum(),
        "kl_k2": (new.exp() * (new - reference)).sum(),
        "kl_k3": (reference.exp() * (reference - new)).sum(),
    }[name]
    (expected,) = torch.autograd.grad(objective, logits)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("estimator", ["k1", "k2"])
def test_adrpo_frees_good_samples_and_holds_bad_ones(estimator):
    # KL .2 each: k1 with new - reference = .2, k2 with half its square.
    new = table([0.2, 0.2, 0.2]) if estimator == "k1" else table([math.sqrt(0.4)] * 3)
    mask, advantages = torch.ones(1, 3, dtype=torch.bool), table([1.0, 0.0, -1.0])
    reference = torch.zeros_like(new)
    got = adrpo(new, reference, advantages, mask, RegulariserSettings(beta=0.04, estimator=estimator))
    assert got.tolist()[0] == pytest.approx([-0.192, 0.008, 0.208])
    clamped = RegulariserSettings(beta=0.04, estimator=estimator, clamp=True)
    assert adrpo(new, reference, advantages, mask, clamped).tolist()[0] == pytest.approx([0, 0.008, 0.208])


def test_adrpo_without_advantage_is_the_kl():
    new, reference = table([-1.0, -0.3, 0.0], [-2.0, -0.1, -0.9]), table([-1.2, -0.6, 0.0], [-1.0, -0.4, -0.8])
    settings = RegulariserSettings(beta=0.04)
    got = adrpo(new, reference, torch.zeros(2, 1, dtype=torch.float64), MASK, settings)
    torch.testing.assert_close(got, kl_k3(new, reference, torch.zeros(2, 1), MASK, settings))


def test_no_regulariser_needs_no_reference():
    got = none(table([-1.0, -2.0, -3.0], [-1.0, NAN, INF]), None, torch.ones(2, 1), MASK, RegulariserSettings(beta=1.0))
    assert got.tolist() == [[0, 0, 0], [0, 0, 0]]


finite = st.floats(-8, 8, allow_subnormal=False)
tables = st.lists(st.lists(finite, min_size=3, max_size=3), min_size=2, max_size=2).map(lambda x: table(*x))


@given(tables, tables, tables, st.sampled_from([NAN, INF, -INF, 1e300, -700.0]), st.sampled_from([*KLS, "adrpo"]))
def test_what_is_masked_changes_neither_value_nor_gradient(new, reference, advantages, junk, name):
    def run(fill):
        given_new, given_reference, weights = (x.masked_fill(~MASK, fill) for x in (new, reference, advantages))
        given_new.requires_grad_()
        got = REGULARISERS[name](given_new, given_reference, weights, MASK, RegulariserSettings(beta=0.1))
        got.sum().backward()
        return got.detach(), given_new.grad

    value, slope = run(junk)
    clean_value, clean_slope = run(0.0)
    assert torch.equal(value, clean_value)
    assert torch.equal(slope, clean_slope)
    assert not value[~MASK].any()
    assert not slope[~MASK].any()


@given(tables, tables)
def test_k2_and_k3_are_never_negative_and_zero_at_the_reference(new, reference):
    for name in ("kl_k2", "kl_k3"):
        settings = RegulariserSettings(beta=1.0)
        assert (REGULARISERS[name](new, reference, torch.zeros(2, 1), MASK, settings) >= -1e-12).all()
        assert not REGULARISERS[name](new, new, torch.zeros(2, 1), MASK, settings).any()


@pytest.mark.parametrize("name", [*KLS, "adrpo"])
def test_gradients_agree_with_finite_differences_and_reach_new_alone(name):
    new, reference = table([-1.0, -0.3, 0.0], [-2.0, -0.1, -0.9]), table([-1.2, -0.6, 0.0], [-1.0, -0.4, -0.8])
    settings, advantages = RegulariserSettings(beta=0.5), table([1.0], [-1.0])
    assert gradcheck(
        lambda x: REGULARISERS[name](x, reference, advantages, MASK, settings), (new.clone().requires_grad_(),)
    )
    leaves = [x.clone().requires_grad_() for x in (new, reference, advantages)]
    REGULARISERS[name](*leaves, MASK, settings).sum().backward()
    assert leaves[0].grad.any()
    assert [x.grad for x in leaves[1:]] == [None, None]


def test_k3_of_a_token_given_up_is_finite_and_never_pushes_it_further():
    new = torch.tensor([[-500.0, -19.0, 0.0]], requires_grad=True)
    mask = torch.ones(1, 3, dtype=torch.bool)
    got = kl_k3(new, torch.tensor([[0.0, 0.0, -500.0]]), torch.zeros(1, 1), mask, RegulariserSettings(beta=1.0))
    got.sum().backward()
    assert torch.isfinite(got).all()
    # Falling back to the reference lowers the penalty, or leaves it.
    assert new.grad[0, 0] == 0
    assert new.grad[0, 1] == pytest.approx(1 - math.exp(19), rel=1e-5)
    assert new.grad[0, 2] == 1


def snapshots(rule, kls):
    """Which update's policy is the reference after each update; 0 is the first policy."""
    reference, used = 0, []
    for update, kl in enumerate(kls, start=1):
        if rule.reset_now(update, kl):
            reference = update
        used.append(reference)
    return used


def test_the_reference_is_reset_above_a_kl():
    assert snapshots(ReferenceResets(above=0.05), [0.01, 0.02, 0.06, 0.03, 0.08]) == [0, 0, 3, 3, 5]
    assert snapshots(ReferenceResets(above=0.05), [0.05]) == [0]


def test_the_reference_is_reset_every_so_many_updates():
    assert snapshots(ReferenceResets(every=2), [NAN] * 5) == [0, 2, 2, 4, 4]
    assert snapshots(ReferenceResets(above=0.05, every=4), [0.0, 0.1, 0.0, 0.0, 0.0]) == [0, 2, 2, 4, 4]
    assert snapshots(ReferenceResets(), [9.0, INF]) == [0, 0]


def test_wrong_settings_are_refused():
    one = torch.zeros(1, 1)
    with pytest.raises(SettingsError, match='under a reference; the regulariser "none"'):
        kl_k3(one, None, one, torch.ones(1, 1, dtype=torch.bool), RegulariserSettings(beta=1.0))
    with pytest.raises(SettingsError, match=r"reference log-probabilities must have the mask's shape \(2, 3\)"):
        kl_k3(torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 1), MASK, RegulariserSettings(beta=1.0))
    with pytest.raises(SettingsError, match="beta must be a finite number of at least 0, got -1"):
        RegulariserSettings(beta=-1)
    with pytest.raises(SettingsError, match="estimator must be one of k1, k2, k3, got 'k4'"):
        RegulariserSettings(estimator="k4")
    with pytest.raises(SettingsError, match="above must be at least 0"):
        ReferenceResets(above=NAN)
    with pytest.raises(SettingsError, match="every must be at least 1"):
        ReferenceResets(every=0)
    with pytest.raises(SettingsError, match="update must be at least 1"):
        ReferenceResets(every=2).reset_now(0, 0.0)
    with pytest.raises(SettingsError, match="KL measured at update 3 is NaN"):
        ReferenceResets(above=0.1).reset_now(3, NAN)
