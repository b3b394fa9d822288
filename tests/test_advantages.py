"""Group advantages against small numbers worked out by hand and by verl's function."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from trainers.advantages import GROUPS, group_advantages
from trainers.slots import groups
from trainers.slots.advantages import ADVANTAGES
from trainers.slots.choices import Slots
from trainers.slots.types import Scored
from trainers.update import advantage_settings

REWARDS = [[1, 0.5, 2], [0, 0.5, 1], [1, 1.5, 1], [2, 1.5, 0]]
STEP = [[0, -0.866023904, 1.224743371], [-1.224743371, -0.866023904, 0], [0, 0.866023904, 0],
        [1.224743371, 0.866023904, -1.224743371]]  # fmt: skip
NAN = float("nan")


def test_step_group():
    np.testing.assert_allclose(group_advantages(REWARDS), STEP, atol=1e-9)
    population = group_advantages(REWARDS, ddof=0)
    np.testing.assert_allclose(population[0], [0, -0.999998, 1.414211562], atol=1e-9)


def test_trajectory_group():
    # Returns 3.5, 1.5, 3.5, 3.5: mean 3, std 1.
    expected = np.repeat([[0.4999995], [-1.4999985], [0.4999995], [0.4999995]], 3, axis=1)
    np.testing.assert_allclose(group_advantages(REWARDS, group="trajectory"), expected, atol=1e-9)


def test_pooled_group():
    expected = [[0, -0.741618749, 1.483237497], [-1.483237497, -0.741618749, 0]]
    np.testing.assert_allclose(group_advantages(REWARDS, group="pooled")[:2], expected, atol=1e-9)


def test_shared_vectors(shared):
    oracle = json.loads((shared / "oracles/rl/01_grpo.json").read_text())
    rewards, output = oracle["input"]["step_rewards_GxT"], oracle["output"]
    np.testing.assert_allclose(group_advantages(rewards), output["per_step_adv_ddof1"], atol=1e-9)
    np.testing.assert_allclose(group_advantages(rewards, ddof=0), output["per_step_adv_ddof0"], atol=1e-9)
    np.testing.assert_allclose(
        group_advantages(rewards, group="pooled"), output["pooled_all_steps_adv_ddof1"], atol=1e-9
    )
    np.testing.assert_allclose(
        group_advantages(rewards, group="trajectory")[:, 0], output["trajectory_adv_ddof1"], atol=1e-9
    )


def test_scale_none_only_centres():
    np.testing.assert_allclose(group_advantages([[1.0, 4.0], [3.0, 4.0]], scale="none"), [[-1, 0], [1, 0]])


@pytest.mark.parametrize("group", GROUPS)
def test_failed_rollouts_leave_the_statistics(group):
    rewards = np.array(REWARDS, float)
    with_failure = np.insert(rewards, 1, [7.0, NAN, 7.0], axis=0)
    got = group_advantages(with_failure, group=group)
    assert got[1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(np.delete(got, 1, axis=0), group_advantages(rewards, group=group))


@pytest.mark.parametrize("group", GROUPS)
def test_singletons_and_equal_rewards_get_zero(group):
    assert not group_advantages([[1.0, 2.0]], group=group).any()
    assert not group_advantages([[1.0, 2.0], [NAN, 2.0]], group=group).any()
    assert not group_advantages([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]], group=group, eps=0.0).any()


def test_the_published_arithmetic_is_float32_and_keeps_a_lone_reward():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    assert group_advantages([[5.0]], published=True)[0, 0] == np.float32(5) / np.float32(1 + 1e-6)
    assert group_advantages([[5.0]], scale="none", published=True)[0, 0] == 5.0
    # One rollout of three steps is a group of three rows there.
    np.testing.assert_allclose(group_advantages([[1, 2, 3]], group="pooled", published=True), [[-1, 0, 1]], atol=1e-5)
    for group in GROUPS:
        got = group_advantages(REWARDS, group=group, published=True)
        np.testing.assert_allclose(got, group_advantages(REWARDS, group=group), atol=2e-6)
        assert (got == got.astype(np.float32)).all()
    failed = group_advantages([[1.0], [NAN], [3.0]], published=True)[:, 0]
    np.testing.assert_allclose(failed, [-0.7071058, 0, 0.7071058], atol=1e-6)
    with pytest.raises(SettingsError, match="ddof 1; got 0"):
        group_advantages(REWARDS, ddof=0, published=True)


def test_the_published_arithmetic_fills_the_trainers_slot():
    settings = advantage_settings(Slots(group="pooled", advantage="published").filled)
    rewards = np.array(REWARDS, float)
    group = Scored(rewards, rewards.sum(1))
    got = ADVANTAGES["published"]([group], [groups.pooled(group, settings)], settings)[0]
    np.testing.assert_array_equal(got, group_advantages(REWARDS, group="pooled", published=True))


def test_ragged_and_wrong_input_is_refused():
    with pytest.raises(SettingsError, match=r"same T.*\[3, 2\]"):
        group_advantages([[1, 2, 3], [1, 2]])
    with pytest.raises(SettingsError, match=r"\(G, T\), got an array of shape \(3,\)"):
        group_advantages([1, 2, 3])
    with pytest.raises(SettingsError, match="infinite"):
        group_advantages([[1.0], [float("inf")]])
    with pytest.raises(SettingsError, match="Did you mean 'trajectory'"):
        group_advantages(REWARDS, group="trajectories")
    with pytest.raises(SettingsError, match="ddof"):
        group_advantages(REWARDS, ddof=2)


@given(st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=2, max_size=8), st.sampled_from(GROUPS))
def test_shift_and_order_do_not_matter(rewards, group):
    table = np.array(rewards)
    got = group_advantages(table, group=group, eps=1e-3)
    np.testing.assert_allclose(group_advantages(table[::-1], group=group, eps=1e-3)[::-1], got, atol=1e-6)
    np.testing.assert_allclose(group_advantages(table + 1.0, group=group, eps=1e-3), got, atol=1e-6)
    np.testing.assert_allclose(got.sum(0).sum(), 0, atol=1e-6)
