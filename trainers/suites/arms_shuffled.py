"""Whose memory a question gets in the shuffled control: always another stream's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from memenvs.errors import SettingsError
from memenvs.streams.types import StreamDataset
from trainers.suites.arms_list import ArmUnavailable

MOST_STREAMS = 10_000
"""Generated data has a million streams: there the caller says which ones take part."""


def derangement(groups: Sequence[str], seed: int) -> list[int]:
    """A permutation without a fixed point, within each group of two or more.

    The members of such a group go round in one random cycle. Those that are alone in their group go round together; a single one of
    them is let into the cycle of another member, which then crosses its group's border too.

    Args:
        groups: the group of each of n places.
        seed: of the draws; the result depends on nothing else.

    Returns:
        n places: the one whose memory place i gets.

    Raises:
        SettingsError: fewer than two places.
    """
    if len(groups) < 2:
        raise SettingsError(f"shuffled needs at least 2 streams, got {len(groups)}")
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    alone = [places[0] for places in members.values() if len(places) == 1]
    cycles = [places for _, places in sorted(members.items()) if len(places) > 1]
    if len(alone) > 1:
        cycles.append(alone)
    found = [-1] * len(groups)
    for places in cycles:
        order = rng.permutation(places).tolist()
        for one, other in zip(order, order[1:] + order[:1], strict=True):
            found[one] = other
    if len(alone) == 1:
        door = int(rng.choice([place for place in range(len(groups)) if place != alone[0]]))
        found[alone[0]], found[door] = found[door], alone[0]
    return found


@dataclass(frozen=True)
class _Taking:
    """The streams that take part. Equal for equal data, so that each stream is opened for its source once."""

    fingerprint: str
    indices: tuple[int, ...]
    dataset: StreamDataset = field(compare=False)


def partners(dataset: StreamDataset, seed: int, streams: Iterable[int] | None = None) -> dict[int, int]:
    """Stream -> the stream whose memory it gets: one of the same source where there are several.

    Args:
        dataset: each stream is opened once, for its source.
        seed: of the draws.
        streams: indices that take part; None for all.

    Raises:
        ArmUnavailable: fewer than two streams take part.
        SettingsError: they are so many that they must be named.
    """
    if streams is None and len(dataset) > MOST_STREAMS:
        raise SettingsError(
            f"{dataset.source} has {len(dataset)} streams: say which take part in shuffled (streams=range(100))"
        )
    indices = tuple(sorted(set(range(len(dataset)) if streams is None else streams)))
    if len(indices) < 2:
        raise ArmUnavailable(f"shuffled needs the memory of another stream; there is {len(indices)} in all")
    return _partners(_Taking(dataset.fingerprint, indices, dataset), seed)


@lru_cache(maxsize=8)
def _partners(taking: _Taking, seed: int) -> dict[int, int]:
    chosen = derangement([taking.dataset[index].source for index in taking.indices], seed)
    return {index: taking.indices[place] for index, place in zip(taking.indices, chosen, strict=True)}
