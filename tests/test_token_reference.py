"""The reference policy: weights that step in for the model's own."""

import copy

import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

from memenvs.errors import DataError  # noqa: E402
from trainers.slots.choices import Slots  # noqa: E402
from trainers.tokens.loading import adapted  # noqa: E402
from trainers.tokens.reference import Reference  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.update import log_prob_table, update  # noqa: E402

ROWS = [TokenRow((5, 6, 7, g), (8, 9 + g, 10), (-3.0, -3.0, -3.0), 1.0 - g) for g in range(3)]


@pytest.fixture(params=["weights", "adapters"])
def model(request):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=31, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, tie_word_embeddings=True,
    )  # fmt: skip
    plain = transformers.Qwen3ForCausalLM(config).eval()
    return plain if request.param == "weights" else adapted(plain, 2)


def learn(model, steps=3):
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        update(model, optimiser, ROWS, Slots().filled)


def test_a_reference_says_what_a_copy_of_the_whole_model_says(model):
    learn(model)
    whole, reference = copy.deepcopy(model), Reference(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    learn(model)
    moved = log_prob_table(model, ROWS)
    with reference.instead(model):
        found = log_prob_table(model, ROWS)
    assert torch.equal(found, log_prob_table(whole, ROWS))
    assert not torch.allclose(found, moved, atol=1e-2)
    # The model is as it was, and learns on without moving its reference.
    assert torch.equal(log_prob_table(model, ROWS), moved)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    learn(model)
    with reference.instead(model):
        assert torch.equal(log_prob_table(model, ROWS), found)


def test_the_models_own_weights_are_back_after_an_error(model):
    reference = Reference(model)
    learn(model)
    before = log_prob_table(model, ROWS)
    with pytest.raises(ZeroDivisionError), reference.instead(model):
        raise ZeroDivisionError
    assert torch.equal(log_prob_table(model, ROWS), before)


def test_beside_adapters_a_reference_holds_adapters_alone(model):
    every = sum(parameter.numel() for parameter in model.parameters())
    own = sum(weight.numel() for weight in Reference(model).weights.values())
    assert own == (every if not hasattr(model, "peft_config") else sum(
        p.numel() for name, p in model.named_parameters() if "lora_" in name
    ))  # fmt: skip
    assert own == every or own < every / 2


def test_a_saved_reference_is_read_back_and_another_models_is_refused(model, tmp_path):
    kept = Reference(model)
    kept.save(tmp_path / "reference.safetensors")
    learn(model)
    again = Reference(model)
    assert not all(torch.equal(kept.weights[name], weight) for name, weight in again.weights.items())
    again.load(tmp_path / "reference.safetensors")
    assert all(torch.equal(kept.weights[name], weight) for name, weight in again.weights.items())
    del again.weights[next(iter(again.weights))]
    with pytest.raises(DataError, match="another model"):
        again.load(tmp_path / "reference.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "reference.safetensors").read_bytes()[:100])
    for name in ("half", "nothing"):
        with pytest.raises(DataError, match="cannot be read"):
            again.load(tmp_path / f"{name}.safetensors")
