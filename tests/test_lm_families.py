"""Models of several families are read with shared prefixes and sampled as a plain forward of each row says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from small_models import small_tokenizer  # noqa: E402

from agents.language_model import CausalLM, SamplingSettings, sample  # noqa: E402

SIZES = {"vocab_size": 600, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SIZES | {
    "intermediate_size": 128,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
FAMILIES = {
    "Llama": GROUPED,
    "Mistral": GROUPED | {"sliding_window": 16},
    "Gemma2": GROUPED | {"head_dim": 16, "sliding_window": 16, "final_logit_softcapping": 3.0},
    "Granite": GROUPED | {"logits_scaling": 4.0},
    "Phi3": GROUPED,
    "GPTNeoX": SIZES | {"intermediate_size": 128, "max_position_embeddings": 512},
    "GPT2": {"vocab_size": 600, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "Bloom": {"vocab_size": 600, "hidden_size": 64, "n_layer": 2, "n_head": 4},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")
def test_log_probabilities_are_those_of_each_row_alone(family):
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], bos_token_id=None, eos_token_id=2)
    head = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}{head}")(config).eval()
    rng = np.random.default_rng(1)
    common, of_group = rng.integers(3, 600, 30).tolist(), rng.integers(3, 600, (2, 20)).tolist()
    groups = [0, 0, 1, 1, 0]
    prompts = [
        (*common, *of_group[g], *rng.integers(3, 600, n).tolist())
        for g, n in zip(groups, (5, 9, 1, 17, 2), strict=True)
    ]
    lm = CausalLM(model, small_tokenizer())
    for row in sample(lm, prompts, SamplingSettings(max_tokens=10), rng.random((5, 10)), groups):
        with torch.inference_mode():
            table = model(torch.tensor([row.prompt + row.tokens]), use_cache=False).logits[0].log_softmax(-1)
        known = table[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row.log_probs), known, atol=1e-5, rtol=0)
