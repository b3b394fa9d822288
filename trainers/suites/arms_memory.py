"""In which memory an arm's agent writes: a trained run in the one that it was trained with, a language model in the one asked for.

* `trained_memory` - memory and dialect of a run.
* `model_memory` - of a language model by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gymnasium as gym

from agents.base import Agent
from memenvs.errors import DataError, SettingsError
from memenvs.memory.architectures import FLAT
from memenvs.memory.operations import MEMALPHA
from trainers import checkpoint


def trained_memory(folder: Path) -> dict[str, str]:
    """``memory`` and ``dialect`` of the environment that a run was trained in.

    Args:
        folder: of a run or a checkpoint. One that was saved without a run's settings says nothing: the result is empty.

    Raises:
        DataError: it holds no checkpoint, or its environment is not known here.
    """
    found = checkpoint.find(folder)
    state = checkpoint.read_state(found)
    if "settings" not in state:
        return {}
    try:
        env = state["settings"]["env"]
        own = gym.spec(env["env_id"]).kwargs
    except (KeyError, TypeError, gym.error.Error) as error:
        raise DataError(f"{found}: state.json names no environment that is registered here: {error}") from error
    dialect = env.get("dialect") or own.get("dialect", "json")
    return {"memory": own.get("memory", FLAT), "dialect": dialect}


def check_trained(name: str, own: Mapping[str, str], asked: str | None) -> None:
    """Refuse another memory than that of the training, the result of `trained_memory`.

    Raises:
        SettingsError: another one is asked for.
    """
    trained = own.get("memory", FLAT)
    if asked not in (None, trained):
        raise SettingsError(
            f"{name} was trained with the memory {trained!r} and is played in it, not in {asked!r}; leave --memory out"
        )


def check_written(name: str, agent: Agent, memory: str) -> None:
    """Refuse an agent that cannot write the parts of a memory that has some.

    Raises:
        SettingsError: its dialect is another one.
    """
    dialect = getattr(agent, "dialect", "json")
    if memory != FLAT and dialect != MEMALPHA:
        raise SettingsError(
            f"{name} was saved with the dialect {dialect!r} and cannot write the parts of the memory {memory!r}; "
            "leave --memory out"
        )
