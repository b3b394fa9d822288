"""Registered environments: the ids that `gymnasium.make` knows after ``import memenvs``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from memenvs.benchmarks import benchmarks


@dataclass(frozen=True, slots=True)
class EnvInfo:
    """One registered id."""

    id: str
    """For `gymnasium.make`."""
    family: str
    """What the streams ask for."""
    data: str
    """Default data source."""
    T: str
    """Number of steps with the default settings."""
    licence: str
    """Licence of the default data."""
    contaminated: bool
    """Whether test questions are known to occur in published training data."""
    observation: str
    """"text" for messages, "array" for Box features with action masks."""
    questions: str = "made from a seed"
    """Streams x questions of published data."""
    embedded: bool = True
    """Whether the data is part of the package; if not, `gymnasium.make` needs a network, or ``data=`` the path of a copy."""


_FAMILIES = {
    "FineMem-Memalpha-v0": ("mixed", None),
    "FineMem-Memalpha-Retrieval-v0": ("accurate-retrieval", ["accurate-retrieval"]),
    "FineMem-Memalpha-TestTimeLearning-v0": ("test-time-learning", ["test-time-learning"]),
    "FineMem-Memalpha-LongRange-v0": ("long-range-understanding", ["long-range-understanding"]),
    "FineMem-Memalpha-Conflict-v0": ("conflict-resolution", ["conflict-resolution"]),
}
_FLAT = "FineMem-Memalpha-Flat-v0"
_RUNNING_SUM = "RunningSum-v0"
_THREE_PART = "MemAlpha-Memalpha-v0"
"""Mem-alpha's memory and dialect on the streams of FineMem-Memalpha-v0."""


def register_all() -> None:
    """Register every id; called once by ``import memenvs``."""
    for env_id, (_, families) in _FAMILIES.items():
        kwargs: dict[str, Any] = {} if families is None else {"families": families}
        gym.register(env_id, entry_point="memenvs.env:MemoryEnv", kwargs=kwargs)
    three_part = {"memory": "memalpha", "dialect": "memalpha"}
    gym.register(_THREE_PART, entry_point="memenvs.env:MemoryEnv", kwargs=three_part)
    gym.register(_RUNNING_SUM, entry_point="memenvs.env:MemoryEnv", kwargs={"data": "running-sum"})
    for one in benchmarks():
        gym.register(one.id, entry_point="memenvs.env:MemoryEnv", kwargs=one.kwargs)
    gym.register(_FLAT, entry_point="memenvs.wrappers.flat:make_flat")


def envs() -> list[EnvInfo]:
    """Every registered id with what its streams are."""
    found = [
        EnvInfo(env_id, family, "builtin", "20", "MIT (generated)", False, "text")
        for env_id, (family, _) in _FAMILIES.items()
    ]
    return [
        *found,
        EnvInfo(_THREE_PART, "mixed", "builtin", "20", "MIT (generated)", False, "text"),
        EnvInfo(_RUNNING_SUM, "long-horizon-execution", "running-sum", "20", "MIT (generated)", False, "text"),
        *(
            EnvInfo(b.id, b.family, b.data, b.T, b.licence, b.contaminated, "text", b.questions, embedded=False)
            for b in benchmarks()
        ),
        EnvInfo(_FLAT, "mixed", "builtin", "20", "MIT (generated)", False, "array"),
    ]
