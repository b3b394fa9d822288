"""Credit inside a step: which of its operations mattered to which question."""

from __future__ import annotations

import numpy as np

from memenvs.errors import SettingsError
from trainers.slots.normalise import normalised
from trainers.slots.types import Array


def op_advantages(
    step_advantages: Array,
    relevance: Array,
    scores: Array,
    weight: float = 0.5,
    across: bool = False,
    ddof: int = 0,
    eps: float = 1e-6,
) -> Array:
    """Advantages of the single operations of one step: A_step + weight x mean over questions of z(relevance x score).

    RTT's rubrics are questions here and its tokens are operations: relevance says whether an operation's item was retrieved, or
    cited, for a question.

    Args:
        step_advantages: (G,) advantage of the step in each rollout.
        relevance: (G, Q, N) of N operations to Q questions; NaN where a rollout made fewer than N operations.
        scores: (G, Q) scores of the questions; NaN in the rows of failed rollouts.
        weight: of the operations' part; RTT's lambda.
        across: False normalises over the operations of one rollout (RTT's "intra-sample"), True over those of all rollouts
            ("inter-sample"); a question always by itself.
        ddof: RTT divides by the population's standard deviation, 0.
        eps: added to it.

    Returns:
        (G, N); 0 for operations that were not made and for failed rollouts.

    Raises:
        SettingsError: shapes that do not fit, or no question.

    Source: RTT, arXiv 2604.02795, TURLEing/Rubrics-To-Tokens@8e2dd82 ``roll/utils/functionals.py`` (combination "add"). The
    release reshapes (G, Q, N) to (Q, G, N) where it should permute, which mixes questions and rollouts; axes stay put here.
    """
    if relevance.ndim != 3 or relevance.shape[1] == 0:
        raise SettingsError(f"relevance must be (G, Q, N) with Q at least 1, got an array of shape {relevance.shape}")
    G, Q, _ = relevance.shape
    if scores.shape != (G, Q) or step_advantages.shape != (G,):
        raise SettingsError(
            f"relevance {relevance.shape} needs scores ({G}, {Q}) and step_advantages ({G},), "
            f"got {scores.shape} and {step_advantages.shape}"
        )
    earned = relevance * scores[:, :, None]
    questions = np.arange(Q)[None, :, None]
    rows = 0 if across else np.arange(G)[:, None, None]
    labels = np.broadcast_to(rows * Q + questions, earned.shape)
    compared = step_advantages[:, None] + weight * normalised(earned, labels, ddof, eps).mean(axis=1)
    return np.where(np.isnan(compared), 0.0, compared)
