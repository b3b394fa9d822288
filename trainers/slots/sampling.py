"""The sampler slot: which streams are rolled out, and which samples are trained.

* `GroupView` - what a sampler sees of the G rollouts of one stream.
* `Replayed` - a stored group that is trained again.
* `Sampler` - what every choice can do.
* `Uniform` - all streams, all valid samples: the default, and the base of the others.
* `gather` - the rollouts of one update, as a sampler wants them.

A stream is a whole number that the sampler never looks inside: a reset seed, or an index into a dataset. Every choice is a pure
function of the seed, the update and what was observed, so that a run resumed from `Sampler.state` gives the numbers of an
uninterrupted one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import SettingsError, whole
from trainers.slots.types import Array

Mask = NDArray[np.bool_]
Entry = TypeVar("Entry")

REFERENCE_NUMBER = 2**20
"""Number, within an update, of the first reference stream: far from those of the trained ones, which count from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupView:
    """The G rollouts of one stream, as far as a sampler looks at them.

    Raises:
        SettingsError: arrays that do not fit together.
    """

    stream: int
    """Which stream, as `Sampler.streams` named it."""
    rewards: Array
    """(G, T) per-step rewards; NaN rows for failed rollouts."""
    outcomes: Array
    """(G,) r_global; NaN for failed rollouts."""
    lengths: Array
    """(G,) tokens of the final memory."""
    failed: Mask
    """(G,) rollouts that leave all statistics."""

    def __post_init__(self) -> None:
        size = self.rewards.shape[:1]
        fits = all(values.shape == size for values in (self.outcomes, self.lengths, self.failed))
        if self.rewards.ndim != 2 or not fits:
            shapes = [values.shape for values in (self.rewards, self.outcomes, self.lengths, self.failed)]
            raise SettingsError(f"a group has rewards (G, T) and outcomes, lengths, failed (G,); got shapes {shapes}")

    @property
    def valid(self) -> Mask:
        """(G,) rollouts that did not fail."""
        return ~self.failed & ~np.isnan(self.rewards).any(axis=1) & ~np.isnan(self.outcomes)

    @property
    def mean(self) -> float:
        """Mean outcome of the valid rollouts; NaN if there are none."""
        return float(self.outcomes[self.valid].mean()) if self.valid.any() else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A stored group."""

    stream: int
    """Which stream it is of."""
    mean: float
    """Its mean outcome when it was stored."""
    mask: Mask
    """(G, T) the samples that are trained when it comes back."""
    entry: Any
    """Whatever the trainer gave: the group with its log-probabilities, which the ratio divides by."""


class Sampler(Protocol):
    """What every choice of the slot can do; `gather` calls it in the order of the methods."""

    pool: list[int] | None
    """Streams to come back to; None where every stream is a fresh one."""

    def exhausted(self) -> str | None:
        """Why no stream is left to learn from, so that the run ends here; None as long as there is one."""
        ...

    def references(self, update: int) -> list[int]:
        """Streams to roll out for `observe_references` before this update; they are not trained."""
        ...

    def observe_references(self, update: int, groups: Sequence[GroupView]) -> None:
        """Learn from the reference streams."""
        ...

    def recall(self, update: int, count: int) -> list[Replayed]:
        """Stored groups that are trained again in this update, which is to have ``count`` groups."""
        ...

    def streams(self, update: int, count: int) -> list[int]:
        """Streams to roll out now. A larger count gives the same streams and then more."""
        ...

    def missing(self, update: int, groups: Sequence[GroupView], count: int) -> int:
        """How many more streams are to be rolled out, given the groups that this update has so far; 0 is enough."""
        ...

    def select(self, update: int, groups: Sequence[GroupView]) -> list[Mask]:
        """Per group a (G, T) mask of the samples that are trained."""
        ...

    def observe(self, update: int, groups: Sequence[GroupView], entries: Sequence[Any]) -> None:
        """Learn from the groups of this update; ``entries``, one per group, is what may be stored and recalled."""
        ...

    def state(self) -> dict[str, Any]:
        """What was observed, JSON-able."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        ...


