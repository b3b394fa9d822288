"""Sampling from a language model against plain forward passes, row by row."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from small_models import lm, small_model, small_tokenizer  # noqa: E402, F401

from agents.language_model.model import CausalLM  # noqa: E402
from agents.language_model.prefill import common_prefix, plan, prefill  # noqa: E402
from agents.language_model.sampling import SamplingSettings, draw, sample  # noqa: E402
from memenvs.errors import SettingsError  # noqa: E402


def prompts_of(sizes, seed=1):
    """Rows of (group, tokens common to all, to the group, own)."""
    rng = np.random.default_rng(seed)
    drawn = lambda n: tuple(rng.integers(3, 600, n).tolist())  # noqa: E731
    everywhere, of_group = drawn(50), {}
    rows, groups = [], []
    for group, common, shared, own in sizes:
        of_group.setdefault(group, drawn(100))
        rows.append(everywhere[:common] + of_group[group][:shared] + drawn(own))
        groups.append(group)
    return rows, groups


LAYOUTS = {
    "two groups": [("a", 30, 20, 5), ("a", 30, 20, 9), ("b", 30, 12, 1), ("b", 30, 12, 17), ("a", 30, 20, 2)],
    "one group": [("a", 30, 20, 5), ("a", 30, 20, 1), ("a", 30, 20, 11)],
    "equal prompts": [("a", 30, 20, 0), ("a", 30, 20, 0), ("b", 30, 20, 4)],
    "all different streams": [("a", 30, 2, 5), ("b", 30, 9, 3), ("c", 30, 4, 8)],
    "nothing in common": [("a", 0, 8, 3), ("a", 0, 8, 5), ("b", 0, 6, 2), ("b", 0, 6, 4)],
    "a group without a beginning": [("a", 0, 0, 3), ("a", 0, 0, 5), ("b", 0, 6, 2), ("b", 0, 6, 4)],
    "a group with no more than the others": [("a", 30, 0, 3), ("a", 30, 0, 5), ("b", 30, 6, 2), ("b", 30, 6, 4)],
    "one row": [("a", 30, 20, 5)],
}


def table(model, tokens, temperature=1.0):
    """(n, V) log-probabilities after each token of one row alone."""
    with torch.inference_mode():
        return (model(torch.tensor([tokens]), use_cache=False).logits[0] / temperature).log_softmax(-1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shared", [True, False])
def test_prompts_read_together_are_those_read_alone(lm, layout, shared):  # noqa: F811
    prompts, groups = prompts_of(LAYOUTS[layout])
    with torch.inference_mode():
        found = prefill(lm.model, prompts, groups if shared else None)
    for prompt, logits, length, mask in zip(prompts, found.logits, found.lengths, found.mask, strict=True):
        torch.testing.assert_close(logits.log_softmax(-1), table(lm.model, prompt)[-1], atol=1e-5, rtol=0)
        assert length == mask.sum() == len(prompt)


def test_a_plan_forwards_each_common_beginning_once():
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    first, second, third = plan(prompts, groups)
    assert [len(s) for s in first.stretches] == [30]
    assert [len(s) for s in second.stretches] == [20, 12]
    assert [len(s) for s in third.stretches] == [5, 9, 1, 17, 2]
    assert (second.parents, third.parents) == ((0, 0), (0, 0, 1, 1, 0))
    # Equal prompts leave their last token to the rows.
    assert [len(s) for s in plan([(1, 2, 3)] * 4, [0] * 4)[-1].stretches] == [1] * 4
    assert common_prefix([(1, 2), (1, 2, 3)]) == 1


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 1), min_size=1, max_size=6)), min_size=1, max_size=8)
)
def test_a_plan_loses_no_token(drawn):
    prompts, groups = [tuple(tokens) for _, tokens in drawn], [group for group, _ in drawn]
    levels = plan(prompts, groups)
    for row, prompt in enumerate(prompts):
        branch, found = row, ()
        for level in reversed(levels):
            found, branch = level.stretches[branch] + found, level.parents[branch]
        assert found == prompt
    assert all(levels[-1].stretches)
    assert all(levels[0].stretches)  # whatever is padded has something to attend to


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_recorded_log_probabilities_are_those_of_a_plain_forward(lm, temperature):  # noqa: F811
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    settings = SamplingSettings(temperature=temperature, max_tokens=20)
    uniforms = np.random.default_rng(1).random((len(prompts), 20))
    drawn = sample(lm, prompts, settings, uniforms, groups)
    assert len({len(row.tokens) for row in drawn}) > 1 or all(len(row.tokens) == 20 for row in drawn)
    for prompt, row in zip(prompts, drawn, strict=True):
        assert row.prompt == prompt
        known = table(lm.model, prompt + row.tokens, temperature or 1.0)[len(prompt) - 1 : -1]
        expected = known.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row.log_probs), expected, atol=1e-5, rtol=0)
        if temperature == 0:
            assert row.tokens == tuple(known.argmax(-1).tolist())


def test_padded_transformers_forward_agrees(lm):  # noqa: F811
    """The plain way: one padded batch, no cache, no sharing."""
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    drawn = sample(lm, prompts, SamplingSettings(max_tokens=8), np.random.default_rng(2).random((5, 8)), groups)
    rows = [row.prompt + row.tokens for row in drawn]
    width = max(map(len, rows))
    tokens = torch.tensor([row + (0,) * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    with torch.inference_mode():
        log_probs = lm.model(tokens, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
    for i, row in enumerate(drawn):
        own = log_probs[i, len(row.prompt) - 1 : len(rows[i]) - 1].gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row.log_probs), own, atol=1e-5, rtol=0)


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_a_row_does_not_depend_on_its_batch(lm, top_p):  # noqa: F811
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    settings = SamplingSettings(top_p=top_p, max_tokens=24)
    uniforms = np.random.default_rng(3).random((len(prompts), 24))
    together = sample(lm, prompts, settings, uniforms, groups)
    order = [3, 0, 4]
    some = sample(lm, [prompts[i] for i in order], settings, uniforms[order], [groups[i] for i in order])
    alone = [sample(lm, [prompts[i]], settings, uniforms[[i]])[0] for i in order]
    assert [row.tokens for row in some] == [together[i].tokens for i in order] == [row.tokens for row in alone]
    assert len({row.tokens for row in together}) == len(together)


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    at = lambda chance, **how: int(draw(logits[None], SamplingSettings(**how), torch.tensor([chance]).double())[0])  # noqa: E731
    assert [at(c) for c in (0.0, 0.49, 0.51, 0.74, 0.76, 0.874, 0.876, 0.999999)] == [0, 0, 1, 1, 2, 2, 3, 3]
    # Temperature 0.5 squares them: 16, 4, 1, 1 of 22.
    assert [at(c, temperature=0.5) for c in (16 / 22 - 1e-4, 16 / 22 + 1e-4, 20 / 22 + 1e-4, 21 / 22 + 1e-4)] == [
        0,
        1,
        2,
        3,
    ]
    # top-p 0.6 needs the first two tokens: 2/3 and 1/3.
    assert [at(c, top_p=0.6) for c in (0.0, 0.66, 0.67, 0.999999)] == [0, 0, 1, 1]
    assert [at(c, top_p=0.49) for c in (0.0, 0.999999)] == [0, 0]
    assert at(0.999, temperature=0) == 0


def test_top_p_leaves_the_recorded_probability_alone():
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    chosen, log_probs = draw(logits, SamplingSettings(top_p=0.1), torch.tensor([0.9]).double())
    assert int(chosen) == 0
    assert float(log_probs) == pytest.approx(np.log(0.5), abs=1e-6)


def test_a_wide_table_is_drawn_from_in_parts(monkeypatch):
    logits = torch.randn(7, 11, generator=torch.Generator().manual_seed(0))
    chance = torch.linspace(0, 0.99, 7).double()
    whole = draw(logits, SamplingSettings(), chance)
    monkeypatch.setattr("agents.language_model.sampling._CHUNK", 25)
    for one, other in zip(draw(logits, SamplingSettings(), chance), whole, strict=True):
        assert torch.equal(one, other)


def test_messages_end_at_the_end_token_or_are_reported_as_cut_off(lm):  # noqa: F811
    prompts, _ = prompts_of([("a", 30, 20, n) for n in range(1, 41)])
    settings = SamplingSettings(max_tokens=60)
    drawn = sample(lm, prompts, settings, np.random.default_rng(4).random((40, 60)), [0] * 40)
    end = lm.tokenizer.eos_token_id
    for row in drawn:
        assert end not in row.tokens[:-1]
        assert row.truncated == (row.tokens[-1] != end)
        assert not row.truncated or len(row.tokens) == 60
        assert lm.tokenizer.eos_token not in row.text
    assert {row.truncated for row in drawn} == {True, False}


def test_stop_texts_end_a_message_and_are_no_part_of_it(lm):  # noqa: F811
    prompts, _ = prompts_of([("a", 30, 20, n) for n in range(1, 9)])
    uniforms = np.random.default_rng(5).random((8, 40))
    free = sample(lm, prompts, SamplingSettings(max_tokens=40), uniforms, [0] * 8)
    row, stop = next(
        (i, row.text[12:14]) for i, row in enumerate(free) if row.text[12:14].isascii() and len(row.text) > 20
    )
    stopped = sample(lm, prompts, SamplingSettings(max_tokens=40, stop=(stop, "never written")), uniforms, [0] * 8)
    for before, after in zip(free, stopped, strict=True):
        assert after.tokens == before.tokens[: len(after.tokens)]
        assert after.text == before.text.split(stop)[0]
        assert len(after.tokens) < len(before.tokens) or stop not in lm.decode(before.tokens[:-1])
    assert not stopped[row].truncated
    assert stop in lm.decode(stopped[row].tokens)
    assert stop not in lm.decode(stopped[row].tokens[:-1])


def test_attention_is_that_of_transformers_and_is_given_back():
    """Grouped heads, a head for each query, and attention that is not PyTorch's own."""
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    uniforms = np.random.default_rng(6).random((5, 12))
    found = {}
    for heads, kind in ((2, "sdpa"), (2, "eager"), (4, "sdpa"), (1, "sdpa")):
        model = small_model(3, num_key_value_heads=heads, attn_implementation=kind)
        drawn = sample(CausalLM(model, small_tokenizer()), prompts, SamplingSettings(max_tokens=12), uniforms, groups)
        assert model.config._attn_implementation == kind
        for row in drawn:
            known = table(model, row.prompt + row.tokens)[len(row.prompt) - 1 : -1]
            expected = known.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(row.log_probs), expected, atol=1e-5, rtol=0)
        found[heads, kind] = [row.tokens for row in drawn]
    assert found[2, "sdpa"] == found[2, "eager"] != found[4, "sdpa"]


