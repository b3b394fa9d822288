"""Log-probabilities and gradients with a shared prefix, for models of several families and with adapters."""

import pytest
import torch

transformers = pytest.importorskip("transformers")

from agents.language_model import cpu_linear  # noqa: E402
from trainers.tokens.loading import adapted  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.shared_prefix import row_log_probs  # noqa: E402

VOCABULARY = 53
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip
FAMILIES = {
    "Llama": SIZES,
    "Mistral": SIZES | {"sliding_window": 6},
    "Gemma2": SIZES | {"head_dim": 8, "sliding_window": 6},
    "Granite": SIZES | {"logits_scaling": 2.0},
    "Phi3": SIZES,
    "GPTNeoX": SIZES,
    "GPT2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4},
    "Bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
}
LENGTHS = {
    "shared": (12, [(3, 5), (1, 1), (9, 2), (4, 12)]),
    "nothing shared": (0, [(3, 5), (2, 20), (7, 1)]),
    "prompts of one token": (0, [(1, 5), (4, 2), (1, 3)]),
    "one prompt": (9, [(1, 4), (1, 8), (1, 2)]),
    "one row": (0, [(6, 4)]),
}


def make(family):
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def rows_of(prefix, lengths):
    generator = torch.Generator().manual_seed(1)
    drawn = lambda n: tuple(torch.randint(1, VOCABULARY, (n,), generator=generator).tolist())  # noqa: E731
    begin = drawn(prefix)
    return [TokenRow(begin + drawn(rest), drawn(completion)) for rest, completion in lengths]


def alone(model, row):
    """Of one row without padding and cache."""
    logits = model(torch.tensor([row.prompt + row.completion]), use_cache=False).logits[0].float()
    table = logits[len(row.prompt) - 1 : -1].log_softmax(-1)
    return table.gather(1, torch.tensor(row.completion)[:, None])[:, 0]


def agree(model, rows):
    """Values within 1e-5, the gradient of their weighted sum within 1e-4 of its length."""
    found = []
    for values in (row_log_probs(model, rows), [alone(model, row) for row in rows]):
        model.zero_grad()
        sum((0.5 + i) * own.sum() for i, own in enumerate(values)).backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((values, gradient))
    (shared, got), (single, wanted) = found
    for one, other in zip(shared, single, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert (got - wanted).norm() <= 1e-4 * wanted.norm()


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_together_are_what_they_are_alone(family, lengths):
    torch.set_num_threads(1)
    agree(make(family), rows_of(*LENGTHS[lengths]))


def test_rows_together_are_what_they_are_alone_with_adapters():
    pytest.importorskip("peft")
    torch.set_num_threads(1)
    model = adapted(make("Llama"), 4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start, where no gradient reaches the other half
            torch.nn.init.normal_(parameter, std=0.1)
    agree(model, rows_of(*LENGTHS["shared"]))


def measured(model, rows, share=True, **how):
    """Log-probabilities and the gradient of their weighted sum."""
    model.zero_grad()
    values = row_log_probs(model, rows, 0.7, share, **how)
    sum((0.5 + i) * own.sum() for i, own in enumerate(values)).backward()
    return torch.cat(values).detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def checkpointing_changes_nothing(model, rows, share=True):
    (plain, wanted), (again, got) = (measured(model, rows, share, checkpointing=on) for on in (False, True))
    torch.testing.assert_close(again, plain, atol=1e-6, rtol=0)
    assert wanted.norm() > 1e-3
    assert (got - wanted).norm() <= 1e-6 * wanted.norm()
    assert not any("forward" in vars(part) for part in model.modules())  # the model is as it was


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpointing_changes_nothing(family, lengths, share):
    torch.set_num_threads(1)
    checkpointing_changes_nothing(make(family), rows_of(*LENGTHS[lengths]), share)


def test_checkpointing_changes_nothing_with_adapters():
    pytest.importorskip("peft")
    torch.set_num_threads(1)
    model = adapted(make("Llama"), 4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    for lengths in LENGTHS.values():
        checkpointing_changes_nothing(model, rows_of(*lengths))


def test_checkpointing_changes_nothing_where_linear_layers_go_another_way(monkeypatch):
    monkeypatch.setattr(cpu_linear, "LEAST", 1)
    torch.set_num_threads(1)
    checkpointing_changes_nothing(make("Llama"), rows_of(*LENGTHS["shared"]))


def test_a_layer_that_is_forwarded_again_drops_the_same():
    torch.set_num_threads(1)
    model, rows, found = make("GPT2").train(), rows_of(*LENGTHS["shared"]), []
    for on in (False, True):
        torch.manual_seed(5)
        found.append(measured(model, rows, checkpointing=on))
    (plain, wanted), (again, got) = found
    assert torch.equal(again, plain)
    assert (got - wanted).norm() <= 1e-6 * wanted.norm()
    assert not torch.equal(measured(model, rows)[0], plain)  # something is dropped
