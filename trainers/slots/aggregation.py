"""The aggregation slot: how much each token weighs in the objective of a batch.

Every value of the slot is ``f(objective, mask, settings) -> scalar``, with the objective (N, L) and the mask (N, L) bool. What
stands where the mask is False is ignored, and rows without a token count nowhere. Without any token the result is 0, and so is its
gradient.

With x the objective, |i| the number of tokens of row i, N the number of rows that have any:

* `token_mean` (DAPO) - sum x / sum |i|: each token weighs the same.
* `sequence_mean` (GRPO) - mean over rows of the row's mean: a short row's tokens weigh more.
* `constant` (Dr. GRPO) - sum x / (N max_tokens): each token weighs the same in every batch.
* `length` (LUSPO) - mean over rows of |i| times the row's mean, which is sum x / N.
* `prompt_mean` (ScaleRL) - mean over prompts of the token mean of the prompt's rows.

All raise SettingsError where a shape or a setting cannot work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from memenvs.errors import SettingsError, whole
from trainers.slots.rows import counted, row_means


@dataclass(frozen=True)
class AggregationSettings:
    """Numbers of the aggregation slot."""

    max_tokens: int | None = None
    """`constant` alone, which cannot do without: the most tokens that a row can have, 1 for the small policy."""
    divide_by_rows: bool = True
    """`constant` alone. True: divide by N max_tokens (Dr. GRPO, TRL); False: by max_tokens only, which is N times as much (verl's
    seq-mean-token-sum-norm)."""
    prompts: Tensor | None = field(default=None, compare=False, repr=False)
    """`prompt_mean` alone, which cannot do without: (N,) int64, rows with the same number answer the same prompt."""

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            whole("max_tokens", self.max_tokens, 1)


def token_mean(objective: Tensor, mask: Tensor, settings: AggregationSettings) -> Tensor:
    """Mean over the batch's tokens.

    Source: DAPO, arXiv 2503.14476; volcengine/verl@b178a3c ``core_algos.agg_loss``, "token-mean".
    """
    return counted("objective", objective, mask).sum() / mask.sum().clamp(min=1)


def sequence_mean(objective: Tensor, mask: Tensor, settings: AggregationSettings) -> Tensor:
    """Mean over rows of the mean over the row's tokens.

    Source: GRPO, arXiv 2402.03300, equation 3; volcengine/verl@b178a3c ``core_algos.agg_loss``, "seq-mean-token-mean".
    """
    return row_means(counted("objective", objective, mask), mask).sum() / _rows(mask)


def constant(objective: Tensor, mask: Tensor, settings: AggregationSettings) -> Tensor:
    """Sum over tokens, divided by a number that no row's length enters.

    Source: Dr. GRPO, arXiv 2503.20783; huggingface/trl@f2cd577 ``loss_type="dr_grpo"``, volcengine/verl@b178a3c
    ``core_algos.agg_loss``, "seq-mean-token-sum-norm" (``divide_by_rows=False``).
    """
    if settings.max_tokens is None:
        raise SettingsError("constant needs max_tokens, the most tokens that a row can have (1 for the small policy)")
    total = counted("objective", objective, mask).sum() / settings.max_tokens
    return total / _rows(mask) if settings.divide_by_rows else total


def length(objective: Tensor, mask: Tensor, settings: AggregationSettings) -> Tensor:
    """Mean over rows of the row's sum: after `ratios.gspo` that is the row's value times its number of tokens.

    Source: LUSPO, arXiv 2602.05261; huggingface/trl@f2cd577 ``loss_type="luspo"``.
    """
    return counted("objective", objective, mask).sum() / _rows(mask)


def prompt_mean(objective: Tensor, mask: Tensor, settings: AggregationSettings) -> Tensor:
    """Mean over prompts of the mean over the tokens of all the prompt's rows.

    Source: ScaleRL, arXiv 2510.13786.
    """
    prompts = settings.prompts
    if prompts is None or prompts.shape != mask.shape[:1] or prompts.dtype != torch.int64:
        got = "none" if prompts is None else f"{tuple(prompts.shape)} {prompts.dtype}"
        raise SettingsError(f"prompt_mean needs prompts, ({len(mask)},) int64 with one number per row; got {got}")
    known, place = prompts.unique(return_inverse=True)
    sums = counted("objective", objective, mask).sum(1)
    tokens = mask.sum(1)
    sums = sums.new_zeros(len(known)).index_add(0, place, sums)
    tokens = tokens.new_zeros(len(known)).index_add(0, place, tokens)
    return (sums / tokens.clamp(min=1)).sum() / (tokens > 0).sum().clamp(min=1)


Aggregation = Callable[[Tensor, Tensor, AggregationSettings], Tensor]
"""A value of the slot."""
AGGREGATIONS: Mapping[str, Aggregation] = {
    "token_mean": token_mean,
    "sequence_mean": sequence_mean,
    "constant": constant,
    "length": length,
    "prompt_mean": prompt_mean,
}
"""The slot's values by name."""


def _rows(mask: Tensor) -> Tensor:
    """Number of rows that have a token, at least 1."""
    return mask.any(1).sum().clamp(min=1)
