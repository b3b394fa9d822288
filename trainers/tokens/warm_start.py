"""Supervised warm start: the model learns to write what a teacher wrote, before it is rewarded for anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from memenvs.errors import SettingsError
from trainers.tokens.rows import TokenRow
from trainers.tokens.shared_prefix import row_log_probs
from trainers.tokens.update import clipped_norm


@dataclass(frozen=True)
class WarmStartSettings:
    """Size of the warm start."""

    epochs: int = 3
    """Passes over the rows."""
    batch: int = 32
    """Rows per step of the optimiser."""
    micro_batch: int = 8
    """Rows that go through the model together, those of similar length."""
    gradient_checkpointing: bool = False
    """See `trainers.tokens.recompute`."""
    learning_rate: float = 1e-3
    """Highest, after ``warm_up`` of the steps; it then falls to 0 in a half cosine."""
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's."""
    max_norm: float = 1.0
    """Of the gradient; longer ones are cut to it."""
    seed: int = 0
    """Decides the order of the rows."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "micro_batch"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")


def warm_start(
    model: Any,
    rows: Sequence[TokenRow],
    settings: WarmStartSettings = WarmStartSettings(),
    progress: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> list[float]:
    """Minimise the mean negative log-probability of the completions' tokens; prompts are read and not learnt.

    Args:
        model: a causal language model of transformers. It stays in its mode: in a run evaluation, without dropout.
        rows: prompts with what the teacher wrote.
        settings: see `WarmStartSettings`.
        progress: called with finished steps, all steps and the loss.

    Returns:
        The loss of each step, nats per token.

    Raises:
        SettingsError: there is no row.
    """
    if not rows:
        raise SettingsError("a warm start needs at least one row: play a teacher over some streams first")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    order = [
        part
        for epoch in range(settings.epochs)
        for part in _batches(len(rows), settings.batch, np.random.default_rng([settings.seed, epoch]))
    ]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, len(order), settings.warm_up))
    losses = []
    for step, batch in enumerate(order):
        batch = sorted(batch, key=lambda i: len(rows[i].prompt) + len(rows[i].completion))
        tokens = sum(len(rows[i].completion) for i in batch)
        optimiser.zero_grad()
        loss = 0.0
        for start in range(0, len(batch), settings.micro_batch):
            own = [rows[i] for i in batch[start : start + settings.micro_batch]]
            part = -torch.cat(row_log_probs(model, own, checkpointing=settings.gradient_checkpointing)).sum() / tokens
            part.backward()
            loss += float(part.detach())
        clipped_norm(parameters, settings.max_norm)
        optimiser.step()
        schedule.step()
        losses.append(loss)
        progress(step + 1, len(order), loss)
    return losses


def rate_at(step: int, steps: int, warm_up: float) -> float:
    """Share of the highest learning rate at a step: a straight rise, then half a cosine down to 0."""
    rise = max(1, round(warm_up * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + float(np.cos(np.pi * (step - rise) / max(1, steps - rise))))


def _batches(count: int, size: int, rng: np.random.Generator) -> list[list[int]]:
    order = rng.permutation(count).tolist()
    return [order[start : start + size] for start in range(0, count, size)]