def test_a_model_with_adapters_is_sampled_like_any():
    peft = pytest.importorskip("peft")
    plain = small_model(4)
    torch.manual_seed(0)
    model = peft.get_peft_model(
        plain, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    uniforms = np.random.default_rng(8).random((5, 10))
    drawn = sample(CausalLM(model, small_tokenizer()), prompts, SamplingSettings(max_tokens=10), uniforms, groups)
    for row in drawn:
        known = table(model, row.prompt + row.tokens)[len(row.prompt) - 1 : -1]
        expected = known.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row.log_probs), expected, atol=1e-5, rtol=0)


def test_sliding_windows_are_read_without_sharing():
    model = small_model(
        1, use_sliding_window=True, sliding_window=16, max_window_layers=0, layer_types=["sliding_attention"] * 2
    )
    prompts, groups = prompts_of(LAYOUTS["two groups"])
    with torch.inference_mode():
        logits = prefill(model, prompts, groups).logits
    for prompt, own in zip(prompts, logits, strict=True):
        torch.testing.assert_close(own.log_softmax(-1), table(model, prompt)[-1], atol=1e-5, rtol=0)


def test_what_cannot_work_is_refused(lm):  # noqa: F811
    with pytest.raises(SettingsError, match=r"uniforms of shape \(1, 4\), got None"):
        sample(lm, [(5, 6)], SamplingSettings(max_tokens=4))
    with pytest.raises(SettingsError, match="context of 8192"):
        sample(lm, [(5,) * 8190], SamplingSettings(temperature=0, max_tokens=4))
    for wrong in (
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"max_tokens": 0},
        {"stop": ("",)},
    ):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            SamplingSettings(**wrong)


def test_drawing_leaves_every_part_of_a_model_in_its_mode(lm):  # noqa: F811
    model = lm.model
    model.train()
    model.model.layers[0].eval()
    before = [module.training for module in model.modules()]
    try:
        sample(lm, [(5, 6)], SamplingSettings(temperature=0, max_tokens=1))
        assert [module.training for module in model.modules()] == before
        assert len(set(before)) == 2
    finally:
        model.eval()
