"""What follows a step: discounted rewards to go, and generalised advantages against a critic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.slots.types import Array


def to_go(rewards: Array, gamma: float) -> Array:
    """R_t = r_t + gamma R_{t+1} along the last axis; 0 after the last step.

    Args:
        rewards: (..., T); a NaN makes its own step and all earlier ones NaN.
        gamma: discount per step.

    Source: GiGPO's step returns (xlan156/verl-agent@8ca3a46 ``gigpo/core_gigpo.py``), REINFORCE++ (volcengine/verl@b178a3c
    ``core_algos.compute_reinforce_plus_plus_outcome_advantage``).
    """
    out = np.empty_like(rewards)
    following = np.zeros(rewards.shape[:-1])
    for t in reversed(range(rewards.shape[-1])):
        following = rewards[..., t] + gamma * following
        out[..., t] = following
    return out


def gae(rewards: Array, values: Array, gamma: float, lam: float, mask: NDArray[np.bool_] | None = None) -> Array:
    """A_t = d_t + gamma lam A_{t+1} with d_t = r_t + gamma V_{t+1} - V_t along the last axis; V and A are 0 at the end.

    A + V is the target of the critic.

    Args:
        rewards: (..., T).
        values: (..., T), V before each step.
        gamma: discount per step.
        lam: lambda.
        mask: (..., T), False for steps that nobody decided (observations). V and A are carried across them as if they were not
            there, so that they change no other step; their own entry is the A of the step that follows.

    Source: Schulman et al., arXiv 1506.02438; the mask as in verl ``core_algos.compute_gae_advantage_return``
    (volcengine/verl@b178a3c), which then whitens the result. Nothing is whitened here.
    """
    decided = np.ones(rewards.shape, np.bool_) if mask is None else mask
    out = np.empty_like(rewards)
    value, advantage = np.zeros(rewards.shape[:-1]), np.zeros(rewards.shape[:-1])
    for t in reversed(range(rewards.shape[-1])):
        here = rewards[..., t] + gamma * value - values[..., t] + gamma * lam * advantage
        advantage = np.where(decided[..., t], here, advantage)
        value = np.where(decided[..., t], values[..., t], value)
        out[..., t] = advantage
    return out
