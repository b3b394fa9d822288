"""Samplers: the published examples, masks, and runs that go on from a state as if never stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sampler_groups import EMBEDDINGS, POOL, group, make, numbered, play

from memenvs.errors import SettingsError
from trainers.slots import compensation, filters
from trainers.slots.replay import RolloutReplay
from trainers.slots.samplers import SAMPLERS
from trainers.slots.sampling import GroupView, gather, seed_pool, stream_seed

NAN = float("nan")


def rows(mask):
    """Which rollouts a mask trains; it must be all or none of a rollout's steps."""
    assert (mask.all(axis=1) == mask.any(axis=1)).all()
    return mask.any(axis=1).tolist()


# What is trained


def test_uniform_trains_every_sample_that_did_not_fail():
    (mask,) = make("uniform").select(0, [group([1, NAN, 0])])
    assert mask.tolist() == [[True, True], [False, False], [True, True]]


def test_zero_variance_drops_steps_and_not_streams():
    rewards = [[0.1, 1, 0], [0.1, 0, 0], [NAN, NAN, NAN], [0.1, 1, 1]]
    (mask,) = make("zero_variance").select(0, [group([1, 0, NAN, 1], rewards)])
    assert mask.tolist() == [[False, True, True], [False, True, True], [False] * 3, [False, True, True]]


def test_zero_variance_keeps_every_step_of_rollouts_whose_returns_are_compared():
    """A sparse reward varies at the last step alone, and its return is the advantage of all of them."""
    sampler = make("zero_variance", stepwise=False)
    sparse, equal = [[0, 0, 1], [0, 0, 0], [NAN] * 3], [[0, 1, 1], [0, 1, 1], [NAN] * 3]
    masks = sampler.select(0, [group([1, 0, NAN], sparse), group([1, 1, NAN], equal), group([1, 0, NAN], equal)])
    assert [rows(mask) for mask in masks] == [[True, True, False], [False] * 3, [True, True, False]]


def test_a_single_valid_rollout_varies_in_nothing():
    alone = group([1, NAN])
    assert not make("zero_variance").select(0, [alone])[0].any()
    assert not filters.keep_group(alone)
    assert not make("dynamic").select(0, [group([NAN, NAN])])[0].any()


