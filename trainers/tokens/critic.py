"""What a critic reads of a language model: the model's own state at the end of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.nn.functional import layer_norm

from agents.language_model.policy import Decision
from trainers.critic import Features
from trainers.tokens.rows import TokenRow, micro_batches
from trainers.tokens.shared_prefix import prompt_states

CRITIC_RATE = 1e-3
"""Of the critic's Adam. The model's own rate is far too small for a network that begins with random weights."""
CRITIC_PASSES = 4
"""Of the critic over an update's steps; a pass costs next to nothing."""


def prompt_features(model: Any, decisions: Sequence[Sequence[Decision]], micro_batch: int = 8) -> Features:
    """The last hidden state at the last token of each decision's prompt: what the model made of chunk and memory.

    Values are of the state before a step, so they are read before the first token of its message, and all tokens of the message
    have one advantage. States are scaled to mean 0 and standard deviation 1, since families differ in their size.

    Args:
        model: a causal language model of transformers, as it is now.
        decisions: [G][T].
        micro_batch: prompts that go through the model together.

    Returns:
        (G, T, H) float32. The critic does not move the model.
    """
    samples = [(t, decision.sample) for row in decisions for t, decision in enumerate(row)]
    rows = [TokenRow(sample.prompt, sample.tokens[:1], step=t) for t, sample in samples]
    found: dict[int, Features] = {}
    for batch in micro_batches(rows, micro_batch):
        states = prompt_states(model, [rows[i] for i in batch]).float()
        found |= zip(batch, layer_norm(states, states.shape[1:]).cpu().numpy(), strict=True)
    return np.stack([found[i] for i in range(len(rows))]).reshape(len(decisions), -1, len(found[0]))
