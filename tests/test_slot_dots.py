"""DOTS: predicted difficulty, which streams it draws, and what it replays."""

from __future__ import annotations

import numpy as np
import pytest
from sampler_groups import POOL, group, make, play

from memenvs.errors import DataError
from memenvs.streams import Chunk, Question, Stream
from trainers.slots import difficulty


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
    sharp, soft = (np.exp(difficulty.preference(predicted, 0.5, tau)) for tau in (1e-3, 0.1))
    sharp, soft = sharp / sharp.sum(), soft / soft.sum()
    np.testing.assert_allclose(sharp, [0.73105857863, 0.26894142137, 1.01170942781e-87, 1.40010116321e-174], rtol=1e-9)
    np.testing.assert_allclose(soft, [0.466483018798, 0.461841435208, 0.0631316114741, 0.00854393452003], atol=1e-11)


def test_the_budget_of_fresh_groups():
    """Vector 21: B = 8, sigma = .5, mu = 2 gives 8 fresh groups per block and 4 replayed ones per update."""
    assert 2 * difficulty.fresh_share(8, 0.5) == 8
    assert 8 - difficulty.fresh_share(8, 0.5) == 4
    # ceil(mu sigma B) over the block: 1 of two single groups, 3 of 2 x 3 halves, 1 of 2 x 10 x .05, never none at its start.
    shares = [
        [difficulty.fresh_share(*size, place) for place in (0, 1)]
        for size in ((1, 0.5), (3, 0.5), (10, 0.05), (3, 0.01))
    ]
    assert shares == [[1, 0], [2, 1], [1, 0], [1, 0]]
    assert [difficulty.fresh_share(1, 1.0, place) for place in range(4)] == [1, 1, 1, 1]


def test_dots_measures_every_other_update_and_replays_half():
    log = play(make("dots"), 6)
    assert [references for *_, references, _ in log] == [5, 0, 5, 0, 5, 0]
    assert [fresh for _, fresh, *_ in log] == [4, 2, 2, 2, 2, 2]  # nothing to replay at first
    assert all(len(groups) == 4 for groups, *_ in log)
    # Within a block no stream is rolled out twice.
    assert len({entry[0] for groups, fresh, *_ in log[2:4] for entry in groups[:fresh]}) == 4
    # What is replayed was stored before.
    assert all(entry in log[0][0] for entry in log[1][0][2:])


def test_dots_with_a_single_group_replays_it_in_every_other_update():
    log = play(make("dots"), 6, count=1)
    # Streams whose rollouts are solved are not stored; there is nothing to replay before one is.
    assert [len(groups) for groups, *_ in log] == [1] * 6
    stored, fresh_ones = [], []
    for update, (groups, fresh, *_) in enumerate(log):
        if fresh:
            fresh_ones.append(update)
            stored += [entry for entry in groups if entry[0] % 3]
        else:
            assert update % 2 == 1
            assert groups[0] in stored
    assert len(fresh_ones) < 6


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


def test_a_state_of_another_pool_is_refused():
    sampler = make("dots")
    sampler.observe_references(0, [group([0, 1], stream=POOL[0])])
    with pytest.raises(DataError, match="another pool.*100"):
        make("dots", pool=range(20)).restore(sampler.state())
