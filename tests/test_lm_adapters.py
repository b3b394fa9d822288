"""Adapters of peft: found wherever they are loaded from, and forwarded as peft does."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from small_models import saved_model, small_model, small_tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from agents.language_model import CausalLM, LanguageModelPolicy, SamplingSettings, load_policy, sample  # noqa: E402
from memenvs.errors import DataError, SettingsError  # noqa: E402
from memenvs.reading import Reading, make_reader  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.shared_prefix import row_log_probs  # noqa: E402

PROMPTS = [(11, 12, 13, 14, 15, 16), (11, 12, 13, 14, 17), (11, 12, 13, 18, 19, 20, 21)]
"""Of two groups."""
GROUPS = [0, 0, 1]


def adapted(model, **settings):
    """With adapters that change what it says."""
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM", **settings)
    return peft.get_peft_model(model, config).eval()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder "run/adapters" whose model is named as "base", relative to where it was trained."""
    saved_model(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    adapted(AutoModelForCausalLM.from_pretrained("base"), target_modules="all-linear").save_pretrained("run/adapters")
    assert named(tmp_path / "run/adapters") == "base"
    return tmp_path


def named(folder, name=None):
    file = folder / "adapter_config.json"
    told = json.loads(file.read_text())
    if name is not None:
        file.write_text(json.dumps(told | {"base_model_name_or_path": name}))
    return told["base_model_name_or_path"]


def of_peft(folder, rows):
    """Log-probabilities of peft's own model, one row at a time, no cache."""
    model = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folder / "base"), folder / "run/adapters"
    ).eval()
    found = []
    for row in rows:
        with torch.no_grad():
            table = model(torch.tensor([row.prompt + row.completion]), use_cache=False).logits[0].log_softmax(-1)
        found.append(table[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.completion)[:, None])[:, 0])
    return found


def test_an_adapted_model_says_what_peft_makes_of_it(folders):
    lm = CausalLM.from_pretrained("run/adapters", device="cpu")
    drawn = sample(lm, PROMPTS, SamplingSettings(max_tokens=12), np.random.default_rng(0).random((3, 12)), GROUPS)
    rows = [TokenRow(row.prompt, row.tokens) for row in drawn]
    known = of_peft(folders, rows)
    for row, own, expected in zip(drawn, row_log_probs(lm.model, rows), known, strict=True):
        torch.testing.assert_close(torch.tensor(row.log_probs), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(own.detach(), expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        plain = row_log_probs(small_model(), rows)
    assert max(float((one - other).abs().max()) for one, other in zip(plain, known, strict=True)) > 0.1


def test_adapters_find_their_model_from_their_own_folder(folders, monkeypatch):
    reading = [Reading("Who?", (("0.1", "Ann has a cat."),))]
    here = [
        load_policy("run/adapters", device="cpu", max_tokens=4),
        make_reader("local:run/adapters", device="cpu", max_tokens=4),
    ]
    named(folders / "run/adapters", "../../base")
    monkeypatch.chdir(folders / "base")
    there = load_policy("../run/adapters", device="cpu", max_tokens=4)
    rows = [TokenRow(prompt, (5, 6, 7)) for prompt in PROMPTS]
    for one, other in zip(row_log_probs(there.lm.model, rows), row_log_probs(here[0].lm.model, rows), strict=True):
        assert torch.equal(one, other)
    assert (
        there.lm.tokenizer("Ann")["input_ids"] == here[0].lm.tokenizer("Ann")["input_ids"]
    )  # the model's: the adapters have none
    again = make_reader(f"local:{folders / 'run/adapters'}", device="cpu", max_tokens=4)
    assert again.read(reading) == here[1].read(reading)


def test_adapters_whose_model_is_nowhere_say_where_it_is_named(folders, monkeypatch):
    monkeypatch.chdir(folders / "run")
    for load in (load_policy, lambda name: make_reader(f"local:{name}")):
        with pytest.raises(
            DataError, match=r"for the model 'base', .* \"base_model_name_or_path\" of adapters/adapter_config\.json"
        ):
            load("adapters")
    (folders / "run/adapters/adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match="should name the adapters' model"):
        load_policy("adapters")


def test_what_is_trained_on_a_loaded_model_names_it_by_its_whole_path(folders):
    lm = CausalLM.from_pretrained("base", device="cpu")
    adapted(lm.model, target_modules="all-linear").save_pretrained("more")
    assert named(folders / "more") == str(folders / "base")


def test_adapters_of_the_output_layer_are_not_left_out():
    model = adapted(small_model(), target_modules=["q_proj", "lm_head"])
    rows = [TokenRow(prompt, (5, 6, 7)) for prompt in PROMPTS]
    for row, own in zip(rows, row_log_probs(model, rows), strict=True):
        table = model(torch.tensor([row.prompt + row.completion]), use_cache=False).logits[0].log_softmax(-1)
        expected = table[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.completion)[:, None])[:, 0]
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=0)


def test_virtual_tokens_are_refused():
    model = peft.get_peft_model(small_model(), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(SettingsError, match="virtual tokens"):
        CausalLM(model, small_tokenizer())


def test_a_policy_of_half_precision_is_computed_as_it_was_saved(tmp_path):
    base = saved_model(tmp_path / "base")
    lm = CausalLM.from_pretrained(base, "bfloat16", "cpu")
    lm.model = adapted(lm.model, target_modules="all-linear")  # in float32, beside weights in bfloat16
    LanguageModelPolicy(lm).save(tmp_path / "saved")
    tokens = torch.tensor([PROMPTS[0]])
    loaded = [load_policy(tmp_path / "saved", device="cpu", **given).lm for given in ({}, {"dtype": "float32"})]
    assert [one.dtype for one in loaded] == ["bfloat16", "float32"]
    with torch.no_grad():
        expected, same, other = (one.model(tokens).logits for one in (lm, *loaded))
    assert torch.equal(same, expected)
    assert not torch.equal(other, expected.float())
    file = tmp_path / "saved" / "prompt.json"
    told = json.loads(file.read_text())
    del told["dtype"]
    file.write_text(json.dumps(told))
    assert load_policy(tmp_path / "saved", device="cpu").lm.dtype == "float32"  # as files before it said nothing of it
