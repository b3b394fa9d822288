"""What the critic of a language model's run reads: sizes that any agent's episode has, and no text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memenvs.record import EpisodeRecord
from trainers.critic import Features

CRITIC_RATE = 1e-2
"""Of the critic's Adam. The model's own rate is far too small for weights that begin at random."""
CRITIC_PASSES = 16
"""Of the critic over an update's steps. With rate and passes it is near to the mean return of each step after some five updates."""
FEATURES = 4
"""What it reads of a step."""


def episode_states(records: Sequence[EpisodeRecord]) -> Features:
    """What is known of each step before its message is written.

    Args:
        records: of the G rollouts of one stream.

    Returns:
        (G, T, 4) float32: the share of the stream that is over, and log(1 + n) of items in memory, tokens in memory and tokens of
        the chunk, divided by 4, 6 and 6 so that they are near 1.
    """
    found = np.zeros((len(records), records[0].T, FEATURES), np.float32)
    for g, record in enumerate(records):
        items = tokens = 0
        for t, step in enumerate(record.steps):
            sizes = np.log1p([items, tokens, step.chunk_tokens]) / (4, 6, 6)
            found[g, t] = (t / record.T, *sizes)
            items, tokens = step.memory_items, step.memory_tokens
    return found
