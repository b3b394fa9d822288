"""The ratio slot against numbers worked out by hand, and what holds for every value of it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from memenvs.errors import SettingsError
from trainers.slots.aggregation import AggregationSettings, length, sequence_mean, token_mean
from trainers.slots.ratios import RATIOS, RatioSettings, cispo, decoupled, gspo, loop, ppo

NAN, INF = float("nan"), float("inf")
MASK = torch.tensor([[True, True, False, False], [True, True, True, True]])
LOG_RATIO = [[0.3, -0.1], [0.1, 0.05, -0.4, 0.2]]
ADVANTAGES = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)


def rows(values, fill=0.0):
    """(N, 4) float64 from rows of two and of four."""
    return torch.tensor([list(row) + [fill] * (4 - len(row)) for row in values], dtype=torch.float64)


def tokens(objective):
    return [row[kept].tolist() for row, kept in zip(objective.detach(), MASK, strict=True)]


def same(got, expected, tolerance=1e-9):
    assert [len(row) for row in got] == [len(row) for row in expected]
    for row, other in zip(got, expected, strict=True):
        assert row == pytest.approx(other, abs=tolerance)


def surrogate(function, **settings):
    return function(rows(LOG_RATIO), rows([[], []]), ADVANTAGES, MASK, RatioSettings(**settings))


def test_ppo():
    # r = 1.3499, .9048 with A = 1; 1.1052, 1.0513, .6703, 1.2214 with A = -.5; range [.8, 1.2].
    same(
        tokens(surrogate(ppo)),
        [[1.2, 0.904837418036], [-0.552585459038, -0.525635548188, -0.4, -0.61070137908]],
    )


def test_dapo_clips_higher():
    objective = surrogate(ppo, clip_low=0.2, clip_high=0.28)
    same(
        tokens(objective),
        [[1.28, 0.904837418036], [-0.552585459038, -0.525635548188, -0.4, -0.61070137908]],
    )
    assert token_mean(objective, MASK, AggregationSettings()).item() == pytest.approx(0.0159858386217, abs=1e-9)


def test_loop_has_an_even_range_in_the_log_ratio():
    objective = surrogate(loop, clip_high=0.1)
    same(
        tokens(objective),
        [[1.1, 0.904837418036], [-0.552585459038, -0.525635548188, -0.454545454545, -0.61070137908]],
    )
    means = objective.sum(1) / MASK.sum(1)
    assert means.tolist() == pytest.approx([1.00241870902, -0.535866960213], abs=1e-9)
    # The lower end alone: a falling ratio of a bad token counts no further than 1 / 1.1.
    assert objective[1, 2].item() == pytest.approx(-0.5 / 1.1)


def test_gspo_has_one_ratio_per_row():
    # s = exp(.1) = 1.1052 and exp(-.0125) = .9876.
    tight = surrogate(gspo, clip_low=3e-4, clip_high=4e-4)
    same(tokens(tight), [[1.0004] * 2, [-0.49985] * 4])
    assert sequence_mean(tight, MASK, AggregationSettings()).item() == pytest.approx(0.250275, abs=1e-9)
    wide = surrogate(gspo)
    same(tokens(wide), [[1.10517091808] * 2, [-0.493788900247] * 4])
    assert sequence_mean(wide, MASK, AggregationSettings()).item() == pytest.approx(0.305691008914, abs=1e-9)


def test_luspo_is_gspo_times_length():
    objective = surrogate(gspo, clip_low=2e-3, clip_high=2.5e-3)
    same(tokens(objective), [[1.0025] * 2, [-0.499] * 4])
    assert length(objective, MASK, AggregationSettings()).item() == pytest.approx(0.0045, abs=1e-9)


CISPO_NEW = [[-1.0, -0.5], [-0.2, -0.7, -1.5, -0.3]]
CISPO_RATIO = [[2.0, -0.1], [0.1, 0.05, -0.4, 0.2]]


@pytest.mark.parametrize(
    ("settings", "expected", "mean"),
    [
        # Absolute: e^2 = 7.39 is cut to 5, e^-.4 = .67 stays.
        (
            RatioSettings(cap="absolute", clip_high=5.0),
            [[-5.0, -0.452418709018], [0.110517091808, 0.367944883732, 0.502740034527, 0.183210413724]],
            -0.714667714205,
        ),
        # Range [.8, 1.2]: 7.39 to 1.2, .67 to .8, 1.22 to 1.2.
        (
            RatioSettings(cap="range", clip_low=0.2, clip_high=0.2),
            [[-1.2, -0.452418709018], [0.110517091808, 0.367944883732, 0.6, 0.18]],
            -0.0656594555798,
        ),
    ],
)
def test_cispo_in_both_conventions(settings, expected, mean):
    new = rows(CISPO_NEW)
    objective = cispo(new, new - rows(CISPO_RATIO), ADVANTAGES, MASK, settings)
    same(tokens(objective), expected)
    assert token_mean(objective, MASK, AggregationSettings()).item() == pytest.approx(mean, abs=1e-9)


def test_an_absolute_cap_below_one_is_refused():
    with pytest.raises(SettingsError, match=r'must be at least 1 \(TRL: 5.0\), got 0.2; cap="range"'):
        surrogate(cispo, cap="absolute", clip_high=0.2)


def test_decoupled():
    old, proximal, new = torch.tensor([[[-1.0, -0.8]], [[-0.9, -1.0]], [[-0.7, -1.1]]], dtype=torch.float64)
    mask, advantages = torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 1)
    objective = decoupled(new, old, advantages, mask, RatioSettings(proximal=proximal))
    # e^.1 min(e^.2, 1.2) and e^-.2 e^-.1.
    assert objective.tolist()[0] == pytest.approx([1.32620510169, 0.740818220682], abs=1e-9)
    assert objective.mean().item() == pytest.approx(1.03351166119, abs=1e-9)
    naive = ppo(new, old, advantages, mask, RatioSettings())
    assert naive.tolist()[0] == pytest.approx([1.2, 0.740818220682], abs=1e-9)
    at_old = decoupled(new, old, advantages, mask, RatioSettings(proximal=old))
    assert at_old.tolist()[0] == pytest.approx(naive.tolist()[0])


def test_decoupled_without_a_proximal_policy_is_refused():
    with pytest.raises(SettingsError, match=r"settings\.proximal.*a pass before the update"):
        surrogate(decoupled)
    with pytest.raises(SettingsError, match=r"proximal log-probabilities must have the mask's shape \(2, 4\)"):
        surrogate(decoupled, proximal=torch.zeros(2, 1))


def gradient(function, settings, new, old, advantages, weights):
    new = new.clone().requires_grad_()
    (function(new, old, advantages, MASK, settings) * weights).sum().backward()
    return new.grad


def test_the_gradient_of_gspo_flows_through_the_rows_ratio():
    new = rows([[-1.0, -0.5], [-0.2, -0.7, -1.5, -0.3]])
    old = new - rows(LOG_RATIO)
    weights = rows([[0.5, 0.25], [0.1, 0.2, 0.3, 0.15]])
    got = gradient(gspo, RatioSettings(), new, old, ADVANTAGES, weights)
    # d/d new_t of sum_u w_u s A is s A sum(w) / |i|, the same for all of a row's tokens.
    first, second = math.exp(0.1) * 1.0 * 0.75 / 2, math.exp(-0.0125) * -0.5 * 0.75 / 4
    torch.testing.assert_close(got, rows([[first] * 2, [second] * 4]))
    # A ratio outside the range, on the side that A pushes to, gives none; on the other side it does.
    tight = gradient(gspo, RatioSettings(clip_low=3e-4, clip_high=4e-4), new, old, ADVANTAGES, weights)
    assert not tight.any()
    opposite = gradient(gspo, RatioSettings(clip_low=3e-4, clip_high=4e-4), new, old, -ADVANTAGES, weights)
    torch.testing.assert_close(opposite, -rows([[first] * 2, [second] * 4]))


def test_the_gradient_of_cispo_is_weight_times_advantage_however_far_the_ratio():
    new = rows(CISPO_NEW)
    got = gradient(cispo, RatioSettings(), new, new - rows(CISPO_RATIO), ADVANTAGES, rows([[1, 1], [1, 1, 1, 1]]))
    # The clipped ratios times A, with nothing from the ratio itself.
    expected = [[1.2, math.exp(-0.1)], [-0.5 * math.exp(0.1), -0.5 * math.exp(0.05), -0.5 * 0.8, -0.5 * 1.2]]
    torch.testing.assert_close(got, rows(expected))


@pytest.mark.parametrize("name", ["ppo", "loop", "gspo", "decoupled"])
def test_gradients_agree_with_finite_differences(name):
    # Log-ratios well away from the ends of the range, where the objective has a kink.
    old = rows([[-1.0, -0.5], [-0.2, -0.7, -1.5, -0.3]])
    settings = RatioSettings(proximal=old + rows([[0.02, -0.03], [0.01, 0.02, -0.01, 0.03]]))
    advantages = rows([[1.0, -2.0], [0.3, -0.4, 0.5, 1.5]])
    new = (old + rows(LOG_RATIO)).requires_grad_()
    assert gradcheck(lambda x: RATIOS[name](x, old, advantages, MASK, settings), (new,))


@pytest.mark.parametrize("name", RATIOS)
def test_only_the_new_log_probabilities_get_a_gradient(name):
    leaves = [torch.full((2, 4), x, dtype=torch.float64, requires_grad=True) for x in (-1.0, -1.1, 0.7, -1.05)]
    new, old, advantages, proximal = leaves
    RATIOS[name](new, old, advantages, MASK, RatioSettings(proximal=proximal)).sum().backward()
    assert (new.grad[MASK] != 0).all()
    assert [x.grad for x in (old, advantages, proximal)] == [None, None, None]


finite = st.floats(-8, 8, allow_subnormal=False)
tables = st.lists(st.lists(finite, min_size=4, max_size=4), min_size=2, max_size=2).map(
    lambda x: torch.tensor(x, dtype=torch.float64)
)
rubbish = st.sampled_from([NAN, INF, -INF, 1e300, -1e300, 700.0, -700.0, 0.0])


@given(tables, tables, st.floats(0, 1), st.floats(0, 3), st.sampled_from([x for x in RATIOS if x != "cispo"]))
def test_at_new_equal_old_the_objective_is_the_advantage(log_probs, advantages, low, high, name):
    settings = RatioSettings(clip_low=low, clip_high=high, proximal=log_probs)
    objective = RATIOS[name](log_probs, log_probs, advantages, MASK, settings)
    assert torch.equal(objective, advantages.masked_fill(~MASK, 0.0))


@given(tables, tables, tables, rubbish, st.sampled_from(list(RATIOS)))
def test_what_is_masked_changes_neither_value_nor_gradient(new, old, advantages, junk, name):
    def run(fill):
        given_new, given_old, proximal, weights = (
            x.masked_fill(~MASK, fill) for x in (new, old, (new + old) / 2, advantages)
        )
        given_new.requires_grad_()
        objective = RATIOS[name](given_new, given_old, weights, MASK, RatioSettings(proximal=proximal))
        objective.sum().backward()
        return objective.detach(), given_new.grad

    value, slope = run(junk)
    clean_value, clean_slope = run(0.0)
    assert torch.equal(value, clean_value)
    assert torch.equal(slope, clean_slope)
    assert not value[~MASK].any()
    assert not slope[~MASK].any()


@pytest.mark.parametrize("name", RATIOS)
def test_extreme_ratios_stay_finite(name):
    new = torch.tensor([[500.0, -500.0, 500.0, -500.0]], requires_grad=True)
    settings = RatioSettings(proximal=torch.tensor([[0.0, 0.0, 900.0, -900.0]]))
    mask = torch.ones(1, 4, dtype=torch.bool)
    objective = RATIOS[name](new, torch.zeros(1, 4), torch.tensor([[1.0, -1.0, -1.0, 1.0]]), mask, settings)
    objective.sum().backward()
    assert torch.isfinite(objective).all()
    assert torch.isfinite(new.grad).all()


@pytest.mark.parametrize("name", RATIOS)
def test_a_value_per_row_is_the_same_as_that_value_at_each_token(name):
    new = rows([[-1.0, -0.5], [-0.2, -0.7, -1.5, -0.3]])
    settings = RatioSettings(proximal=new - 0.05)
    per_row = RATIOS[name](new, new - rows(LOG_RATIO), ADVANTAGES, MASK, settings)
    per_token = RATIOS[name](new, new - rows(LOG_RATIO), ADVANTAGES.expand(2, 4), MASK, settings)
    assert torch.equal(per_row, per_token)


def test_on_decisions_gspo_is_ppo():
    new = torch.tensor([[0.3], [-0.4], [0.1]])
    mask, advantages = torch.ones(3, 1, dtype=torch.bool), torch.tensor([[1.0], [-1.0], [2.0]])
    arguments = (new, torch.zeros(3, 1), advantages, mask, RatioSettings())
    torch.testing.assert_close(gspo(*arguments), ppo(*arguments))


def test_wrong_shapes_and_settings_are_refused():
    ok = torch.zeros(2, 4)
    with pytest.raises(SettingsError, match=r"new log-probabilities must have the mask's shape \(2, 4\), got \(2,\)"):
        ppo(torch.zeros(2), ok, ok, MASK, RatioSettings())
    with pytest.raises(SettingsError, match=r"advantages .* \(2, 4\) or \(2, 1\), got \(4,\)"):
        ppo(ok, ok, torch.zeros(4), MASK, RatioSettings())
    # One log-probability per row is no sequence of log-probabilities.
    with pytest.raises(SettingsError, match="old log-probabilities"):
        ppo(ok, torch.zeros(2, 1), ok, MASK, RatioSettings())
    with pytest.raises(SettingsError, match=r"\(N, L\) bool, got \(2, 4\) torch.int64"):
        ppo(ok, ok, ok, MASK.long(), RatioSettings())
    with pytest.raises(SettingsError, match=r"\(N, L\) bool, got \(4,\)"):
        ppo(ok, ok, ok, MASK[0], RatioSettings())
    with pytest.raises(SettingsError, match="clip_low must be a finite number of at least 0, got -0.1"):
        RatioSettings(clip_low=-0.1)
    with pytest.raises(SettingsError, match="clip_high"):
        RatioSettings(clip_high=NAN)
    with pytest.raises(SettingsError, match="Did you mean 'absolute'"):
        RatioSettings(cap="absolut")
