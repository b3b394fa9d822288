"""A small Qwen3 model with random weights, a trained tokenizer and a chat template, and `transformers serve` over it.

The weights are random, so the text is nonsense; the loading code, the template, the sampling and the server are the real ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from endpoint_server import wait_for

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = (
    "The quick brown fox jumps over the lazy dog and the notes say where the key is.",
    '{"answer": "...", "evidence": [1, 2]} Question: Notes: Who has the key of the old house in Oslo?',
)


def make_model(folder: Path, texts: Sequence[str] = TEXTS, seed: int = 0) -> Path:
    """Write model and tokenizer, about 0.2 million parameters; gives the folder."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    torch.set_num_threads(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    torch.manual_seed(seed)
    config = transformers.Qwen3Config(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=8192,
        tie_word_embeddings=False,  # tied random weights repeat the last token for ever
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    model = transformers.Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def serve(model: Path, port: int, home: Path) -> subprocess.Popen[bytes]:
    """`transformers serve` on loopback, once it answers; without network."""
    (home / "hub").mkdir(parents=True, exist_ok=True)  # it lists the models of this cache and fails where there is none
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [Path(sys.executable).with_name("transformers"), "serve", model]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "error"]
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen([*map(str, command), *options], env=environment, stdout=log, stderr=log)
    wait_for(f"http://127.0.0.1:{port}/v1/models", process, 120)
    return process
