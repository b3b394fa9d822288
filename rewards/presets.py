"""Reward wrappers by name, for the command line and for comparisons.

The arms of Fine-Mem's ablation are all `FineMemReward`; they differ in nothing but the terms that their name says. Format and
compression are in every arm, as in the paper. ``credit:NAME`` is an arm with a credit estimator in the place of the evidence.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from memenvs.by_name import import_by_name
from memenvs.errors import MemenvsError, SettingsError, did_you_mean
from rewards.credit.registry import ESTIMATORS
from rewards.credit.wrapper import CreditReward
from rewards.memalpha_wrapper import MemAlphaReward
from rewards.wrappers import CompressionReward, FineMemReward, FormatReward

CREDIT = "credit:"
"""Prefix of a credit estimator's name. It is reserved: your own module may have any other name."""

MEMALPHA = "memalpha"
"""Name of `MemAlphaReward` without its content term, which needs a judge."""

PRESETS: dict[str, dict[str, Any]] = {
    "outcome": {"beta": 0.0, "chunk_weight": 0.0},
    "chunk": {"beta": 0.0},
    "evidence": {"chunk_weight": 0.0},
    "evidence-cited": {"chunk_weight": 0.0, "evidence": "cited"},
    "finemem": {},
    "finemem-cited": {"evidence": "cited"},
}
"""Name -> keyword arguments of `FineMemReward`; "raw" (no wrapper), "memalpha", "credit:NAME" and "module:Class" are accepted
too."""


def has_scale(reward: str) -> bool:
    """Whether `wrap_reward` knows an argument ``scale`` for this reward: it does for presets and ``credit:NAME``."""
    return reward in PRESETS or reward.startswith(CREDIT)


def wrap_reward(env: gym.Env[Any, Any], reward: str, **arguments: Any) -> gym.Env[Any, Any]:
    """Put a reward on an environment.

    Args:
        env: a memenvs environment.
        reward: a name in `PRESETS`; ``"raw"`` (the sparse outcome, unwrapped); ``"memalpha"``; ``"credit:NAME"``, an estimator of
            `rewards.credit.ESTIMATORS` with the format term; or ``"module:Class"``, a `gymnasium.Wrapper` of yours that sets
            ``info["step_rewards"]`` or pays per step.
        arguments: keyword arguments for the wrapper, over those of the preset; for ``credit:NAME`` those of `CreditReward`, and
            ``compression``, weight of a compression term beside it (0).

    Raises:
        SettingsError: unknown name, or the class cannot be imported or made.
    """
    if reward == "raw":
        return env
    if reward in PRESETS:
        return _made(FineMemReward, env, reward, PRESETS[reward] | arguments)
    if reward == MEMALPHA:
        return _made(MemAlphaReward, env, reward, arguments)
    if reward.startswith(CREDIT):
        compression = arguments.pop("compression", 0.0)
        credited = _made(CreditReward, env, reward, {"estimator": reward.removeprefix(CREDIT)} | arguments)
        return FormatReward(CompressionReward(credited, compression) if compression else credited)
    if ":" not in reward:
        known = ["raw", *PRESETS, MEMALPHA, *(CREDIT + name for name in ESTIMATORS)]
        raise SettingsError(
            f"unknown reward {reward!r}; known: {', '.join(known)}, or your own as module:Class.{did_you_mean(reward, known)}"
        )
    wrapper = import_by_name(reward, "the reward", "a class or function that takes the environment")
    return _made(wrapper, env, reward, arguments)


def _made(wrapper: Any, env: gym.Env[Any, Any], reward: str, arguments: dict[str, Any]) -> gym.Env[Any, Any]:
    try:
        made = wrapper(env, **arguments)
    except MemenvsError:  # says itself what was wrong
        raise
    except Exception as error:
        given = ", ".join(["the environment", *(f"{name}={value!r}" for name, value in arguments.items())])
        raise SettingsError(
            f"the reward {reward!r} could not be made: {type(error).__name__}: {error}; it is called with {given}"
        ) from error
    if not isinstance(made, gym.Env):
        raise SettingsError(
            f"the reward {reward!r} gave {type(made).__name__}; expected a gymnasium.Wrapper around the environment, "
            "for instance a subclass of rewards.RewardWrapper"
        )
    return made
