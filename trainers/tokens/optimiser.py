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


def rate_at(rate: float, warm_up: int, update: int, share: float) -> float:
    """The learning rate of a step: a straight line from 0 at the start to ``rate`` at the last step of update ``warm_up``.

    rate * min(1, (update + share) / warm_up); ``rate`` without a warm-up.

    Args:
        rate: after the warm-up.
        warm_up: its length in updates.
        update: number of finished updates.
        share: of this update's steps, those taken once this one is, in (0, 1].
    """
    return rate * min(1.0, (update + share) / warm_up) if warm_up else rate


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let the next steps have this size."""
    for group in optimiser.param_groups:
        group["lr"] = rate
