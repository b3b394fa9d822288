"""Models whose weights accelerate moves about, that others watch, or that keep no keys and values."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
accelerate = pytest.importorskip("accelerate")

import numpy as np  # noqa: E402
from small_models import small_model, small_tokenizer  # noqa: E402
from transformers import DynamicCache  # noqa: E402

from agents.language_model import CausalLM, SamplingSettings, sample  # noqa: E402
from agents.language_model.filling import fill  # noqa: E402
from memenvs.errors import SettingsError  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.shared_prefix import row_log_probs  # noqa: E402

PROMPTS = [(11, 12, 13, 14), (11, 12, 13, 15, 16), (11, 12, 13, 15, 17, 18)]


def drawn(model):
    uniforms = np.random.default_rng(0).random((3, 6))
    rows = sample(CausalLM(model, small_tokenizer()), PROMPTS, SamplingSettings(max_tokens=6), uniforms, [0] * 3)
    return [row.tokens for row in rows], torch.tensor([row.log_probs for row in rows])


def offloaded(model, folder):
    return accelerate.cpu_offload(model, execution_device="cpu")


def on_disk(model, folder):
    return accelerate.disk_offload(model, folder, execution_device="cpu")


def dispatched(model, folder):
    places = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu"}
    layers = {"model.layers.0": "cpu", "model.layers.1": "disk", "lm_head": "disk"}
    return accelerate.dispatch_model(model, places | layers, main_device="cpu", offload_dir=folder, force_hooks=True)


@pytest.mark.parametrize("moved", [offloaded, on_disk, dispatched])
def test_weights_that_come_and_go_say_what_they_say_at_home(moved, tmp_path):
    tokens, log_probs = drawn(small_model())
    model = moved(small_model(), tmp_path)
    away = {name for name, weight in model.named_parameters() if weight.is_meta}
    assert away
    found, values = drawn(model)
    assert found == tokens
    torch.testing.assert_close(values, log_probs, atol=1e-6, rtol=0)
    # Hooks that run after a module put its weights away again: none was left out.
    assert {name for name, weight in model.named_parameters() if weight.is_meta} == away


def test_whoever_watches_a_layer_sees_it_to_its_end():
    model, seen = small_model(), []
    model.model.layers[-1].register_forward_hook(lambda *_: seen.append("end"))
    fill(model, DynamicCache(), input_ids=torch.tensor([[5, 6, 7]]))
    assert seen == ["end"]


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_keeps_no_keys_and_values_is_refused():
    """Gradient checkpointing drops the cache in training, with a line in the log."""
    model = small_model()
    model.gradient_checkpointing_enable()
    model.train()
    rows = [TokenRow(prompt, (5, 6)) for prompt in PROMPTS]
    with pytest.raises(SettingsError, match="after reading 3 tokens .* keys and values of 0.*gradient checkpointing"):
        row_log_probs(model, rows)
    whole = row_log_probs(model, rows, share=False)
    for checkpointed, plain in zip(whole, row_log_probs(small_model(), rows), strict=True):
        torch.testing.assert_close(checkpointed, plain, atol=1e-5, rtol=0)
