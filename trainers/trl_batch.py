"""Rows of `trainers.trl_adapter` as TRL's loss reads them: weighted so that they may be cut anywhere.

Every aggregation is linear in the tokens' objectives, and an objective grows with its advantage. So what a token counts in the
whole batch is put into its row's advantage, and TRL's loss is a plain sum: over processes, gradient accumulation and micro-batches,
whatever rows each of them has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl.trainer.utils import pad

from trainers.slots.aggregation import AggregationSettings
from trainers.slots.choices import resolve
from trainers.tokens.rows import TokenRow

Weighted = tuple[TokenRow, float]
"""A row and what its tokens' objective is multiplied with: advantage x weight."""


def token_weights(lengths: Sequence[int], prompts: Sequence[int], aggregation: str, max_tokens: int) -> list[float]:
    """What a token counts in the objective of the whole batch, per row.

    Args:
        lengths: tokens of each row, of all processes; none is 0.
        prompts: a number per row; rows of one stream have the same.
        aggregation: a value of the slot.
        max_tokens: the most tokens that a row can have.
    """
    if not lengths:
        return []
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    flat = torch.zeros(mask.shape, requires_grad=True)
    numbers = torch.tensor(prompts, dtype=torch.int64)
    total = resolve("aggregation", aggregation)(flat, mask, AggregationSettings(max_tokens=max_tokens, prompts=numbers))
    (weights,) = torch.autograd.grad(total, flat)
    return [float(weight) for weight in weights[:, 0]]


def make_batch(rows: Sequence[Weighted], size: int, fill: int, device: torch.device) -> dict[str, Any]:
    """Tensors: prompts padded on the left, completions on the right.

    Args:
        rows: of this process.
        size: at least as many; empty rows, of which nothing is learnt, fill it up.
        fill: token id of the padding.
        device: of the tensors.

    Returns:
        ``prompt_ids``, ``prompt_mask`` (size, P), ``completion_ids``, ``completion_mask`` (size, C) int64, ``advantages`` (size,)
        float32 and the scalar ``num_items_in_batch``, which is 1: TRL divides by it.
    """
    empty = [torch.tensor([fill])] * (size - len(rows))
    prompts = [torch.tensor(row.prompt) for row, _ in rows] + empty
    completions = [torch.tensor(row.completion) for row, _ in rows] + empty
    written = [torch.ones_like(tokens) for tokens in completions[: len(rows)]] + [
        torch.zeros_like(one) for one in empty
    ]
    return {
        "prompt_ids": pad(prompts, fill, "left").to(device),
        "prompt_mask": pad([torch.ones_like(tokens) for tokens in prompts], 0, "left").to(device),
        "completion_ids": pad(completions, fill, "right").to(device),
        "completion_mask": pad(written, 0, "right").to(device),
        "advantages": torch.tensor([weight for _, weight in rows] + [0.0] * len(empty), device=device),
        "num_items_in_batch": torch.tensor(1.0, device=device),
    }


def micro_batches(batch: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """The same rows in parts of at most ``most``, from the shortest to the longest, each padded to its own longest."""
    prompts, completions = batch["prompt_mask"].sum(1), batch["completion_mask"].sum(1)
    parts = []
    for index in (prompts + completions).argsort(stable=True).split(most):
        left, right = int(prompts[index].max()), max(1, int(completions[index].max()))
        parts.append(
            {name: tensor[index] if tensor.ndim else tensor for name, tensor in batch.items()}
            | {name: batch[name][index, -left:] for name in ("prompt_ids", "prompt_mask")}
            | {name: batch[name][index, :right] for name in ("completion_ids", "completion_mask")}
        )
    return parts
