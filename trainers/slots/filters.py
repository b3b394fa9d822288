"""Samplers that leave out what teaches nothing.

* `ZeroVariance` - drop the steps, or the streams, in which all rollouts got the same reward.
* `Dynamic` - DAPO: drop streams whose rollouts all end alike, and roll out others in their place.
* `NoPositiveResampling` - ScaleRL: never come back to a stream that the policy has learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memenvs.errors import SettingsError
from trainers.slots.sampling import GroupView, Mask, Uniform, check_share, cycle, generator, whole_rows
from trainers.slots.types import Array


def varied(values: Array) -> bool | Mask:
    """Whether the standard deviation over the first axis is above 0; False for fewer than two values.

    Args:
        values: (n,) or (n, T), without NaN.

    Returns:
        bool, or (T,) bool.
    """
    if len(values) < 2:
        return np.zeros(values.shape[1:], bool) if values.ndim > 1 else False
    # Not std > 0: equal values leave rounding noise of their mean.
    return values.max(axis=0) > values.min(axis=0)


def keep_varied_steps(group: GroupView) -> Mask:
    """(G, T) mask of the steps whose rewards differ between the valid rollouts: at the others every advantage is 0.

    Source: the memory form of DAPO's dynamic sampling (arXiv 2503.14476) and of ScaleRL's zero-variance filter (arXiv 2510.13786),
    with a (stream, step) column where they have a prompt.
    """
    return whole_rows(group, group.valid) & varied(group.rewards[group.valid])


def keep_varied_rollouts(group: GroupView) -> Mask:
    """(G, T) mask of all steps of the valid rollouts if they differ in any reward or in their outcome, of nothing otherwise.

    For advantages that look beyond their step: a return, a reward to go or an outcome counts at steps whose own rewards are equal.
    """
    rewards, outcomes = group.rewards[group.valid], group.outcomes[group.valid]
    return whole_rows(group, group.valid & bool(np.any(varied(rewards)) or varied(outcomes)))


def keep_group(group: GroupView) -> bool:
    """DAPO's filter: 0 < number of correct rollouts < G, and for outcomes between 0 and 1 a standard deviation above 0.

    Source: DAPO, arXiv 2503.14476; the form for continuous rewards is that of huggingface/trl@f2cd577 and
    inclusionAI/AReaL@4aef98d.
    """
    return bool(varied(group.outcomes[group.valid]))


class ZeroVariance(Uniform):
    """All streams; what all rollouts of a stream got alike is not trained.

    Nothing of the advantages changes, but the mean over samples is then one over samples that teach something.

    Args:
        seed, pool: see `Uniform`.
        stepwise: True where a step's advantage is made of that step's rewards alone: a step without variance is then dropped by
            itself. False where it is made of more, such as the return: only a stream without any variance is dropped.
    """

    def __init__(self, seed: int = 0, pool: Sequence[int] | None = None, stepwise: bool = True) -> None:
        super().__init__(seed, pool)
        self.stepwise = stepwise

    def select(self, update: int, groups: Sequence[GroupView]) -> list[Mask]:
        """`keep_varied_steps`, or `keep_varied_rollouts`, of each group."""
        keep = keep_varied_steps if self.stepwise else keep_varied_rollouts
        return [keep(group) for group in groups]


class Dynamic(Uniform):
    """DAPO's dynamic sampling: groups whose outcomes are all equal are replaced by groups of other streams.

    Per-step rewards do not count here: a group with equal outcomes is left out even if its chunk rewards differ.

    Args:
        seed, pool: see `Uniform`. An update takes a stream of the pool a second time only after all the others.
        oversampling: at most this many times ``count`` groups are rolled out in an update; it then trains on those it has.

    Raises:
        SettingsError: oversampling below 1.

    Source: arXiv 2503.14476; volcengine/verl@b178a3c recipe/dapo, whose limit counts batches and raises.
    """

    def __init__(self, seed: int = 0, pool: Sequence[int] | None = None, oversampling: float = 3.0) -> None:
        super().__init__(seed, pool)
        if not (math.isfinite(oversampling) and oversampling >= 1):
            raise SettingsError(f"oversampling must be at least 1 (no stream is replaced), got {oversampling!r}")
        self.oversampling = oversampling

    def missing(self, update: int, groups: Sequence[GroupView], count: int) -> int:
        """As many as were dropped, within the limit."""
        kept = sum(keep_group(group) for group in groups)
        return max(0, min(count - kept, math.ceil(self.oversampling * count) - len(groups)))

    def select(self, update: int, groups: Sequence[GroupView]) -> list[Mask]:
        """All valid samples of the groups that are kept."""
        return [whole_rows(group, group.valid & keep_group(group)) for group in groups]


class NoPositiveResampling(ZeroVariance):
    """ScaleRL: a stream whose pass rate reached the threshold is not drawn again.

    The pass rate is the mean outcome of a stream's rollouts, which for outcomes of 0 and 1 is the share of correct ones. As in
    ScaleRL, samples without variance are dropped too.

    Args:
        seed, pool: see `Uniform`; a pool is needed, since streams that never come back need no leaving out.
        threshold: published: .9.
        stepwise: see `ZeroVariance`.

    Raises:
        SettingsError: no pool, a threshold outside (0, 1], or, from `streams`, no stream is left (`exhausted` says so before).

    Source: arXiv 2510.13786.
    """

    def __init__(
        self, seed: int = 0, pool: Sequence[int] | None = None, threshold: float = 0.9, stepwise: bool = True
    ) -> None:
        super().__init__(seed, pool, stepwise)
        if pool is None:
            raise SettingsError(
                "the sampler npr leaves out streams of a pool, and fresh streams have none: give pool, the streams to draw from"
            )
        self.threshold = check_share("threshold", threshold)
        self.rates: dict[int, float] = {}

    def _left(self) -> list[int]:
        assert self.pool is not None
        return [stream for stream in self.pool if keep_after_pass(self.rates.get(stream, 0.0), self.threshold)]

    def exhausted(self) -> str | None:
        """Once every stream of the pool is learnt."""
        if self._left():
            return None
        assert self.pool is not None
        return (
            f"all {len(self.pool)} streams of the pool have a pass rate of {self.threshold} or more: nothing is left to learn; "
            "a larger pool or a higher threshold goes on"
        )

    def streams(self, update: int, count: int) -> list[int]:
        """Streams of the pool that are not learnt yet."""
        if (reason := self.exhausted()) is not None:
            raise SettingsError(reason)
        left = self._left()
        return cycle(left, generator(self.seed, update, "streams").permutation(len(left)), count)

    def observe(self, update: int, groups: Sequence[GroupView], entries: Sequence[Any]) -> None:
        """Remember each stream's newest pass rate; a group that failed as a whole says nothing."""
        self.rates |= {group.stream: group.mean for group in groups if group.valid.any()}

    def state(self) -> dict[str, Any]:
        """``{"rates": [[stream, pass rate], ...]}``."""
        return {"rates": [[stream, rate] for stream, rate in self.rates.items()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.rates = {int(stream): float(rate) for stream, rate in state["rates"]}


def keep_after_pass(rate: float, threshold: float = 0.9) -> bool:
    """Whether a stream of this pass rate is drawn again."""
    return rate < threshold
