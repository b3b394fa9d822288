"""Linear layers through oneDNN on a CPU.

PyTorch multiplies float32 matrices with MKL, which leaves half of an AMD processor's vector units unused; oneDNN, which PyTorch
brings along for other uses, does not. The numbers are those of float32 either way, in another order of summation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

LEAST = 1 << 24
"""Multiplications from which oneDNN is used. It looks for a kernel whenever sizes are new, which takes about 0.4 ms: a product of
this many gains that back within three times."""


class _Linear(torch.autograd.Function):
    """x W^T + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        (slope,) = gradients
        rows = slope.flatten(0, -2)
        return (
            _onednn(slope, weight.T) if needs_x else None,
            _onednn(rows.T, x.flatten(0, -2).T) if needs_weight else None,
            rows.sum(0) if needs_bias else None,
        )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Mode(TorchFunctionMode):
    """Every `torch.nn.functional.linear` within, where it fits."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is linear and not kwargs and _fits(*args):
            return _Linear.apply(*args, *(None,) * (3 - len(args)))
        return func(*args, **(kwargs or {}))


def _fits(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.dim() >= 2
        and weight.dim() == 2
        and x.numel() * weight.shape[0] >= LEAST
        and not torch.is_autocast_enabled("cpu")
    )


def fast_linear(like: Tensor) -> AbstractContextManager[Any]:
    """Large linear layers inside of the block go through oneDNN: float32 on a CPU, from `LEAST` on; all others are as they were.

    A backward pass within the block does likewise, and so does a later one of what was computed within. Where PyTorch was built
    without oneDNN, nothing changes.

    Args:
        like: a weight of the model; if it is of another type or elsewhere, nothing changes.
    """
    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return _Mode() if there and like.dtype == torch.float32 and like.device.type == "cpu" else nullcontext()
