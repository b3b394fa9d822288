"""RoRecomp: rollouts that show brevity first, the others later.

Source: arXiv 2509.25958 (abstract). The shares and how often the rest is trained are not published, so they are parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memenvs.errors import whole
from trainers.slots.replay import RolloutReplay
from trainers.slots.sampling import GroupView, Mask, Replayed, Uniform, check_share, generator, whole_rows
from trainers.slots.types import Array


def priority(
    outcomes: Array,
    lengths: Array,
    correct: float = 1.0,
    share_correct: float = 0.5,
    share_incorrect: float = 0.5,
) -> Mask:
    """The shortest correct and the longest incorrect rollouts of a group.

    Args:
        outcomes: (G,) r_global; NaN rows are in neither batch.
        lengths: (G,) tokens of the final memory.
        correct: an outcome of at least this is correct.
        share_correct: of the n correct ones the ceil(share n) shortest are taken.
        share_incorrect: of the n incorrect ones the ceil(share n) longest are taken.

    Returns:
        (G,) bool. Of rollouts with equal lengths the first is taken.
    """
    chosen = np.zeros(len(outcomes), bool)
    right, wrong = np.flatnonzero(outcomes >= correct), np.flatnonzero(outcomes < correct)
    shortest = right[np.argsort(lengths[right], kind="stable")]
    longest = wrong[np.argsort(-lengths[wrong], kind="stable")]
    chosen[shortest[: _share(share_correct, len(right))]] = True
    chosen[longest[: _share(share_incorrect, len(wrong))]] = True
    return chosen


def _share(share: float, count: int) -> int:
    # Without the small number .1 of 30, which is 3.0000000000000004, would be 4.
    return math.ceil(share * count - 1e-9)


class Compensation(Uniform):
    """Trains the short correct and long incorrect rollouts now, and the rest of some earlier groups every few updates.

    Advantages are those of the whole group; the masks only say which rollouts are trained. In a compensation update the stored
    remainders of up to ``count`` groups come beside the fresh groups.

    Args:
        seed, pool: see `Uniform`.
        correct: an outcome of at least this is correct; r_global is a mean over questions, so 1 asks for all of them.
        share_correct, share_incorrect: see `priority`.
        every: updates from one compensation batch to the next.
        replay: where remainders are stored; by default 512 groups.

    Raises:
        SettingsError: a share outside (0, 1], or ``every`` below 1.
    """

    def __init__(
        self,
        seed: int = 0,
        pool: Sequence[int] | None = None,
        correct: float = 0.5,
        share_correct: float = 0.5,
        share_incorrect: float = 0.5,
        every: int = 4,
        replay: RolloutReplay | None = None,
    ) -> None:
        super().__init__(seed, pool)
        self.correct = check_share("correct", correct)
        self.shares = (check_share("share_correct", share_correct), check_share("share_incorrect", share_incorrect))
        self.every = whole("every", every, 1)
        # Steps can differ where outcomes do not, so groups of mean 0 or 1 stay.
        self.replay = RolloutReplay(keep_solved=True) if replay is None else replay

    def _priority(self, group: GroupView) -> Mask:
        return priority(np.where(group.valid, group.outcomes, np.nan), group.lengths, self.correct, *self.shares)

    def recall(self, update: int, count: int) -> list[Replayed]:
        """Remainders, in every ``every``-th update."""
        if (update + 1) % self.every:
            return []
        return self.replay.sample(count, generator(self.seed, update, "replay"))

    def select(self, update: int, groups: Sequence[GroupView]) -> list[Mask]:
        """The priority rollouts, all their steps."""
        return [whole_rows(group, self._priority(group)) for group in groups]

    def observe(self, update: int, groups: Sequence[GroupView], entries: Sequence[Any]) -> None:
        """Store the remainders."""
        for group, entry in zip(groups, entries, strict=True):
            rest = whole_rows(group, group.valid & ~self._priority(group))
            self.replay.add(Replayed(group.stream, group.mean, rest, entry))

    def state(self) -> dict[str, Any]:
        """``{"replay": ...}``."""
        return {"replay": self.replay.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.replay.restore(state["replay"])
