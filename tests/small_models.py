"""Small language models made in code: a Qwen3 configuration, random weights, a tokenizer trained here, a chat template."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from memenvs.streams import load

TEMPLATE = """{%- if tools %}<|im_start|>system
{{ messages[0].content }}
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{%- set messages = messages[1:] %}
{%- endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"""
"""In the form of Qwen's templates."""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@lru_cache(maxsize=1)
def _tokenizer_json(vocabulary: int) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = [
        chunk.text for stream in map(load("builtin", split="train").__getitem__, range(4)) for chunk in stream.chunks
    ]
    texts += ['[{"op": "INSERT", "content": "x"}, {"op": "UPDATE", "id": "3.1"}, {"op": "DELETE", "span": [1, 2]}]'] * 5
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def small_tokenizer(vocabulary: int = 600) -> Any:
    """A byte-level tokenizer with `TEMPLATE`; any text survives it."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json(vocabulary)),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


def small_model(seed: int = 0, **sizes: Any) -> Any:
    """A random Qwen3 of some 200,000 parameters; its weights are large enough that contexts matter to what it says."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(**{
        "vocab_size": 600, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 8192, "tie_word_embeddings": False,
        "initializer_range": 0.1, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": None,
    } | sizes)  # fmt: skip
    return Qwen3ForCausalLM(config).eval()


def small_lm(seed: int = 0, **sizes: Any) -> Any:
    """Both as `agents.language_model.CausalLM`."""
    from agents.language_model.model import CausalLM

    return CausalLM(small_model(seed, **sizes), small_tokenizer())


def saved_model(folder: Any, seed: int = 0, **sizes: Any) -> Any:
    """Both written to a folder as ``save_pretrained`` does."""
    small_model(seed, **sizes).save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def lm() -> Any:
    """`small_lm` for tests that do not change it; import this name into the test module."""
    pytest.importorskip("transformers")
    return small_lm()