class Uniform:
    """All streams alike, all valid samples.

    Args:
        seed: decides the streams.
        pool: the streams to draw from, all different; each update takes them in an order of its own, and again from the start when
            they run out. None draws a fresh reset seed for every group.

    Raises:
        SettingsError: a negative seed, an empty pool or one with a stream twice.
    """

    def __init__(self, seed: int = 0, pool: Sequence[int] | None = None) -> None:
        self.seed = whole("seed", seed, 0)
        self.pool = None if pool is None else [int(stream) for stream in pool]
        if self.pool is not None and (not self.pool or len(set(self.pool)) < len(self.pool)):
            raise SettingsError(
                f"the pool needs at least one stream and none of them twice, got {len(self.pool)} of which "
                f"{len(set(self.pool))} differ"
            )

    def exhausted(self) -> str | None:
        """Never."""
        return None

    def references(self, update: int) -> list[int]:
        """None."""
        return []

    def observe_references(self, update: int, groups: Sequence[GroupView]) -> None:
        """Nothing to learn."""

    def recall(self, update: int, count: int) -> list[Replayed]:
        """Nothing is stored."""
        return []

    def streams(self, update: int, count: int) -> list[int]:
        """Fresh reset seeds, or streams of the pool."""
        if self.pool is None:
            return [stream_seed(self.seed, update, number) for number in range(count)]
        return cycle(self.pool, generator(self.seed, update, "streams").permutation(len(self.pool)), count)

    def missing(self, update: int, groups: Sequence[GroupView], count: int) -> int:
        """None."""
        return 0

    def select(self, update: int, groups: Sequence[GroupView]) -> list[Mask]:
        """All samples of rollouts that did not fail."""
        return [whole_rows(group, group.valid) for group in groups]

    def observe(self, update: int, groups: Sequence[GroupView], entries: Sequence[Any]) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Any]:
        """Nothing was learnt."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[Entry]):
    """What one update trains on."""

    groups: list[Entry]
    """The fresh groups, then the recalled ones."""
    masks: list[Mask]
    """Per group (G, T): the samples that are trained."""
    fresh: int
    """How many of the groups were rolled out now."""
    references: int
    """Groups that were rolled out for the sampler alone: they belong in a fair account of the cost."""


def gather(
    sampler: Sampler,
    update: int,
    count: int,
    play: Callable[[Sequence[int], int], Sequence[Entry]],
    view: Callable[[int, Entry], GroupView],
) -> Batch[Entry]:
    """The rollouts of one update, as the sampler wants them.

    Args:
        sampler: any choice of the slot.
        update: 0-based.
        count: groups that the update is to have.
        play: (streams, number of the first one within the update; the others' follow) -> a group of rollouts for each.
        view: (stream, group) -> what the sampler sees of it.
    """
    named = sampler.references(update)
    references = list(map(view, named, play(named, REFERENCE_NUMBER))) if named else []
    if references:
        sampler.observe_references(update, references)
    recalled = sampler.recall(update, count)
    groups: list[Entry] = []
    views: list[GroupView] = []
    wanted = sampler.streams(update, count)
    while len(groups) < len(wanted):
        fresh = wanted[len(groups) :]
        groups += play(fresh, len(groups))
        views += map(view, fresh, groups[-len(fresh) :])
        if more := sampler.missing(update, views, count):
            wanted = sampler.streams(update, len(wanted) + more)
    masks = sampler.select(update, views)
    sampler.observe(update, views, groups)
    return Batch(
        groups=groups + [item.entry for item in recalled],
        masks=masks + [item.mask for item in recalled],
        fresh=len(groups),
        references=len(references),
    )


def stream_seed(seed: int, update: int, number: int) -> int:
    """Reset seed of one group: a function of its place alone, so that runs that share a seed see the same streams."""
    return int(np.random.SeedSequence([seed, update, number]).generate_state(1)[0])


def seed_pool(seed: int, size: int) -> list[int]:
    """``size`` reset seeds to come back to, for choices that need a pool."""
    return list(dict.fromkeys(stream_seed(seed, 0, number) for number in range(whole("size", size, 1))))


def generator(seed: int, update: int, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose in one update, independent of those of all others."""
    # Five words, the last of them never 0: rollouts seed theirs with up to four.
    return np.random.default_rng([seed, update, 0, 0, zlib.crc32(purpose.encode())])


def cycle(pool: Sequence[int], order: NDArray[np.int64], count: int, start: int = 0) -> list[int]:
    """``count`` streams of the pool in the given order, from place ``start`` on and round again."""
    return [pool[order[place % len(order)]] for place in range(start, start + count)]


def whole_rows(group: GroupView, rows: Mask) -> Mask:
    """(G, T) mask of the steps of the rollouts ``rows``, (G,)."""
    return np.repeat(rows[:, None], group.rewards.shape[1], axis=1)


def check_share(name: str, value: float) -> float:
    """``value`` if it is in (0, 1]; SettingsError otherwise."""
    if not 0 < value <= 1:
        raise SettingsError(f"{name} must be above 0 and at most 1, got {value!r}")
    return float(value)
