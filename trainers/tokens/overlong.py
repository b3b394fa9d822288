"""DAPO's soft overlong penalty: a message that comes near the longest one allowed costs part of its step's reward.

* `overlong_penalty` - what lengths cost.
* `charged` - a group whose messages have paid it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from memenvs.errors import SettingsError
from trainers.rollout import Group
from trainers.slots.types import Array

TERM = "overlong"
"""Name of the reward term."""
PAID = "reward"
"""Name of the term that stands for a whole reward which tells no terms of its own."""


def overlong_penalty(lengths: ArrayLike, max_length: float, buffer: float) -> Array:
    """0 up to max_length - buffer, then falling in a straight line to -1 at max_length, and no further.

    Args:
        lengths: any shape, in tokens. NaN stays NaN.
        max_length: length that costs 1; 20480 in DAPO.
        buffer: how far below it the penalty sets in; 4096 in DAPO.

    Returns:
        Of the lengths' shape, from -1 to 0; to be added to the reward.

    Raises:
        SettingsError: not 0 < buffer <= max_length.

    Source: DAPO, arXiv 2503.14476, equation 13. verl (volcengine/verl@b178a3c ``reward_manager/dapo.py``) and AReaL
    (inclusionAI/AReaL@4aef98d ``reward_overlong_penalty``) let the line fall on beyond max_length, where no drawn message can be.
    """
    if not 0 < buffer <= max_length:
        raise SettingsError(f"buffer must be above 0 and at most max_length, got {buffer} and {max_length}")
    room = (max_length - buffer) - np.asarray(lengths, np.float64)
    return np.clip(room / buffer, -1.0, 0.0)


def charged(group: Group, max_tokens: int, buffer: int) -> Group:
    """A group of language-model decisions whose messages have paid the penalty, each at its own step.

    Args:
        group: as it was played; a reward without terms becomes the term ``reward``.
        max_tokens: longest message.
        buffer: see `overlong_penalty`. A message's length is that of its sample, thoughts and end token among it.

    Returns:
        The group with the term ``overlong`` (G, T), and with rewards that are the sum of all terms. Failed rollouts stay NaN.
    """
    lengths = [[len(decision.sample.tokens) for decision in row] for row in group.decisions]
    penalty = np.where(group.failed[:, None], np.nan, overlong_penalty(lengths, max_tokens, buffer))
    terms = group.terms or {PAID: group.rewards}
    return replace(group, rewards=group.rewards + penalty, terms=terms | {TERM: penalty})
