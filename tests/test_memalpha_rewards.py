"""Mem-alpha's reward: batches by hand, the published function's vectors, episodes, and its advantages."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import memenvs  # noqa: F401
from memenvs.errors import SettingsError
from memenvs.scoring import score
from rewards import CompressionReward, FormatReward, OutcomeReward, memalpha
from trainers.advantages import group_advantages


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_by_hand():
    # Rollout 0: acc 0.5, memory 134 of 2688 tokens, threshold 0.5 makes the accuracy 1; beta = 0, gamma = 1.
    assert memalpha.row_rewards(
        [0.5], [memalpha.compression(134, 2688)], [0] * 4, [1, 0.5, 0.25, 1], [1, 0.5, 0, 0], 0.0, 1.0, 0.5
    ) == (3, 2, 1.25, 2)
    # A memory larger than the stream costs: compression 1 - 5362/4125, not clipped at 0.
    assert memalpha.compression(5362, 4125) == pytest.approx(-0.29987878787878788, abs=1e-12)
    # Rows of two rollouts in mixed order, one of them twice; no content term.
    rows = memalpha.row_rewards([0.25, 0.75], [0.8, -0.4], [1, 0, 1, 1], [1, 0, 0.5, 0.5], None, beta=0.5)
    assert rows == pytest.approx((1.55, 0.65, 1.05, 1.05))


def test_below_the_threshold_an_accuracy_counts_as_0():
    assert memalpha.row_rewards([0.49, 0.5], [0, 0], [0, 1], [0, 0], threshold=0.5) == (0, 1)


def test_the_published_rewards_are_ours_rounded_to_float32(shared):
    for vector in lines(shared / "oracles/peers/memalpha_reward_call.jsonl"):
        given, expected = vector["inputs"], vector["output"]
        accuracy = [
            np.mean([score(p, g, source, "memalpha-train") for p, g in zip(predicted, gold, strict=True)])
            for predicted, gold, source in zip(given["predicted"], given["gold"], given["data_sources"], strict=True)
        ]
        compressions = [
            memalpha.compression(kept, told)
            for kept, told in zip(given["total_memory_length"], given["total_chunk_length"], strict=True)
        ]
        np.testing.assert_allclose(accuracy, expected["acc"], atol=1e-9)
        np.testing.assert_allclose(compressions, expected["compression"], atol=1e-9)
        rows = memalpha.row_rewards(
            accuracy, compressions, given["indices_in_batch"], given["function_call_rewards"], given["content_rewards"],
            given["compression_ratio_weight"], given["function_content_reward_weight"], given["threshold"],
        )  # fmt: skip
        np.testing.assert_array_equal(np.float32(rows), np.float32(expected["row_reward"]))


def played(env, messages):
    env.reset(seed=1)
    for message in messages:
        *_, done, _, info = env.step(message)
        if done:
            return info
    raise AssertionError("the episode did not end")


MESSAGES = ['[{"op": "INSERT", "content": "a note"}, {"op": "DELETE", "id": "9.9"}]', "", *['[{"op": "SKIP"}]'] * 30]


def test_steps_of_an_episode_are_what_three_wrappers_pay():
    env = FormatReward(
        CompressionReward(OutcomeReward(gym.make("FineMem-Memalpha-v0"), spread="uniform", scale="mean"), weight=0.05)
    )
    info = played(env, MESSAGES)
    record = env.unwrapped.record
    assert memalpha.steps(record) == pytest.approx(info["step_rewards"], abs=1e-12)
    with_content = memalpha.steps(record, [1.0] * record.T, gamma=0.25)
    assert with_content == pytest.approx([r + 0.25 for r in info["step_rewards"]], abs=1e-12)
    # A call that fails, a message without calls, and a SKIP: half, nothing, all of r_fc.
    assert np.diff(memalpha.steps(record)[:3]) == pytest.approx([-0.5, 1.0])


def test_a_failed_reading_is_no_accuracy_of_0():
    env = gym.make("FineMem-Memalpha-v0")
    played(env, MESSAGES)
    record = env.unwrapped.record
    failed = replace(
        record, questions=(replace(record.questions[0], prediction=None, score=None), *record.questions[1:])
    )
    assert all(math.isnan(value) for value in memalpha.steps(failed, threshold=0.5))


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match="one compression per accuracy"):
        memalpha.row_rewards([1.0], [], [0], [1.0])
    with pytest.raises(SettingsError, match="1 of content"):
        memalpha.row_rewards([1.0], [0.5], [0, 0], [1.0, 1.0], [1.0])
    with pytest.raises(SettingsError, match="rollouts 0 to 0"):
        memalpha.row_rewards([1.0], [0.5], [0, 1], [1.0, 1.0])
    with pytest.raises(SettingsError, match="stream with tokens"):
        memalpha.compression(5, 0)


def by_group(rewards, groups, **settings):
    rewards, groups = np.array(rewards), np.array(groups)
    advantages = np.zeros(len(rewards))
    for group in set(groups.tolist()):
        rows = groups == group
        advantages[rows] = group_advantages(rewards[rows, None], group="pooled", **settings)[:, 0]
    return advantages


def test_all_rows_of_an_instance_are_one_group():
    # Rows 3, 2, 1.25, 2: mean 2.0625, unbiased std 0.71807...
    assert by_group([3.0, 2.0, 1.25, 2.0], [0] * 4) == pytest.approx(
        [1.3055806, -0.0870387, -1.1315032, -0.0870387], abs=1e-6
    )
    assert by_group([1.75, 0.25, 1.0], [7, 7, 7], scale="none") == pytest.approx([0.75, -0.75, 0.0])


def test_a_row_alone_in_its_group_gets_0_on_purpose():
    # The published code divides the raw reward by 1 + eps: a step without comparison would be pushed by whatever it earned.
    assert by_group([1.4, 2.0, 1.0], [0, 1, 1]).tolist() == pytest.approx([0.0, 0.7071058, -0.7071058], abs=1e-6)


def test_the_published_advantages(shared):
    for vector in lines(shared / "oracles/peers/memalpha_grpo_advantage.jsonl"):
        given = vector["inputs"]
        scale = "std" if given["norm_adv_by_std"] else "none"
        got = by_group(given["row_reward"], given["uid"], scale=scale, eps=given["epsilon"])
        expected = np.array(vector["output"]["row_advantage"])
        alone = np.array([given["uid"].count(group) == 1 for group in given["uid"]])
        # rtol: upstream's means and deviations are float32.
        np.testing.assert_allclose(got[~alone], expected[~alone], atol=1e-6, rtol=1e-6)
        assert not got[alone].any()
