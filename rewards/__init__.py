"""Rewards: pure terms over an episode record, and wrappers that put them on an environment.

* `terms` - the formulas, ``EpisodeRecord -> tuple of T floats``.
* `RewardWrapper` - the base for your own.
* `FineMemReward`, `OutcomeReward`, `ChunkStepReward`, `EvidenceReward`, `FormatReward`, `CompressionReward`.
"""

from rewards import terms
from rewards.wrapper import RewardWrapper, stack_terms
from rewards.wrappers import (
    ChunkStepReward,
    CompressionReward,
    EvidenceReward,
    FineMemReward,
    FormatReward,
    OutcomeReward,
)

__all__ = [
    "ChunkStepReward",
    "CompressionReward",
    "EvidenceReward",
    "FineMemReward",
    "FormatReward",
    "OutcomeReward",
    "RewardWrapper",
    "stack_terms",
    "terms",
]
