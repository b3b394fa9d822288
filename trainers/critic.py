"""A critic: the value of what a policy sees before a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.candidate import Decision
from agents.candidate_features import CONTEXT_FEATURES, DELETE_FEATURES, INSERT_FEATURES, UPDATE_FEATURES
from trainers.slots.types import Array

Features = NDArray[np.float32]
CANDIDATE_FEATURES = CONTEXT_FEATURES + INSERT_FEATURES + UPDATE_FEATURES + DELETE_FEATURES


class Critic(nn.Module):
    """V of the state before a step, from features of it that the critic does not train.

    The last layer starts at zero, so the first advantages are those of plain returns.

    Args:
        features: F, how many the policy gives for a state.
        learning_rate: of its own Adam.
        passes: over the states that it is fitted to.
        seed: of the initial weights.
    """

    def __init__(
        self, features: int, learning_rate: float = 3e-3, passes: int = 2, seed: int = 0, hidden: int = 64
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Linear(features, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.passes = passes
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def forward(self, states: Tensor) -> Tensor:
        """Values (N,) float32 of N states, (N, F) float32."""
        return self.out(torch.tanh(self.body(states))).squeeze(1)

    def values(self, states: Features) -> Array:
        """Values (G, T) float64 of the states that a group's decisions were made in, (G, T, F) float32."""
        with torch.inference_mode():
            flat = self(torch.from_numpy(states).flatten(0, 1))
        return flat.numpy().astype(np.float64).reshape(states.shape[:2])

    def fit(self, states: Features, returns: Array) -> float:
        """Move towards observed returns (N,) of N states, (N, F) float32; the last pass's mean squared error.

        Source: PPO, arXiv 1707.06347, its value loss, without clipping.
        """
        given, target, error = torch.from_numpy(states), torch.from_numpy(returns.astype(np.float32)), 0.0
        for _ in range(self.passes):
            loss = nn.functional.mse_loss(self(given), target)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            error = float(loss.detach())
        return error


def candidate_states(decisions: Sequence[Sequence[Decision]]) -> Features:
    """The candidate policy's fixed features of chunk and memory: context and means over the candidates.

    Args:
        decisions: [G][T].

    Returns:
        (G, T, F) float32.
    """
    return np.stack([np.stack([_features(decision) for decision in row]) for row in decisions])


def _features(decision: Decision) -> Features:
    sets = decision.candidates
    tables = (sets.insert_features, sets.update_features, sets.delete_features)
    means = [table.mean(axis=0) if len(table) else np.zeros(table.shape[1], np.float32) for table in tables]
    return np.concatenate([sets.context, *means]).astype(np.float32)
