"""Rows of tokens: what the torch slots work on.

A row is one sequence of the policy: one decision of the small policy (L = 1), or the L tokens that a language model wrote. Rows of
one batch are padded to the same L; the mask says which entries are tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memenvs.errors import SettingsError


def check_mask(mask: Tensor) -> None:
    """Refuse a mask that is not (N, L) bool with SettingsError."""
    if mask.ndim != 2 or mask.dtype != torch.bool:
        raise SettingsError(
            f"the mask must be (N, L) bool, got {tuple(mask.shape)} {mask.dtype}; a decision is a row with L = 1"
        )


def counted(name: str, values: Tensor, mask: Tensor, per_row: bool = False) -> Tensor:
    """The values with 0 wherever the mask is False: nothing that stands there, be it NaN, reaches a value or a gradient.

    Args:
        name: of the values, for the message.
        values: (N, L), differentiable if it was before.
        mask: (N, L) bool, True for tokens.
        per_row: also take (N, 1), one value for the whole row.

    Returns:
        (N, L).

    Raises:
        SettingsError: the mask is not (N, L) bool, or the values have another shape.
    """
    check_mask(mask)
    # Anything looser would broadcast (N,) over the columns of a square batch without a word.
    if values.shape != mask.shape and not (per_row and values.shape == (len(mask), 1)):
        wanted = f"{tuple(mask.shape)}" + (f" or ({len(mask)}, 1)" if per_row else "")
        raise SettingsError(f"{name} must have the mask's shape {wanted}, got {tuple(values.shape)}")
    return values.expand(mask.shape).masked_fill(~mask, 0.0)


def row_means(values: Tensor, mask: Tensor) -> Tensor:
    """(N, 1) mean of each row's tokens; 0 for a row without any. The values are 0 where the mask is False."""
    return values.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
