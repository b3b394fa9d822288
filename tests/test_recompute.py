"""Gradient checkpointing: what is kept, that nothing of it stays, and training with it."""

import copy
import gc
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402
from taught_model import taught  # noqa: E402, F401 - a fixture

from memenvs.errors import SettingsError  # noqa: E402
from trainers.cli import main  # noqa: E402
from trainers.slots.choices import Slots  # noqa: E402
from trainers.tokens import recompute  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.shared_prefix import row_log_probs  # noqa: E402
from trainers.tokens.update import UpdateSettings, log_prob_table, update  # noqa: E402
from trainers.tokens.warm_start import WarmStartSettings, warm_start  # noqa: E402

HIDDEN, KEYS_AND_VALUES = 64, 2 * 2 * 16
SHARED, OWN, COMPLETION, ROWS = 100, 20, 15, 3


def model_of(layers):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=61, hidden_size=HIDDEN, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=512,
        )
    ).eval()  # fmt: skip


def rows_of(rows=ROWS):
    start = tuple(i % 50 for i in range(SHARED))
    return [
        TokenRow((*start, 51 + g, *(g,) * (OWN - 1), 60), (5 + g,) * COMPLETION, (-4.0,) * COMPLETION, 1.0 - g)
        for g in range(rows)
    ]


class Alive(TorchDispatchMode):
    """Bytes of the tensors that were made within and are still there, and the most there were."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self._known = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._known | given:
                    self._known.add(storage._cdata)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return out

    def _gone(self, storage, size):
        self._known.remove(storage)
        self.now -= size


def kept(layers, checkpointing):
    """Bytes alive between forward and backward pass, and the most in the backward pass."""
    model = model_of(layers)
    with Alive() as alive:
        found = row_log_probs(model, rows_of(), checkpointing=checkpointing)
        between, alive.most = alive.now, 0
        sum(values.sum() for values in found).backward()
    return between, alive.most


def test_a_layer_more_keeps_its_inputs_and_the_keys_and_values_that_are_looked_at_later():
    (two, _), (three, _) = kept(2, True), kept(3, True)
    # The shared prefix once, not for each row; of the completions, nobody looks at keys and values later.
    read = SHARED + ROWS * OWN
    assert three - two == 4 * (HIDDEN * (read + ROWS * COMPLETION) + KEYS_AND_VALUES * read)


def test_memory_falls():
    (plain, most), (small, few) = kept(6, False), kept(6, True)
    assert small < plain / 5
    assert few < most / 2


def test_what_is_kept_goes_with_the_graph_also_where_nobody_goes_backward():
    model = model_of(2)
    gc.collect()
    gc.disable()
    try:
        with Alive() as alive:
            found = row_log_probs(model, rows_of(), checkpointing=True)
            assert alive.now > 50_000
            del found
            assert alive.now == 0
    finally:
        gc.enable()


def test_each_layer_is_forwarded_again_in_training_and_only_there():
    model, passes = model_of(2), []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: passes.append(1))
    rows, settings = rows_of(), UpdateSettings(gradient_checkpointing=True)
    log_prob_table(model, rows, settings)
    assert len(passes) == 3  # the shared prefix, the rest of the prompts, the completions
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for on, wanted in ((False, 3), (True, 6)):
        passes.clear()
        update(model, optimiser, rows, Slots().filled, UpdateSettings(gradient_checkpointing=on))
        assert len(passes) == wanted


def test_an_update_and_a_warm_start_are_what_they_are_without():
    start, after = model_of(2), []
    for on in (False, True):
        model = copy.deepcopy(start)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
        settings = UpdateSettings(micro_batch=2, gradient_checkpointing=on)
        line = update(model, optimiser, rows_of(), Slots(regulariser="none").filled, settings)
        losses = warm_start(model, rows_of(), WarmStartSettings(epochs=2, batch=2, gradient_checkpointing=on))
        weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
        after.append((weights, line["loss"], line["gradient_norm"], *losses))
    (plain, *numbers), (again, *others) = after
    assert others == pytest.approx(numbers, rel=1e-5)
    torch.testing.assert_close(again, plain, atol=1e-5, rtol=0)


def test_a_model_whose_layers_are_not_found_is_refused():
    model = model_of(2)
    model.config.num_hidden_layers = 3
    with pytest.raises(
        SettingsError, match="3 decoder layers of Qwen3ForCausalLM, and 2 .*gradient_checkpointing=False"
    ):
        row_log_probs(model, rows_of(), checkpointing=True)


def test_a_run_with_it_gives_the_numbers_of_one_without(taught, tmp_path, monkeypatch):  # noqa: F811
    layers, checkpoint = [], recompute.checkpoint
    monkeypatch.setattr(recompute, "checkpoint", lambda *given, **how: layers.append(1) or checkpoint(*given, **how))
    found = []
    for on in (["--gradient-checkpointing"], []):
        layers.clear()
        out = tmp_path / f"run{len(on)}"
        main([
            "train", "--agent", "lm", "--model", taught.lm.model, "--message", "sentences", "--task", "", "--memory-tokens", "24",
            "--max-tokens", "16", "--T", "4", "--chunk-questions", "1", "--max-operations", "1", "--updates", "2", "--streams", "2",
            "--group-size", "3", "--learning-rate", "1e-2", "--eval-streams", "1", "--final-streams", "1", "--out", str(out), *on,
        ])  # fmt: skip
        assert bool(layers) == bool(on)
        found.append(load_file(out / "checkpoint-000002" / "model.safetensors"))
    start = load_file(f"{taught.lm.model}/model.safetensors")
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], atol=1e-3, rtol=1e-3)
    assert any((found[0][name] - weight).abs().max() > 5e-3 for name, weight in start.items())
