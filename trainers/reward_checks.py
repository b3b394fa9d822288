"""Rewards and slots that do not go together."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym

from memenvs.errors import SettingsError
from memenvs.memory.architectures import FLAT
from trainers.settings import TrainSettings


def check_reward(settings: TrainSettings, env: gym.Env[Any, Any]) -> None:
    """Refuse a reward that the slots cannot work with, and warn of one that teaches little with them.

    Args:
        settings: the run.
        env: one of its training environments.

    Raises:
        SettingsError: a mix of reward terms, and a reward without terms.
    """
    slots = settings.slots.filled
    if slots.mix != "sum" and settings.credit == "raw":
        raise SettingsError(
            f'the mix {slots.mix!r} works on reward terms, and the reward "raw" has none; choose another reward'
        )
    if settings.credit == "raw" and settings.slots.stepwise:
        warnings.warn(
            'the reward "raw" pays at the last step alone and the group "step" compares rewards step by step: only the last '
            'step learns. Take the reward "outcome", which pays at every step, or the group "trajectory", which compares '
            "returns",
            stacklevel=3,
        )
    if settings.slots.preset == "memalpha" and (memory := env.unwrapped.settings.memory) == FLAT:  # type: ignore
        warnings.warn(
            f"the preset memalpha is trained in {settings.env.env_id} with the memory {memory!r}; Mem-alpha's own has three "
            "parts: --env-id MemAlpha-Memalpha-v0, with --data for other streams",
            stacklevel=3,
        )
