"""Linear layers through oneDNN, and forward passes that stop at keys and values."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

transformers = pytest.importorskip("transformers")

from agents.language_model import cpu_linear  # noqa: E402
from agents.language_model.cpu_linear import fast_linear  # noqa: E402
from agents.language_model.filling import fill  # noqa: E402


@pytest.fixture
def however_small(monkeypatch):
    monkeypatch.setattr(cpu_linear, "LEAST", 1)


there = hasattr(torch.ops.mkldnn, "_linear_pointwise")


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=2), st.integers(1, 30), st.integers(1, 30), st.booleans(), st.integers(0, 9)
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_values_and_gradients_are_those_of_double_precision(however_small, sizes, inner, outer, biased, seed):
    generator = torch.Generator().manual_seed(seed)
    x, weight, bias, slope = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((*sizes, inner), (outer, inner), (outer,), (*sizes, outer))
    )
    given = [x, weight, bias] if biased else [x, weight]
    exact = [part.clone().requires_grad_() for part in given]
    wanted = torch.nn.functional.linear(*exact)
    single = [part.float().requires_grad_() for part in given]
    with fast_linear(single[1]):
        found = torch.nn.functional.linear(*single)
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-5)
    gradients = torch.autograd.grad(found, single, slope.float())
    for got, right in zip(gradients, torch.autograd.grad(wanted, exact, slope), strict=True):
        torch.testing.assert_close(got.double(), right, atol=1e-3, rtol=1e-5)


@pytest.mark.skipif(not there, reason="PyTorch was built without oneDNN")
def test_only_what_fits_goes_through_onednn():
    def ways(x, layer):
        with (
            torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched,
            fast_linear(torch.ones(1)),
        ):
            layer(x)
        return {event.key for event in watched.key_averages()} & {"mkldnn::_linear_pointwise", "aten::linear"}

    layer, many, few = torch.nn.Linear(256, 256), torch.ones(2, 256, 256), torch.ones(2, 16, 256)
    assert ways(many, layer) == {"mkldnn::_linear_pointwise"}
    assert ways(few, layer) == {"aten::linear"}
    assert ways(many.bfloat16(), layer.bfloat16()) == {"aten::linear"}


def test_frozen_weights_get_no_gradient(however_small):
    layer = torch.nn.Linear(8, 4).requires_grad_(False)
    x = torch.ones(20, 8, requires_grad=True)
    with fast_linear(x):
        layer(x).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(20, 8))


def test_a_filled_cache_holds_what_a_whole_pass_leaves_and_its_gradient():
    torch.manual_seed(0)
    model = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8,
        )
    )  # fmt: skip
    seen, last = [], model.model.layers[-1].mlp
    whole_pass = last.forward
    last.forward = lambda *given: (seen.append("last layer"), whole_pass(*given))[1]
    first, second = torch.arange(7)[None], torch.arange(7, 12)[None]
    caches = transformers.DynamicCache(), transformers.DynamicCache()
    for tokens in (first, second):
        model.model(input_ids=tokens, past_key_values=caches[0], use_cache=True)
    assert seen == ["last layer"] * 2
    for tokens in (first, second):
        fill(model, caches[1], input_ids=tokens)
    assert seen == ["last layer"] * 2
    gradients = []
    for cache in caches:
        model.zero_grad()
        sum((layer.keys.square().sum() + layer.values.sum()) for layer in cache.layers).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    for whole, filled in zip(caches[0].layers, caches[1].layers, strict=True):
        torch.testing.assert_close(filled.keys, whole.keys, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(filled.values, whole.values, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
    # Afterwards the cache is like any other: the model goes on from it.
    assert model(torch.tensor([[3]]), past_key_values=caches[1]).logits.shape == (1, 1, 50)
