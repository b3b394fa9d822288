"""The aggregation slot against numbers worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from trainers.slots.aggregation import (
    AGGREGATIONS,
    AggregationSettings,
    constant,
    length,
    prompt_mean,
    sequence_mean,
    token_mean,
)

NAN, INF = float("nan"), float("inf")
MASK = torch.tensor([[True, True, False, False], [True, True, True, True]])
# PPO's surrogate with eps .2: log-ratios .3, -.1 with A = 1; .1, .05, -.4, .2 with A = -.5.
OBJECTIVE = torch.tensor(
    [[1.2, 0.904837418036, 0, 0], [-0.552585459038, -0.525635548188, -0.4, -0.61070137908]], dtype=torch.float64
)
# Three rows of 1, 2 and 3 tokens that are easy on the eye.
SIMPLE = torch.tensor([[6.0, 0, 0], [1.0, 3.0, 0], [2.0, 4.0, 6.0]], dtype=torch.float64)
SIMPLE_MASK = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])


def test_grpo_dapo_and_dr_grpo_on_the_same_tokens():
    plain = AggregationSettings(max_tokens=8)
    assert sequence_mean(OBJECTIVE, MASK, plain).item() == pytest.approx(0.265094056221, abs=1e-9)
    assert token_mean(OBJECTIVE, MASK, plain).item() == pytest.approx(0.00265250528834, abs=1e-9)
    assert constant(OBJECTIVE, MASK, plain).item() == pytest.approx(0.000994689483127, abs=1e-9)
    verl = AggregationSettings(max_tokens=8, divide_by_rows=False)
    assert constant(OBJECTIVE, MASK, verl).item() == pytest.approx(0.0019893790, abs=1e-9)


def test_simple_rows():
    # Sums 6, 4, 12 over 1, 2, 3 tokens; means 6, 2, 4.
    plain = AggregationSettings(max_tokens=4)
    assert token_mean(SIMPLE, SIMPLE_MASK, plain).item() == pytest.approx(22 / 6)
    assert sequence_mean(SIMPLE, SIMPLE_MASK, plain).item() == pytest.approx(4)
    assert constant(SIMPLE, SIMPLE_MASK, plain).item() == pytest.approx(22 / 12)
    assert length(SIMPLE, SIMPLE_MASK, plain).item() == pytest.approx(22 / 3)


def test_prompts_weigh_the_same_however_many_tokens_they_got():
    # Rows 0 and 2 answer one prompt: (6 + 12) / 4; row 1 another: 4 / 2.
    prompts = torch.tensor([7, -3, 7])
    got = prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings(prompts=prompts))
    assert got.item() == pytest.approx((4.5 + 2) / 2)
    one = prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings(prompts=torch.zeros(3, dtype=torch.int64)))
    assert one.item() == pytest.approx(token_mean(SIMPLE, SIMPLE_MASK, AggregationSettings()).item())
    own = prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings(prompts=torch.arange(3)))
    assert own.item() == pytest.approx(sequence_mean(SIMPLE, SIMPLE_MASK, AggregationSettings()).item())


WEIGHTS = {
    # d result / d x for the tokens of rows with 1, 2 and 3 tokens.
    "token_mean": [1 / 6, 1 / 6, 1 / 6],
    "sequence_mean": [1 / 3, 1 / 6, 1 / 9],
    "constant": [1 / 12, 1 / 12, 1 / 12],
    "length": [1 / 3, 1 / 3, 1 / 3],
    "prompt_mean": [1 / 8, 1 / 4, 1 / 8],
}


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_what_a_token_weighs(name):
    settings = AggregationSettings(max_tokens=4, prompts=torch.tensor([0, 1, 0]))
    objective = SIMPLE.clone().requires_grad_()
    AGGREGATIONS[name](objective, SIMPLE_MASK, settings).backward()
    expected = torch.tensor(WEIGHTS[name], dtype=torch.float64)[:, None] * SIMPLE_MASK
    torch.testing.assert_close(objective.grad, expected)


@pytest.mark.parametrize("name", AGGREGATIONS)
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0)])
def test_without_a_token_the_result_and_the_gradient_are_zero(name, shape):
    weight = torch.tensor(2.0, requires_grad=True)
    settings = AggregationSettings(max_tokens=4, prompts=torch.arange(shape[0]))
    result = AGGREGATIONS[name](weight * torch.ones(shape), torch.zeros(shape, dtype=torch.bool), settings)
    result.backward()
    assert result.item() == 0
    assert weight.grad.item() == 0


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_rows_without_tokens_count_nowhere(name):
    settings = AggregationSettings(max_tokens=4, prompts=torch.tensor([0, 1, 0]))
    expected = AGGREGATIONS[name](SIMPLE, SIMPLE_MASK, settings)
    empty = torch.zeros(2, 3, dtype=torch.bool)
    padded = AggregationSettings(max_tokens=4, prompts=torch.tensor([0, 1, 0, 2, 0]))
    got = AGGREGATIONS[name](torch.cat([SIMPLE, torch.ones(2, 3)]), torch.cat([SIMPLE_MASK, empty]), padded)
    assert got.item() == pytest.approx(expected.item())


@given(
    st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=3, max_size=3),
    st.sampled_from([NAN, INF, -INF, 1e300]),
    st.sampled_from(list(AGGREGATIONS)),
)
def test_what_is_masked_changes_neither_value_nor_gradient(values, kept, junk, name):
    mask = torch.tensor(kept)
    settings = AggregationSettings(max_tokens=3, prompts=torch.tensor([0, 0, 1]))

    def run(fill):
        objective = torch.tensor(values, dtype=torch.float64).masked_fill(~mask, fill).requires_grad_()
        result = AGGREGATIONS[name](objective, mask, settings)
        result.backward()
        return result.item(), objective.grad

    value, slope = run(junk)
    clean_value, clean_slope = run(0.0)
    assert value == clean_value
    assert torch.equal(slope, clean_slope)
    assert not slope[~mask].any()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_token_that_is_not_a_number_is_no_zero(name):
    settings = AggregationSettings(max_tokens=3, prompts=torch.zeros(1, dtype=torch.int64))
    got = AGGREGATIONS[name](torch.tensor([[1.0, NAN]]), torch.tensor([[True, True]]), settings)
    assert got.isnan()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_decisions_of_one_prompt_are_all_averaged_alike(name):
    settings = AggregationSettings(max_tokens=1, prompts=torch.zeros(3, dtype=torch.int64))
    got = AGGREGATIONS[name](torch.tensor([[1.0], [4.0], [9.0]]), torch.tensor([[True], [True], [False]]), settings)
    assert got.item() == pytest.approx(2.5)


def test_missing_and_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match="constant needs max_tokens"):
        constant(SIMPLE, SIMPLE_MASK, AggregationSettings())
    with pytest.raises(SettingsError, match="max_tokens must be at least 1, got 0"):
        AggregationSettings(max_tokens=0)
    with pytest.raises(SettingsError, match=r"prompt_mean needs prompts, \(3,\) int64 .* got none"):
        prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings())
    with pytest.raises(SettingsError, match=r"got \(2,\) torch.int64"):
        prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings(prompts=torch.tensor([0, 1])))
    with pytest.raises(SettingsError, match=r"got \(3,\) torch.float32"):
        prompt_mean(SIMPLE, SIMPLE_MASK, AggregationSettings(prompts=torch.zeros(3)))
    with pytest.raises(SettingsError, match=r"objective must have the mask's shape \(3, 3\), got \(3, 1\)"):
        token_mean(SIMPLE[:, :1], SIMPLE_MASK, AggregationSettings())
