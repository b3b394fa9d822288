"""Log-probabilities with a shared prefix against plain padded forwards."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

transformers = pytest.importorskip("transformers")

from agents.language_model.prefill import common_prefix  # noqa: E402
from memenvs.errors import SettingsError  # noqa: E402
from trainers.tokens.rows import TokenRow, micro_batches  # noqa: E402
from trainers.tokens.selected import selected_log_probs  # noqa: E402
from trainers.tokens.shared_prefix import plain_head, row_log_probs  # noqa: E402

VOCABULARY = 61
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256,
}  # fmt: skip


@pytest.fixture(scope="module")
def qwen():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**SIZES, tie_word_embeddings=False))


def rows_of(prefix, lengths, seed=0):
    """Rows with a common prefix of ``prefix`` tokens, then (rest of the prompt, completion) of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    drawn = lambda n: tuple(torch.randint(VOCABULARY, (n,), generator=generator).tolist())  # noqa: E731
    start = drawn(prefix)
    return [TokenRow(start + drawn(rest), drawn(completion)) for rest, completion in lengths]


def whole(model, row, temperature):
    """Log-probabilities of one row alone, without padding, cache or chunks."""
    tokens = torch.tensor([row.prompt + row.completion])
    logits = model(tokens, use_cache=False).logits[0] / temperature
    table = logits[len(row.prompt) - 1 : -1].log_softmax(-1)
    return table.gather(1, torch.tensor(row.completion)[:, None])[:, 0]


LENGTHS = [(3, 5), (1, 1), (9, 2), (4, 12)]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("share", [True, False])
def test_values_are_those_of_each_row_alone(qwen, share, temperature):
    rows = rows_of(20, LENGTHS)
    found = row_log_probs(qwen, rows, temperature, share)
    for row, own in zip(rows, found, strict=True):
        torch.testing.assert_close(own, whole(qwen, row, temperature), atol=1e-5, rtol=0)


def test_gradients_are_those_of_each_row_alone(qwen):
    rows = rows_of(20, LENGTHS)
    weights = [0.5, -1.0, 2.0, 0.1]

    def gradients(found):
        qwen.zero_grad()
        sum(weight * own.sum() for weight, own in zip(weights, found, strict=True)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in qwen.parameters()])

    shared = gradients(row_log_probs(qwen, rows))
    alone = gradients([whole(qwen, row, 1.0) for row in rows])
    assert (shared - alone).norm() / alone.norm() < 1e-4


def test_tied_embeddings_get_both_gradients():
    torch.manual_seed(1)
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**SIZES, tie_word_embeddings=True))
    rows = rows_of(8, [(2, 3), (5, 4)])
    sum(own.sum() for own in row_log_probs(model, rows)).backward()
    found = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    sum(whole(model, row, 1.0).sum() for row in rows).backward()
    torch.testing.assert_close(found, model.get_input_embeddings().weight.grad, atol=1e-5, rtol=1e-4)


def test_a_head_that_caps_its_logits_is_not_taken_for_a_plain_one():
    torch.manual_seed(2)
    sizes = SIZES | {"num_hidden_layers": 1}
    model = transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**sizes, final_logit_softcapping=0.5)).eval()
    assert not plain_head(model)
    rows = rows_of(8, [(2, 3), (5, 4)])
    for row, own in zip(rows, row_log_probs(model, rows), strict=True):
        torch.testing.assert_close(own, whole(model, row, 1.0), atol=1e-5, rtol=0)


@given(st.integers(1, 300), st.integers(2, 40), st.floats(0.3, 2.0), st.integers(0, 5))
def test_selected_log_probs_and_gradients_equal_the_whole_table(tokens, vocabulary, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 6, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, 6, generator=generator, requires_grad=True)
    targets = torch.randint(vocabulary, (tokens,), generator=generator)
    scale = torch.randn(tokens, generator=generator)
    plain = ((hidden @ weight.T) / temperature).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    wanted = torch.autograd.grad((plain * scale).sum(), (hidden, weight))
    found = selected_log_probs(hidden, weight, targets, temperature)
    got = torch.autograd.grad((found * scale).sum(), (hidden, weight))
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_frozen_weights_get_no_gradient():
    hidden, weight = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    selected_log_probs(hidden, weight, torch.tensor([0, 1, 2, 3])).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_common_prefix_leaves_the_last_token_of_every_prompt():
    assert common_prefix([(1, 2, 3), (1, 2, 4)]) == 2
    assert common_prefix([(1, 2, 3), (1, 2, 3)]) == 2
    assert common_prefix([(1, 2), (1, 2, 3, 4)]) == 1
    assert common_prefix([(5,), (5, 6)]) == 0
    assert common_prefix([(1, 9), (2, 9), (1, 9)]) == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=20),
    st.integers(1, 4),
)
def test_each_row_is_in_one_micro_batch_of_its_step_shortest_first(drawn, most):
    rows = [TokenRow((0,) * length, (0,), stream=stream, step=step) for stream, step, length in drawn]
    batches = micro_batches(rows, most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) <= most
        assert len({(rows[i].stream, rows[i].step) for i in batch}) == 1
        lengths = [len(rows[i].prompt) for i in batch]
        assert lengths == sorted(lengths)


@pytest.mark.parametrize("row", [((), (1,), ()), ((1,), (), ()), ((1,), (1, 2), (0.5,))])
def test_rows_that_cannot_be_trained_are_refused(row):
    with pytest.raises(SettingsError, match="expected|needs"):
        TokenRow(*row)
