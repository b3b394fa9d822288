"""Samplers: the published examples, masks, and runs that go on from a state as if never stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import DataError, SettingsError
from memenvs.streams import Chunk, Question, Stream
from trainers.slots import compensation, difficulty, filters
from trainers.slots.replay import RolloutReplay
from trainers.slots.samplers import SAMPLERS
from trainers.slots.sampling import GroupView, Replayed, gather, generator, seed_pool, stream_seed

NAN = float("nan")
POOL = list(range(100, 120))
EMBEDDINGS = np.random.default_rng(0).normal(size=(len(POOL), 4))


def group(outcomes, rewards=None, lengths=None, stream=0):
    """A group; NaN outcomes are failed rollouts."""
    outcomes = np.array(outcomes, float)
    rewards = np.repeat(outcomes[:, None], 2, axis=1) if rewards is None else np.array(rewards, float)
    lengths = np.ones(len(outcomes)) if lengths is None else np.array(lengths, float)
    return GroupView(stream, rewards, outcomes, lengths, np.isnan(outcomes))


def make(name, **settings):
    needs = {
        "npr": {"pool": POOL},
        "dots": {"pool": POOL, "embeddings": EMBEDDINGS, "references": 5, "tau": 0.1},
    }
    return SAMPLERS[name](**{"seed": 7} | needs.get(name, {}) | settings)


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


def test_many_is_about_the_group_size():
    assert make("many").group_size == 512
    assert make("many", group_size=64).group_size == 64
    assert make("uniform").group_size is None


def test_learnt_streams_are_not_drawn_again():
    """Vector 06: pass rates .95, .4 and 0 against .9."""
    sampler = make("npr", pool=[1, 2, 3])
    for stream, rate in zip([1, 2, 3], [0.95, 0.4, 0.0], strict=True):
        sampler.observe(0, [group([rate, rate], stream=stream)], [None])
    assert [stream in sampler.streams(1, 2) for stream in (1, 2, 3)] == [False, True, True]
    sampler.observe(1, [group([0.9, 0.9], stream=2), group([NAN, NAN], stream=3)], [None, None])
    assert sampler.streams(2, 2) == [3, 3]
    sampler.observe(2, [group([1, 1], stream=3)], [None])
    with pytest.raises(SettingsError, match=r"all 3 streams .* nothing is left"):
        sampler.streams(3, 1)


def test_npr_also_drops_samples_without_variance():
    (mask,) = make("npr").select(0, [group([1, 0], [[1, 1], [1, 0]])])
    assert mask.tolist() == [[False, True], [False, True]]


# Difficulty


def test_difficulty_is_predicted_by_attention():
    """Vector 21."""
    references = [[1, 0], [0, 1], [0.6, 0.8]]
    weights = difficulty.attention([[1, 0]], references)
    np.testing.assert_allclose(weights, [[0.44509586542, 0.219462835908, 0.335441298671]], atol=1e-11)
    predicted = difficulty.predict_difficulty([[1, 0]], references, [0.25, 1.0, 0.5])
    np.testing.assert_allclose(predicted, [0.498457451599], atol=1e-11)


def test_calibration_stretches_and_shifts_the_logit():
    # logit(.8) = ln 4; halved by T = 2 it is ln 2, and with b = ln 3 added it is ln 6.
    np.testing.assert_allclose(difficulty.calibrate([0.8], 2.0), [2 / 3])
    np.testing.assert_allclose(difficulty.calibrate([0.8], 2.0, np.log(3)), [6 / 7])
    assert np.isfinite(difficulty.calibrate([0.0, 1.0], 0.1)).all()


def test_selection_prefers_middling_difficulty():
    """Vector 21."""
    predicted = [0.5, 0.499, 0.7, 0.1]
    sharp = difficulty.selection_probabilities(predicted, 0.5, 1e-3)
    np.testing.assert_allclose(sharp, [0.73105857863, 0.26894142137, 1.01170942781e-87, 1.40010116321e-174], rtol=1e-9)
    soft = difficulty.selection_probabilities(predicted, 0.5, 0.1)
    np.testing.assert_allclose(soft, [0.466483018798, 0.461841435208, 0.0631316114741, 0.00854393452003], atol=1e-11)


def test_the_budget_of_fresh_groups():
    """Vector 21: B = 8, sigma = .5, mu = 2 gives 8 fresh groups per block and 4 replayed ones per update."""
    assert 2 * difficulty.fresh_share(8, 0.5) == 8
    assert 8 - difficulty.fresh_share(8, 0.5) == 4
    assert [difficulty.fresh_share(1, 0.5), difficulty.fresh_share(10, 0.1), difficulty.fresh_share(3, 0.01)] == [
        1,
        1,
        1,
    ]


def seen(stream, entry=None):
    """A group whose outcomes are made from the stream's number: a third of the streams is solved."""
    return group([1.0] * 3 if stream % 3 == 0 else [0.0, (stream % 10) / 10, 1.0], stream=stream)


