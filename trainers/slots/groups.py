"""The group slot: which samples share a baseline.

Every choice is ``f(group, settings) -> baselines`` over the G rollouts of one stream. A rollout that is one sample stays one
sample, (G, 1): what the advantage slot makes of it is spread over the steps afterwards, so that T copies of a return count
once in its standard deviation. Where fewer than two rollouts are left there is no group, and every sample is absent (NaN): a
rollout is never compared with its own steps alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import MemenvsError, SettingsError
from trainers.slots.returns import to_go
from trainers.slots.types import AdvantageSettings, Array, Baseline, GroupSlot, Scored


def step(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """The same step of the G rollouts. Source: Fine-Mem, arXiv 2601.08435."""
    return (Baseline(_rewards(group, settings), _step_labels(group)),)


def trajectory(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """The G returns, sums over steps. Source: verl ``core_algos.compute_grpo_outcome_advantage`` (volcengine/verl@b178a3c)."""
    return (Baseline(*_together(_returns(group, settings))),)


def pooled(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """All steps of all rollouts together. Source: Mem-alpha's code, wangyu-ustc/Mem-alpha@9c0e1f6 ``ray_trainer.py``."""
    return (Baseline(*_together(_rewards(group, settings))),)


def state(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """Returns, plus omega times: discounted returns to go from the same state.

    A state that was met once compares with nothing and gets 0 from the second baseline.

    GiGPO's release takes mean and standard deviation of returns over steps, so that longer rollouts weigh more. T is one number
    here, so the mean is the same either way; the standard deviation is that of G returns, not of G x T copies.

    Raises:
        SettingsError: the rollouts come without states.

    Source: GiGPO, xlan156/verl-agent@8ca3a46 ``gigpo/core_gigpo.py``.
    """
    labels = _named(_needed(group.states, "state", "states"))
    step_returns = to_go(_rewards(group, settings), settings.gamma)
    return (*trajectory(group, settings), Baseline(step_returns, labels, settings.omega))


def local(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """Omega times: re-rollouts of single steps, each column from one snapshot.

    Column t of this group holds G re-rollouts of one step from the same memory, not G continuing rollouts. The comparison of
    whole rollouts is that of another group, under `trajectory`.

    Raises:
        SettingsError: the rollouts come without states.
        MemenvsError: re-rollouts of a column started from different states.

    Source: LoGo-GRPO, Memory-R2, arXiv 2605.21768; the weight of the local part is not published.
    """
    digests = np.array(_needed(group.states, "local", "states"))[~group.failed]
    unequal = np.flatnonzero((digests != digests[:1]).any(axis=0))
    if unequal.size:
        t = unequal[0]
        raise MemenvsError(
            f"a local group compares re-rollouts from one snapshot; column {t} holds {len(set(digests[:, t]))} states. "
            "Restore the same snapshot before each of them"
        )
    return (Baseline(_rewards(group, settings), _step_labels(group), settings.omega),)


def tree(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """Returns of all leaves, plus omega times: returns of the leaves of the same tree.

    Raises:
        SettingsError: the rollouts come without trees.

    Source: Tree-GRPO, AMAP-ML/Tree-GRPO@90b1709 ``verl/trainer/ppo/ray_trainer_ts.py``, where omega is 1.
    """
    trees = np.array(_needed(group.trees, "tree", "trees"), np.int64)
    return (*trajectory(group, settings), Baseline(_returns(group, settings), trees[:, None], settings.omega))


def tag(group: Scored, settings: AdvantageSettings) -> tuple[Baseline, ...]:
    """Steps that did the same kind of thing, whenever they did it. Source: RLVMR, arXiv 2507.22844.

    Raises:
        SettingsError: the rollouts come without tags.
    """
    return (Baseline(_rewards(group, settings), _named(_needed(group.tags, "tag", "tags"))),)


GROUPS: Mapping[str, GroupSlot] = {
    "step": step,
    "trajectory": trajectory,
    "pooled": pooled,
    "state": state,
    "local": local,
    "tree": tree,
    "tag": tag,
}
"""Choices of the slot."""


def _rewards(group: Scored, settings: AdvantageSettings) -> Array:
    alone = not settings.lone and np.count_nonzero(~group.failed) < 2
    return np.full_like(group.rewards, np.nan) if alone else group.rewards


def _returns(group: Scored, settings: AdvantageSettings) -> Array:
    return _rewards(group, settings).sum(axis=1, keepdims=True)


def _together(samples: Array) -> tuple[Array, NDArray[np.int64]]:
    return samples, np.zeros(samples.shape, np.int64)


def _step_labels(group: Scored) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(group.rewards.shape[1], dtype=np.int64), group.rewards.shape)


def _named(names: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """(G, T) labels: equal names, equal labels."""
    table = np.array(names)
    return np.unique(table, return_inverse=True)[1].reshape(table.shape).astype(np.int64)


def _needed(given: Any, choice: str, name: str) -> Any:
    if given is None:
        raise SettingsError(
            f'group "{choice}" needs {name}, which these rollouts do not have; pass {name}=..., or choose "step"'
        )
    return given
