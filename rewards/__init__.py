"""Rewards: pure terms over an episode record, and wrappers that put them on an environment.

* `terms` - the formulas, ``EpisodeRecord -> tuple of T floats``.
* `RewardWrapper` - the base for your own.
* `FineMemReward`, `OutcomeReward`, `ChunkStepReward`, `EvidenceReward`, `FormatReward`, `CompressionReward`.
* `credit` - who earned the outcome, exactly and estimated; `CreditReward` pays any of its estimators.
* `extras` - outcomes with a condition, `BudgetReward` and `WithMemoryReward`.
* `memalpha`, `MemAlphaReward` - Mem-alpha's reward of a step, and of all rows of a batch.
"""

from rewards import credit, extras, memalpha, terms
from rewards.credit import CreditReward
from rewards.extras import BudgetReward, WithMemoryReward
from rewards.memalpha_wrapper import MemAlphaReward
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
    "BudgetReward",
    "ChunkStepReward",
    "CompressionReward",
    "CreditReward",
    "EvidenceReward",
    "FineMemReward",
    "FormatReward",
    "MemAlphaReward",
    "OutcomeReward",
    "RewardWrapper",
    "WithMemoryReward",
    "credit",
    "extras",
    "memalpha",
    "stack_terms",
    "terms",
]
