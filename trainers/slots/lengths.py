"""A price on length, as a reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memenvs.errors import SettingsError
from trainers.slots.types import Array


def overlong_penalty(lengths: ArrayLike, max_length: float, cache: float, floored: bool = True) -> Array:
    """DAPO's soft overlong penalty: 0 up to max_length - cache, then falling in a straight line to -1 at max_length.

    Args:
        lengths: any shape, in tokens: of what a step wrote, or of the memory as a soft budget. NaN stays NaN.
        max_length: length that costs 1; 20480 in DAPO.
        cache: how far below it the penalty sets in; 4096 in DAPO.
        floored: True: -1 beyond max_length (as published); False: the line goes on falling (verl, AReaL).

    Returns:
        Of the lengths' shape, at most 0; to be added to the reward.

    Raises:
        SettingsError: not 0 < cache <= max_length.

    Source: DAPO, arXiv 2503.14476, equation 13; without the floor: volcengine/verl@b178a3c ``reward_manager/dapo.py``,
    inclusionAI/AReaL@4aef98d ``reward_overlong_penalty``.
    """
    if not 0 < cache <= max_length:
        raise SettingsError(f"cache must be above 0 and at most max_length, got {cache} and {max_length}")
    excess = np.asarray(lengths, np.float64) - (max_length - cache)
    return np.clip(-excess / cache, -1.0 if floored else None, 0.0)
