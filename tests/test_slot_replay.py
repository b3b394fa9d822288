"""Stored rollouts that are trained again."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.slots.replay import RolloutReplay
from trainers.slots.sampling import Replayed, generator

NAN = float("nan")


def stored(stream, mean, entry=None):
    return Replayed(stream, mean, np.ones((2, 3), bool), entry)


def test_replay_keeps_the_last_occurrence_and_nothing_solved_or_lost():
    """Vector 21."""
    replay = RolloutReplay(capacity=4)
    for name, mean in [("a", 0.5), ("b", 1.0), ("a", 0.25), ("c", 0.0), ("d", 0.75)]:
        replay.add(stored(ord(name), mean))
    assert [f"{chr(item.stream)}({item.mean})" for item in replay.items] == ["a(0.25)", "d(0.75)"]


def test_a_stream_that_is_solved_now_leaves_the_replay():
    replay = RolloutReplay()
    replay.add(stored(1, 0.5))
    replay.add(stored(1, 1.0))
    assert len(replay) == 0
    replay.add(stored(1, NAN))  # a group that failed as a whole
    assert len(replay) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=30), st.integers(1, 7))
def test_replay_holds_each_stream_once_and_never_more_than_its_capacity(items, capacity):
    replay = RolloutReplay(capacity=capacity)
    for number, (stream, mean) in enumerate(items):
        replay.add(stored(stream, mean, number))
    newest = {stream: (number, mean) for number, (stream, mean) in enumerate(items)}
    assert len(replay) <= capacity
    assert len({item.stream for item in replay.items}) == len(replay)
    assert all(newest[item.stream] == (item.entry, item.mean) and 0 < item.mean < 1 for item in replay.items)
    sample = replay.sample(3, generator(0, 0, "replay"))
    assert len({item.stream for item in sample}) == min(3, len(replay))


def test_entries_are_written_by_the_trainers_own_functions():
    replay = RolloutReplay(encode=lambda entry: sorted(entry), decode=frozenset)
    replay.add(stored(1, 0.5, frozenset({3, 2})))
    again = RolloutReplay(encode=lambda entry: sorted(entry), decode=frozenset)
    again.restore(json.loads(json.dumps(replay.state())))
    (item,) = again.items
    assert (item.stream, item.mean, item.entry, item.mask.tolist()) == (1, 0.5, frozenset({2, 3}), [[True] * 3] * 2)
