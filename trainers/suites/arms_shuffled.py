"""Whose memory a question gets in the shuffled control: always that of a stream with other chunks.

* `derangement` - who gets whose, for places with a group and a content each.
* `partners` - who gets whose, for the streams of a data set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from memenvs.errors import SettingsError
from memenvs.streams.types import Stream, StreamDataset
from trainers.suites.arms_list import ArmUnavailable

MOST_STREAMS = 10_000
"""Generated data has a million streams: there the caller says which ones take part."""


def derangement(groups: Sequence[str], seed: int, contents: Sequence[Hashable] | None = None) -> list[int]:
    """A random permutation that gives every place another content, one of its own group where that can be.

    A group stays among itself if at most half of it has the same content. The places of all other groups are put together, and with
    them as few further groups as it takes, which then mix too: a place that is alone joins another one's group.

    Args:
        groups: the group of each of n places.
        seed: of the draws; the result depends on nothing else.
        contents: what each place holds; n different things if not given, so that the result has no fixed point and that is all.

    Returns:
        For each of the n places the one whose content it gets; each place is given once.

    Raises:
        ArmUnavailable: more than half of the places have the same content.
    """
    held = list(range(len(groups))) if contents is None else list(contents)
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    whole, rest = [], []
    for _, places in sorted(members.items()):
        if 2 * _most(held, places) <= len(places):
            whole.append(places)
        else:
            rest += places
    while rest and 2 * _most(held, rest) > len(rest):
        if not whole:
            raise ArmUnavailable(
                f"shuffled needs the memory of another stream; of {len(groups)} streams {_most(held, rest)} have the same chunks"
            )
        rest += whole.pop(int(rng.integers(len(whole))))
    found = [-1] * len(groups)
    for places in (*whole, rest):
        order: list[int] = rng.permutation(places).tolist()
        first = {held[place]: number for number, place in reversed(list(enumerate(order)))}
        order.sort(key=lambda place: first[held[place]])
        # Equal contents stand side by side now: as many places on there is another one.
        further = _most(held, places)
        for one, other in zip(order, order[further:] + order[:further], strict=True):
            found[one] = other
    return found


def _most(held: Sequence[Hashable], places: Sequence[int]) -> int:
    """How many places have the commonest content."""
    return max(Counter(held[place] for place in places).values(), default=0)


@dataclass(frozen=True)
class _Taking:
    """The streams that take part. Equal for equal data, so that each stream is opened for this once."""

    fingerprint: str
    indices: tuple[int, ...]
    dataset: StreamDataset = field(compare=False)


def partners(dataset: StreamDataset, seed: int, streams: Iterable[int] | None = None) -> dict[int, int]:
    """Stream -> the stream whose memory it gets: one of the same source where there are several. Never one of the same chunks.

    Args:
        dataset: each stream is opened once, for its source and its chunks.
        seed: of the draws.
        streams: indices that take part; None for all.

    Raises:
        ArmUnavailable: only one stream takes part, or more than half of them have the same chunks.
        SettingsError: they are so many that they must be named.
    """
    if streams is None and len(dataset) > MOST_STREAMS:
        raise SettingsError(
            f"{dataset.source} has {len(dataset)} streams: say which take part in shuffled (streams=range(100))"
        )
    indices = tuple(sorted(set(range(len(dataset)) if streams is None else streams)))
    return _partners(_Taking(dataset.fingerprint, indices, dataset), seed)


@lru_cache(maxsize=8)
def _partners(taking: _Taking, seed: int) -> dict[int, int]:
    sources, contents = [], []
    for index in taking.indices:
        stream = taking.dataset[index]
        sources.append(stream.source)
        contents.append(_content(stream))
    chosen = derangement(sources, seed, contents)
    return {index: taking.indices[place] for index, place in zip(taking.indices, chosen, strict=True)}


def _content(stream: Stream) -> bytes:
    digest = hashlib.sha256()
    for chunk in stream.chunks:
        digest.update(hashlib.sha256(chunk.text.encode("utf-8", "surrogatepass")).digest())
    return digest.digest()
