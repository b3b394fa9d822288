"""A critic for the small policy: the value of what it sees before a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.candidate import Decision
from agents.candidate_features import CONTEXT_FEATURES, DELETE_FEATURES, INSERT_FEATURES, UPDATE_FEATURES
from trainers.rollout import Group

FEATURES = CONTEXT_FEATURES + INSERT_FEATURES + UPDATE_FEATURES + DELETE_FEATURES


class Critic(nn.Module):
    """V of the state before a step, from the policy's fixed features of chunk and memory: context and means over the candidates.

    The last layer starts at zero, so the first advantages are those of plain returns.

    Args:
        learning_rate: of its own Adam.
        seed: of the initial weights.
    """

    def __init__(self, learning_rate: float = 3e-3, seed: int = 0, hidden: int = 64) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Linear(FEATURES, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def forward(self, decisions: Sequence[Decision]) -> Tensor:
        """Values (N,) float32 of N states."""
        features = torch.from_numpy(np.stack([_features(decision) for decision in decisions]))
        return self.out(torch.tanh(self.body(features))).squeeze(1)

    def values(self, group: Group) -> NDArray[np.float64]:
        """Values (G, T) float64 of the states that a group's decisions were made in."""
        with torch.inference_mode():
            flat = self([decision for row in group.decisions for decision in row])
        return flat.numpy().astype(np.float64).reshape(len(group.decisions), -1)

    def fit(self, decisions: Sequence[Decision], returns: NDArray[np.float64], epochs: int) -> float:
        """Move towards observed returns (N,); the last pass's mean squared error.

        Source: PPO, arXiv 1707.06347, its value loss, without clipping.
        """
        target, error = torch.from_numpy(returns.astype(np.float32)), 0.0
        for _ in range(epochs):
            loss = nn.functional.mse_loss(self(decisions), target)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            error = float(loss.detach())
        return error


def _features(decision: Decision) -> NDArray[np.float32]:
    sets = decision.candidates
    tables = (sets.insert_features, sets.update_features, sets.delete_features)
    means = [table.mean(axis=0) if len(table) else np.zeros(table.shape[1], np.float32) for table in tables]
    return np.concatenate([sets.context, *means]).astype(np.float32)
