"""The optimiser of a language model."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def adam(parameters: Iterable[torch.nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Adam over the trainable parameters, all of a parameter's arithmetic in one pass over it.

    Args:
        parameters: of the model; frozen ones are left out.
        rate: step size.
    """
    return torch.optim.Adam([p for p in parameters if p.requires_grad], lr=rate, fused=True)