def play(sampler, updates, count=4, first=0):
    """What each update trained on."""
    log = []
    for update in range(first, updates):
        drawn = gather(sampler, update, count, lambda stream, number: [stream, number], seen)
        log.append((drawn.groups, drawn.fresh, drawn.references, [mask.tolist() for mask in drawn.masks]))
    return log


def test_dots_measures_every_other_update_and_replays_half():
    log = play(make("dots"), 6)
    assert [references for *_, references, _ in log] == [5, 0, 5, 0, 5, 0]
    assert [fresh for _, fresh, *_ in log] == [4, 2, 2, 2, 2, 2]  # nothing to replay at first
    assert all(len(groups) == 4 for groups, *_ in log)
    # Within a block no stream is rolled out twice.
    assert len({entry[0] for groups, fresh, *_ in log[2:4] for entry in groups[:fresh]}) == 4
    # What is replayed was stored before.
    assert all(entry in log[0][0] for entry in log[1][0][2:])


def test_dots_draws_what_it_predicts_to_be_middling():
    # Streams of three kinds whose embeddings tell them apart, and references of all kinds.
    kinds = np.arange(len(POOL)) % 3
    sampler = make("dots", embeddings=np.eye(3)[kinds], references=len(POOL), tau=1e-3, sigma=1.0)
    outcome = np.array([0.0, 0.5, 1.0])
    views = [group([outcome[k]] * 2, stream=stream) for stream, k in zip(POOL, kinds, strict=True)]
    assert sorted(sampler.references(0)) == POOL
    sampler.observe_references(0, views)
    np.testing.assert_allclose(sampler.predicted()[:3], outcome, atol=1e-4)
    assert {kinds[stream - 100] for stream in sampler.streams(0, 7)} == {1}


def test_draws_without_replacement_follow_the_probabilities():
    sampler_of = lambda seed: make("dots", seed=seed, pool=[0, 1, 2], embeddings=np.eye(3), references=3, tau=0.25)  # noqa: E731
    firsts = []
    for seed in range(400):
        sampler = sampler_of(seed)
        sampler.observe_references(0, [group([m] * 2, stream=s) for s, m in enumerate([0.5, 0.25, 1.0])])
        firsts.append(sampler.streams(0, 1)[0])
    share = np.bincount(firsts, minlength=3) / 400
    # exp(0), exp(-1), exp(-2), normalised; four standard errors.
    np.testing.assert_allclose(share, np.exp([0, -1, -2]) / np.exp([0, -1, -2]).sum(), atol=0.1)


def test_embeddings_tell_streams_of_different_words_apart():
    def stream(i, *texts):
        return Stream(str(i), "builtin", tuple(map(Chunk, texts)), (Question("q", ("a",), "builtin-fact"),))

    found = difficulty.stream_embeddings(
        [stream(0, "the cat sat", "on the mat"), stream(1, "mat on the sat", "cat the"), stream(2, "stock market news")]
    )
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert found[0] @ found[1] == pytest.approx(1)
    assert abs(found[0] @ found[2]) < 0.5


# Replay


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
        lambda stream, number: (stream, number),
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
    drawn = gather(make("dynamic", oversampling=2.5), 0, 2, lambda *place: place, lambda s, e: group([1, 1], stream=s))
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
        (lambda: make("many", group_size=1), "group_size must be at least 2"),
        (lambda: make("compensation", every=0), "every must be at least 1"),
        (lambda: RolloutReplay(capacity=0), "capacity must be at least 1"),
        (lambda: GroupView(0, np.ones((2, 3)), np.ones(3), np.ones(2), np.zeros(2, bool)), r"\(G, T\).*\(3,\)"),
    ],
)
def test_settings_that_cannot_work_are_refused(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


def test_a_state_of_another_pool_is_refused():
    sampler = make("dots")
    sampler.observe_references(0, [group([0, 1], stream=POOL[0])])
    with pytest.raises(DataError, match="another pool.*100"):
        make("dots", pool=range(20)).restore(sampler.state())


def test_a_pool_of_seeds_holds_different_streams():
    pool = seed_pool(3, 500)
    assert len(set(pool)) == 500
    assert seed_pool(3, 10) == pool[:10]
