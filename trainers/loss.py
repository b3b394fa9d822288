"""The clipped policy-gradient loss over decisions."""

from __future__ import annotations

import torch
from torch import Tensor

_MAX_LOG_RATIO = 20.0
"""Keeps exp() finite for decisions that the policy has all but given up; far outside any clip range."""


def clipped_loss(
    new_log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip: float = 0.2,
    clip_high: float | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Negative clipped surrogate, averaged over decisions: -mean(min(ratio A, clip(ratio, 1 - clip, 1 + clip_high) A)).

    Args:
        new_log_probs: (N,) log-probabilities under the present weights, differentiable.
        old_log_probs: (N,) log-probabilities when the decisions were drawn.
        advantages: (N,).
        clip: how far the ratio may fall below 1, and rise above it unless ``clip_high`` is given.
        clip_high: how far the ratio may rise above 1 (DAPO's clip-higher).
        mask: (N,) bool; decisions that count. All by default.

    Returns:
        A scalar; 0 where nothing counts.

    Raises:
        ValueError: the shapes differ.

    Source: Schulman et al., arXiv 1707.06347, equation 7; a decision is one sample, its set of operations one action.
    """
    if not new_log_probs.shape == old_log_probs.shape == advantages.shape:
        shapes = [tuple(x.shape) for x in (new_log_probs, old_log_probs, advantages)]
        raise ValueError(f"log-probabilities and advantages must have one shape, got {shapes}")
    log_ratio = (new_log_probs - old_log_probs.detach()).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + (clip if clip_high is None else clip_high))
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    if mask is None:
        return -surrogate.mean()
    return -surrogate.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)
