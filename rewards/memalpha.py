"""Mem-alpha's reward of one step (one chunk of one rollout), as pure functions.

    R[i, t] = acc_i + beta * (1 - L(M_T,i) / sum_t L(c_t)) + r_fc[i, t] + gamma * r_content[i, t]

acc_i is the mean score of all questions, read from the final memory; r_fc the share of calls that succeeded; r_content the share
of calls whose content a model judge finds valid. acc_i and the compression are neither divided by T nor clipped: every step of a
rollout carries them whole, so that a rollout's return grows with T.

Source: wangyu-ustc/Mem-alpha@9c0e1f6: verl/workers/reward_manager/naive.py (NaiveRewardManager.__call__); beta = 0.05 and
gamma = 0.1 in its main runs. Without the content term the same comes from `rewards.OutcomeReward` (``spread="uniform",
scale="mean"``), `rewards.CompressionReward` (weight 0.05) and `rewards.FormatReward` (weight 1) on one environment.
"""

from __future__ import annotations

from collections.abc import Sequence

from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from rewards import terms
from rewards.terms import Terms


def compression(memory_tokens: float, stream_tokens: float) -> float:
    """1 - L(M_T) / sum_t L(c_t), unclipped.

    Args:
        memory_tokens: tokens of the final memory.
        stream_tokens: tokens of all chunks.

    Raises:
        SettingsError: a stream without tokens.
    """
    if stream_tokens <= 0:
        raise SettingsError(f"compression needs a stream with tokens, got {stream_tokens}")
    return 1 - memory_tokens / stream_tokens


def row_rewards(
    accuracy: Sequence[float],
    compressions: Sequence[float],
    rollout: Sequence[int],
    calls: Sequence[float],
    content: Sequence[float] | None = None,
    beta: float = 0.05,
    gamma: float = 0.1,
    threshold: float | None = None,
) -> Terms:
    """The rewards of all rows of a batch; a row is one step of one rollout.

    Args:
        accuracy: [I] mean score of each rollout.
        compressions: [I] `compression` of each rollout.
        rollout: [R] which rollout a row belongs to, 0 to I - 1; rows may come in any order and more than once.
        calls: [R] share of the row's calls that succeeded, 0 if it made none.
        content: [R] share of the row's calls with valid content; None leaves the term out.
        beta: weight of the compression.
        gamma: weight of the content.
        threshold: if given, the accuracy counts as 1 from here on and as 0 below.

    Returns:
        R floats.

    Raises:
        SettingsError: lengths that do not fit, or a row of an unknown rollout.
    """
    if (
        len(accuracy) != len(compressions)
        or len(rollout) != len(calls)
        or (content is not None and len(content) != len(calls))
    ):
        raise SettingsError(
            f"expected one compression per accuracy and one share of calls (and of content) per row, got {len(accuracy)} "
            f"accuracies, {len(compressions)} compressions, {len(rollout)} rows, {len(calls)} shares of calls"
            + ("" if content is None else f", {len(content)} of content")
        )
    if not all(0 <= i < len(accuracy) for i in rollout):
        raise SettingsError(f"expected rows of rollouts 0 to {len(accuracy) - 1}, got {sorted(set(rollout))}")
    earned = [a if threshold is None else float(a >= threshold) for a in accuracy]
    shared = [a + beta * c for a, c in zip(earned, compressions, strict=True)]
    valid = [0.0] * len(calls) if content is None else content
    return tuple(shared[i] + called + gamma * v for i, called, v in zip(rollout, calls, valid, strict=True))


def steps(
    record: EpisodeRecord,
    content: Sequence[float] | None = None,
    beta: float = 0.05,
    gamma: float = 0.1,
    threshold: float | None = None,
) -> Terms:
    """The rewards of the T steps of one episode.

    Args:
        record: a finished episode; its scores are of the environment's profile, which is "memalpha-train" in Mem-alpha.
        content: [T] share of each step's calls with valid content; None leaves the term out.
        beta, gamma, threshold: see `row_rewards`.

    Returns:
        T floats; NaN where a global question's reading failed.

    Raises:
        SettingsError: ``content`` is not one number per step.
    """
    # A failed reading's accuracy is NaN, which no threshold may turn into a 0.
    accuracy = record.r_global
    unknown = accuracy != accuracy
    return row_rewards(
        [accuracy], [terms.compression(record)[0]], [0] * record.T, terms.fmt(record), content, beta, gamma,
        None if unknown else threshold,
    )  # fmt: skip