def test_dynamic_sampling_keeps_groups_that_are_neither_solved_nor_lost():
    """Vector 03."""
    groups = [group(outcomes) for outcomes in ([1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [0.25] * 4)]
    assert [filters.keep_group(one) for one in groups] == [False, False, True, False]
    assert [mask.any() for mask in make("dynamic").select(0, groups)] == [False, False, True, False]
    assert not filters.keep_group(group([0.1, 0.1, 0.1]))  # whose mean is not exactly .1


def test_dynamic_sampling_looks_at_outcomes_alone():
    assert not make("dynamic").select(0, [group([1, 1], [[0, 1], [1, 0]])])[0].any()
    assert filters.keep_group(group([0.5, NAN, 0.25]))


def test_dynamic_sampling_says_how_many_are_missing():
    sampler = make("dynamic", oversampling=2.0)
    good, bad = group([1, 0]), group([1, 1])
    assert sampler.missing(0, [good, bad, bad], 3) == 2
    assert sampler.missing(0, [good, good, good], 3) == 0
    assert sampler.missing(0, [bad] * 5, 3) == 1  # 2 x 3 groups is the limit
    assert sampler.missing(0, [bad] * 6, 3) == 0


def test_compensation_takes_short_correct_and_long_incorrect_rollouts():
    """Vector 26: a to f."""
    outcomes, lengths = [1, 1, 1, 0, 0, 0], [100, 300, 500, 200, 600, 400]
    chosen = compensation.priority(np.array(outcomes), np.array(lengths), 1.0, 0.34, 0.34)
    assert "".join(np.array(list("abcdef"))[chosen]) == "abef"
    sampler = make("compensation", share_correct=0.34, share_incorrect=0.34, every=2)
    view = group(outcomes, lengths=lengths, stream=5)
    assert rows(sampler.select(0, [view])[0]) == [True, True, False, False, True, True]
    sampler.observe(0, [view], ["entry"])
    assert sampler.recall(2, 1) == []
    (later,) = sampler.recall(3, 1)
    assert (later.stream, later.entry, rows(later.mask)) == (5, "entry", [False, False, True, True, False, False])


def test_compensation_never_trains_a_failed_rollout():
    sampler = make("compensation", share_correct=1.0, share_incorrect=1.0, every=1)
    view = group([1, NAN, 0], lengths=[5, 1, 9])
    assert rows(sampler.select(0, [view])[0]) == [True, False, True]
    sampler.observe(0, [view], ["entry"])
    assert sampler.recall(0, 1) == []  # nothing is left over


@pytest.mark.parametrize(("count", "taken"), [(1, 1), (2, 1), (9, 1), (10, 1), (11, 2), (30, 3)])
def test_shares_are_rounded_up_and_not_by_rounding_noise(count, taken):
    # .1 * 30 is 3.0000000000000004 in floating point.
    assert compensation.priority(np.ones(count), np.arange(count), share_correct=0.1).sum() == taken


# Which streams


def test_fresh_streams_are_a_function_of_their_place():
    assert make("uniform").streams(3, 2) == [stream_seed(7, 3, 0), stream_seed(7, 3, 1)]
    drawn = [seed for update in range(50) for seed in make("uniform").streams(update, 4)]
    assert len(set(drawn)) == 200


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_pool_is_gone_through_before_a_stream_comes_twice(name):
    drawn = make(name, pool=POOL).streams(0, len(POOL) + 3)
    assert sorted(drawn[: len(POOL)]) == POOL
    assert drawn[len(POOL) :] == drawn[:3]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_larger_count_gives_the_same_streams_and_then_more(name):
    sampler = make(name)
    assert sampler.streams(4, 9)[:5] == sampler.streams(4, 5)


def test_updates_differ_in_their_order():
    assert len({tuple(make("uniform", pool=POOL).streams(update, 5)) for update in range(20)}) == 20


def test_learnt_streams_are_not_drawn_again():
    """Vector 06: pass rates .95, .4 and 0 against .9."""
    sampler = make("npr", pool=[1, 2, 3])
    for stream, rate in zip([1, 2, 3], [0.95, 0.4, 0.0], strict=True):
        sampler.observe(0, [group([rate, rate], stream=stream)], [None])
    assert [stream in sampler.streams(1, 2) for stream in (1, 2, 3)] == [False, True, True]
    sampler.observe(1, [group([0.9, 0.9], stream=2), group([NAN, NAN], stream=3)], [None, None])
    assert sampler.streams(2, 2) == [3, 3]
    assert sampler.exhausted() is None
    sampler.observe(2, [group([1, 1], stream=3)], [None])
    assert "all 3 streams" in sampler.exhausted()
    with pytest.raises(SettingsError, match=r"all 3 streams .* nothing is left"):
        sampler.streams(3, 1)


def test_npr_also_drops_samples_without_variance():
    (mask,) = make("npr").select(0, [group([1, 0], [[1, 1], [1, 0]])])
    assert mask.tolist() == [[False, True], [False, True]]


# The whole slot


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_state_through_json_goes_on_as_if_never_stopped(name):
    whole = play(make(name), 9)
    first = make(name)
    before = play(first, 5)
    second = make(name)
    second.restore(json.loads(json.dumps(first.state())))
    assert before + play(second, 9, first=5) == whole


@pytest.mark.parametrize("name", SAMPLERS)
def test_asking_changes_nothing(name):
    asked, left_alone = make(name), make(name)
    play(asked, 3)
    play(left_alone, 3)
    for _ in range(3):
        views = [group([0, 1], stream=POOL[0])]
        asked.references(3), asked.recall(3, 4), asked.streams(3, 9), asked.missing(3, views, 4), asked.select(3, views)
    assert play(asked, 6, first=3) == play(left_alone, 6, first=3)


def test_gather_rolls_out_until_the_sampler_has_enough():
    sampler = make("dynamic", pool=list(range(10)), oversampling=5.0)
    order = sampler.streams(0, 10)
    drawn = gather(
        sampler,
        0,
        2,
        numbered,
        lambda stream, entry: group([stream % 2, 0.0], stream=stream),
    )
    kept = [mask.any() for mask in drawn.masks]
    # Odd streams vary: it stops at the second of them.
    assert [entry[0] for entry in drawn.groups] == order[: len(drawn.groups)]
    assert [number for _, number in drawn.groups] == list(range(drawn.fresh))
    assert kept == [entry[0] % 2 == 1 for entry in drawn.groups]
    assert sum(kept) == 2
    assert kept[-1]


def test_gather_gives_up_at_the_limit():
    drawn = gather(make("dynamic", oversampling=2.5), 0, 2, numbered, lambda s, e: group([1, 1], stream=s))
    assert drawn.fresh == 5
    assert not any(mask.any() for mask in drawn.masks)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make("uniform", pool=[]), "at least one stream"),
        (lambda: make("uniform", pool=[1, 1]), "none of them twice"),
        (lambda: make("uniform", seed=-1), "seed must be at least 0"),
        (lambda: SAMPLERS["npr"](), "give pool"),
        (lambda: make("npr", threshold=1.5), "threshold must be above 0 and at most 1, got 1.5"),
        (lambda: make("dynamic", oversampling=0.5), "oversampling must be at least 1"),
        (lambda: SAMPLERS["dots"](pool=POOL), "embeddings, one row for each"),
        (lambda: make("dots", embeddings=EMBEDDINGS[:3]), r"\(20, h\).*\(3, 4\)"),
        (lambda: make("dots", references=21), "at most the pool's 20"),
        (lambda: make("dots", tau=0), "tau must be a finite number above 0"),
        (lambda: make("compensation", every=0), "every must be at least 1"),
        (lambda: RolloutReplay(capacity=0), "capacity must be at least 1"),
        (lambda: GroupView(0, np.ones((2, 3)), np.ones(3), np.ones(2), np.zeros(2, bool)), r"\(G, T\).*\(3,\)"),
    ],
)
def test_settings_that_cannot_work_are_refused(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


def test_a_pool_of_seeds_holds_different_streams():
    pool = seed_pool(3, 500)
    assert len(set(pool)) == 500
    assert seed_pool(3, 10) == pool[:10]
