"""Log-probabilities of given tokens, without the whole table of logits in memory.

Of N tokens and V words, no table of more than `CHUNK` x V is ever made, and none is kept from the forward to the backward pass:
what is kept are the (N, H) hidden states, a reference to the weight, N targets and N float32 norms. The products with the weight
are in the weight's type; logits become float32 before they are divided, exponentiated and summed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from agents.language_model.cpu_linear import fast_linear

CHUNK = 128
"""Tokens whose logits are in memory at a time: with 151,936 words of float32, 78 MB."""


class _Selected(torch.autograd.Function):
    """log softmax(hidden weight^T / temperature)[target]; the logits are made again for the gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float) -> Tensor:
        found, norms = [], []
        for part, wanted in zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True):
            logits = linear(part, weight).float().div_(temperature)
            norm = logits.logsumexp(-1)
            found.append(logits.gather(1, wanted[:, None])[:, 0] - norm)
            norms.append(norm)
            del logits  # before the next chunk's are made
        ctx.save_for_backward(hidden, weight, targets, torch.cat(norms))
        ctx.temperature = temperature
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden, weight, targets, norms = ctx.saved_tensors
        needs_hidden, needs_weight, *_ = ctx.needs_input_grad
        down: list[Tensor] | None = [] if needs_hidden else None
        total = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        pieces = zip(
            hidden.split(CHUNK), targets.split(CHUNK), norms.split(CHUNK), gradients[0].split(CHUNK), strict=True
        )
        with fast_linear(weight):
            for part, wanted, norm, gradient in pieces:
                # One float32 table in place of its successors: logits, probabilities, slope.
                table = linear(part, weight).float().div_(ctx.temperature).sub_(norm[:, None]).exp_().neg_()
                table.scatter_add_(1, wanted[:, None], torch.ones_like(table[:, :1]))
                slope = table.mul_(gradient[:, None] / ctx.temperature).to(part.dtype)
                del table
                if down is not None:
                    down.append(linear(slope, weight.T))
                if total is not None:
                    total += linear(slope.T, part.T)
                del slope  # before the next chunk's table is made
        return (
            None if down is None else torch.cat(down),
            None if total is None else total.to(weight.dtype),
            None,
            None,
        )


def selected_log_probs(hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each target under the output layer.

    Args:
        hidden: (N, H) last hidden states, differentiable.
        weight: (V, H) of the output layer, differentiable.
        targets: (N,) int64 token ids.
        temperature: that the tokens were drawn at.

    Returns:
        (N,) float32 natural logarithms; the sums over the vocabulary are in float32 whatever the weights are.
    """
    with fast_linear(weight):
        return _Selected.apply(hidden, weight, targets, temperature)
