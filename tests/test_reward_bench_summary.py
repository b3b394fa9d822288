"""From results to rows, with numbers worked out by hand."""

import numpy as np
import pytest

from trainers.reward_bench.cells import BEHAVIOURS, MIXED_ENV, Cell
from trainers.reward_bench.methods import Method
from trainers.reward_bench.summary import noise_ceiling, over_streams, rows


def fake(stream, **values):
    cell = Cell("attribution", "builtin", MIXED_ENV, "mixed", "clean", 5, stream)
    numbers = dict.fromkeys(
        ("kendall_b", "top1", "negative_recall", "normalised_l1", "linear_datamodelling", "efficiency_gap"), 0.0
    )
    entry = numbers | {"spearman": 0.0, "degenerate": False, "calls": 1, "seconds": 0.0} | values
    return cell, {"flat": False, "methods": {"m": entry}}


def test_an_episode_without_negative_steps_leaves_the_mean_of_their_recall():
    results = [fake(0, negative_recall=None), fake(1, negative_recall=1.0), fake(2, negative_recall=0.5)]
    row = rows([Method("m", "control")], results)[0]
    assert (row["negative_recall"], row["episodes"]) == (0.75, 3)


def test_flat_failed_and_unserved_episodes_are_counted_and_left_out():
    flat, failed, unserved = fake(3), fake(4), fake(5)
    flat[1]["flat"] = True
    failed = failed[0], {"failure": "the reader is gone"}
    unserved[1]["methods"]["m"] = {"calls": 0, "seconds": 0.0, "reason": "too long"}
    row = rows([Method("m", "control")], [fake(0, spearman=0.5), fake(1, spearman=1.0), flat, failed, unserved])[0]
    assert (row["spearman"], row["episodes"]) == (0.75, 2)
    assert (row["flat"], row["failures"], row["unserved"], row["reason"]) == (1, 1, 1, "too long")


def test_episodes_on_one_stream_are_one_draw():
    cells = [Cell("attribution", "d", MIXED_ENV, "real", b, 5, 0) for b in BEHAVIOURS]
    interval = over_streams((cell, value) for cell, value in zip(cells, (0.0, 0.5, 1.0), strict=True))
    assert interval == (0.5, 0.5, 0.5)


def group(halves, credit):
    cell = Cell("advantage", "builtin", MIXED_ENV, "mixed", "mixed", 5, 0)
    return cell, {"halves": halves, "methods": {"m": {"credit": credit, "calls": 1, "seconds": 0.0}}}


def test_advantage_fidelity_of_a_known_group():
    # The vectors of oracle 61, with a truth whose halves differ by something that their mean takes out.
    true = np.array([[0.2, -0.1], [0.0, 0.3], [-0.2, 0.1]])
    noise = np.array([[0.1, 0.0], [-0.3, 0.2], [0.0, 0.05]])
    halves = [(true + noise).tolist(), (true - noise).tolist()]
    row = rows([Method("m", "control")], [group(halves, [[0.5, 0.1], [0.4, 0.6], [0.0, 0.2]])])[0]
    assert row["advantage"] == pytest.approx(0.944911, abs=1e-5)
    assert row["groups"] == 1


def test_the_noise_ceiling_follows_from_the_agreement_of_halves():
    one = [[1.0], [-1.0], [0.5], [-0.5]]
    other = [[1.0], [-1.0], [-0.5], [0.5]]
    found = noise_ceiling([group([one, other], one)])
    assert found["split_half"] == pytest.approx(0.6)  # (1 + 1 - .25 - .25) / 2.5
    assert found["ceiling"] == pytest.approx((1.2 / 1.6) ** 0.5)
    assert noise_ceiling([]) == {}
