"""The flat environment: arrays in, one choice per sentence out."""

from __future__ import annotations

from typing import Any

from memenvs.env import MemoryEnv
from memenvs.wrappers.arrays import SentenceArrays


def make_flat(slots: int = 8, size: int = 64, **kwargs: Any) -> SentenceArrays:
    """`MemoryEnv` under `SentenceArrays`; the entry point of ``FineMem-Memalpha-Flat-v0``.

    Args:
        slots, size: see `SentenceArrays`.
        kwargs: arguments of `MemoryEnv`.
    """
    return SentenceArrays(MemoryEnv(**kwargs), slots=slots, size=size)
