"""The most memory that the update of a micro-batch takes, with and without gradient checkpointing; no machine needs to have it.

    python benchmarks/update_peak.py --size 4B --shared 4096 --own 512 --completion 256 --micro-batch 8

The forward and the backward pass run as they are, at full size, over tensors without contents (PyTorch's FakeTensorMode), and every
tensor is counted from when it is made until it is gone; not counted are weights, their gradients, the optimiser, and what a kernel
needs while it runs. Attention is PyTorch's on a CPU, whose kernel keeps no probabilities. Takes a few minutes on one core. What is
kept for the backward pass, for any size and by kind of token: update_memory.py.
"""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, Qwen3Config, masking_utils
from update_memory import COMMON, SIZES, arguments

sys.path.insert(0, str(Path(__file__).parents[1]))

from trainers.tokens.loading import adapted
from trainers.tokens.rows import TokenRow
from trainers.tokens.shared_prefix import row_log_probs


class Alive(TorchDispatchMode):
    """Bytes of the tensors that were made within and are still there, and the most there were."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
        self._known |= {p.grad.untyped_storage()._cdata for p in model.parameters() if p.grad is not None}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do it, and count what is new."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self._known:
                self._known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return out

    def _gone(self, storage: int, size: int) -> None:
        self._known.remove(storage)
        self.now -= size


def model_of(size: str, dtype: torch.dtype, rank: int | None) -> torch.nn.Module:
    """A model without weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            Qwen3Config(**SIZES[size] | COMMON | {"vocab_size": 151_936}), dtype=dtype
        )
        return model if rank is None else adapted(model, rank)


def place(model: torch.nn.Module) -> None:
    """Give it weights, and gradients where they are trained: without contents, within a FakeTensorMode."""
    for part in model.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                here = torch.empty(weight.shape, dtype=weight.dtype)
                part._parameters[name] = torch.nn.Parameter(here, weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    model.tie_weights()
    for weight in model.parameters():
        if weight.requires_grad:
            weight.grad = torch.zeros_like(weight)


def measured(model: torch.nn.Module, rows: list[TokenRow], checkpointing: bool) -> tuple[int, int]:
    """Bytes that a micro-batch keeps from its forward to its backward pass, and the most that it takes in either."""
    ignore = masking_utils._ignore_causal_mask_sdpa
    # A mask of nothing but ones is left out, which cannot be seen where tensors have no contents: rows are of one length here.
    unpadded = patch.object(
        masking_utils, "_ignore_causal_mask_sdpa", lambda _, *rest, **more: ignore(None, *rest, **more)
    )
    with unpadded, Alive(model) as alive:
        found = row_log_probs(model, rows, checkpointing=checkpointing)
        kept = alive.now
        sum(values.sum() for values in found).backward()
    return kept, alive.most


def main() -> None:
    """Count, tell."""
    given = arguments(__doc__)
    start = (1,) * given.shared
    rows = [
        TokenRow((*start, 2 + g, *(1,) * (given.own - 1)), (1,) * given.completion) for g in range(given.micro_batch)
    ]
    model = model_of(given.size, getattr(torch, given.dtype), given.lora_rank or None)
    print(
        f"{given.size}, {given.dtype}, rank {given.lora_rank or None}, {given.micro_batch} rows of {given.shared} shared + "
        f"{given.own} own + {given.completion} completed tokens"
    )
    with FakeTensorMode():
        place(model)
        for checkpointing in (False, True):
            kept, most = measured(model, rows, checkpointing)
            print(
                f"gradient checkpointing {'on' if checkpointing else 'off'}: {kept / 2**30:.1f} GiB kept for the backward pass, "
                f"{most / 2**30:.1f} GiB at most",
                flush=True,
            )


if __name__ == "__main__":
    main()
