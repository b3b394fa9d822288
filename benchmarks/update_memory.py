"""Memory that an update of a language model keeps for its backward pass, beside weights and optimiser.

    python benchmarks/update_memory.py --size 4B --shared 4096 --own 512 --completion 256 --micro-batch 1

Nothing of this size is run. What autograd saves is counted in models of two and three layers of the full width over few tokens. It
is linear in the tokens, but for masks, whose size is known (tried on a last case), and a layer more is a layer more. Attention is
PyTorch's on a CPU, whose kernel keeps no probabilities; where a model falls back to another one, more is kept. Not counted: what a
kernel needs while it runs, and two tables of 128 tokens times the vocabulary in float32 (`trainers.tokens.selected`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

sys.path.insert(0, str(Path(__file__).parents[1]))

from trainers.tokens.loading import adapted
from trainers.tokens.rows import TokenRow
from trainers.tokens.shared_prefix import row_log_probs

SIZES = {
    "0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "num_hidden_layers": 28},
    "4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32, "num_hidden_layers": 36},
}
"""Of Qwen3's configurations; 8 heads of 128 for keys and values, 151,936 words, tied embeddings."""
COMMON = {"num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True, "max_position_embeddings": 40_960}
CASES = (
    (2, 40, 12, 8),
    (2, 72, 12, 8),
    (2, 40, 28, 8),
    (2, 40, 12, 20),
    (4, 40, 12, 8),
    (3, 72, 28, 20),
    (2, 56, 60, 40),
)
"""Rows, and tokens that are shared, own and completed: what the costs are found from."""
LAST = (3, 200, 80, 60)
"""What they are tried on."""


def model_of(size: str, layers: int, dtype: torch.dtype, rank: int | None) -> torch.nn.Module:
    """A model of few layers and a small vocabulary."""
    config = Qwen3Config(**SIZES[size] | COMMON | {"num_hidden_layers": layers, "vocab_size": 64})
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model if rank is None else adapted(model, rank)


def saved(model: torch.nn.Module, rows: int, shared: int, own: int, completion: int) -> int:
    """Bytes that the backward pass of a micro-batch needs, the model's own weights left out; each storage once."""
    start = tuple(i % 60 for i in range(shared))
    batch = [TokenRow((*start, 61 + g % 3, *(g,) * (own - 1)), (5,) * completion) for g in range(rows)]
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage  # held, so that its address is nobody else's
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = row_log_probs(model, batch)
    total = sum(storage.nbytes() for storage in kept.values())
    del found
    return total


def counts(rows: int, shared: int, own: int, completion: int) -> list[float]:
    """What bytes are linear in: shared tokens, these again for each row, own tokens, completions' tokens, 1."""
    if rows == 1:  # shares with nobody
        shared, own = 0, shared + own
    return [shared, rows * shared, rows * own, rows * completion, 1]


def masks(rows: int, shared: int, own: int, completion: int) -> int:
    """Entries of the masks that a layer keeps, in the type of the weights: of all passes that look back at a cache."""
    looking_back = own * (shared + own) if rows > 1 else 0
    return rows * (looking_back + completion * (shared + own + completion))


def arguments(about: str) -> argparse.Namespace:
    """The command line of a script whose docstring is ``about``: a model, and the tokens of a micro-batch."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="4B")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--lora-rank", type=int, default=16, help="0 trains all weights")
    for name, value in (("shared", 4096), ("own", 512), ("completion", 256), ("micro-batch", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def main() -> None:
    """Count, fit, tell."""
    given = arguments(__doc__)
    torch.set_num_threads(1)
    rank = given.lora_rank or None
    dtype = getattr(torch, given.dtype)
    two, three = (model_of(given.size, layers, dtype, rank) for layers in (2, 3))
    cases = [(min(rows, given.micro_batch), *tokens) for rows, *tokens in (*CASES, LAST)]
    table = np.array([counts(*case) for case in cases])
    taken = np.array([[saved(model, *case) for model in (two, three)] for case in cases], float)
    taken[:, 1] -= taken[:, 0]  # what two layers keep, and what one more does
    known = np.array([masks(*case) * dtype.itemsize for case in cases])
    taken -= np.outer(known, (2, 1))
    costs = np.linalg.lstsq(table[:-1], taken[:-1], rcond=None)[0]
    tried = (table[-1] @ costs).sum() / taken[-1].sum()
    layers = SIZES[given.size]["num_hidden_layers"]
    asked = np.array(counts(given.micro_batch, given.shared, given.own, given.completion))
    total = asked @ (costs[:, 0] + (layers - 2) * costs[:, 1])
    total += layers * dtype.itemsize * masks(given.micro_batch, given.shared, given.own, given.completion)
    names = ("shared", "shared again per row", "own", "completion")
    told = ", ".join(
        f"{name} {cost / 1024:,.1f}" for name, cost, n in zip(names, costs[:, 1], asked, strict=False) if n
    )
    print(f"KiB per token and layer: {told} (the last case: {tried:.3f} of what was counted)")
    print(
        f"{given.size}, {given.dtype}, rank {rank}, {given.micro_batch} rows of {given.shared} shared + {given.own} own + "
        f"{given.completion} completed tokens: {total / 2**30:.1f} GiB"
    )


if __name__ == "__main__":
    main()
