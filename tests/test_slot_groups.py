"""The group slot against published vectors and small numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import MemenvsError, SettingsError
from trainers.advantages import group_advantages
from trainers.slots.advantages import centred, zscore
from trainers.slots.groups import GROUPS
from trainers.slots.normalise import centred as centre
from trainers.slots.returns import to_go
from trainers.slots.types import AdvantageSettings, Baseline, Scored

NAN = float("nan")
PLAIN = AdvantageSettings()
REWARDS = [[1, 0.5, 2], [0, 0.5, 1], [1, 1.5, 1], [2, 1.5, 0]]


def scored(rewards, **extra):
    table = np.array(rewards, float)
    return Scored(rewards=table, outcomes=table.sum(axis=1), **extra)


def complete(rewards, states="state at {t}"):
    """With all that any group needs: states that are equal within a step, tags and trees by turns."""
    G, T = np.shape(rewards)
    return scored(
        rewards,
        states=tuple(tuple(states.format(t=t) for t in range(T)) for _ in range(G)),
        tags=tuple(tuple(("INSERT", "SKIP")[(g + t) % 2] for t in range(T)) for g in range(G)),
        trees=tuple(g // 2 for g in range(G)),
    )


def advantages(group, name, settings=PLAIN, compare=zscore):
    return compare([group], [GROUPS[name](group, settings)], settings)[0]


def test_step_trajectory_and_pooled_as_in_grpo():
    step = [[0, -0.866023903787, 1.22474337139], [-1.22474337139, -0.866023903787, 0], [0, 0.866023903787, 0],
            [1.22474337139, 0.866023903787, -1.22474337139]]  # fmt: skip
    pooled = [[0, -0.741618748711, 1.48323749742], [-1.48323749742, -0.741618748711, 0], [0, 0.741618748711, 0],
              [1.48323749742, 0.741618748711, -1.48323749742]]  # fmt: skip
    group = scored(REWARDS)
    np.testing.assert_allclose(advantages(group, "step"), step, atol=1e-10)
    np.testing.assert_allclose(advantages(group, "pooled"), pooled, atol=1e-10)
    population = advantages(group, "step", AdvantageSettings(ddof=0))
    np.testing.assert_allclose(population[:, 1], [-0.999998000004] * 2 + [0.999998000004] * 2, atol=1e-10)


def test_trajectory_is_normalised_before_it_is_spread_over_steps():
    # Over 4 returns the std of 3.5, 1.5, 3.5, 3.5 is 1; over 12 copies it would be 0.905 and the advantages 0.553, -1.658.
    expected = np.repeat([[0.499999500001], [-1.4999985], [0.499999500001], [0.499999500001]], 3, axis=1)
    np.testing.assert_allclose(advantages(scored(REWARDS), "trajectory"), expected, atol=1e-10)


def test_rollouts_of_different_length_are_refused():
    ragged = [[1.0, 0.5, 2.0], [0.0, 0.5], [1.0, 1.5], [2.0]]
    with pytest.raises(SettingsError, match=r"same T.*\[3, 2, 2, 1\]"):
        Scored(rewards=ragged, outcomes=np.zeros(4))


def test_equal_rewards_give_zero_and_leave_other_steps_alone():
    constant = np.array(REWARDS, float)
    constant[:, 1] = 0.5
    got = advantages(scored(constant), "step", AdvantageSettings(eps=0.0))
    assert not got[:, 1].any()
    whole = advantages(scored(REWARDS), "step", AdvantageSettings(eps=0.0))
    np.testing.assert_array_equal(got[:, [0, 2]], whole[:, [0, 2]])


def test_state_as_in_gigpo():
    # Rows of the published vector: 3 steps through s0, s1, s1 that end with 1, and 2 steps through s0, s2 that end with 0.
    after = np.concatenate([to_go(np.array(row), 0.5) for row in ([0, 0, 1.0], [0, 0.0])])
    np.testing.assert_array_equal(after, [0.25, 0.5, 1.0, 0.0, 0.0])
    same_state = centre(after, np.array([0, 1, 1, 0, 2]))
    np.testing.assert_allclose(same_state, [0.125, -0.25, 0.25, -0.125, 0.0])
    # The release averages returns over steps, so the longer rollout weighs 3 to 2: mean .6, where rollouts alone give .5.
    across_steps = centre(np.array([1.0, 1, 1, 0, 0]), np.zeros(5, int))
    np.testing.assert_allclose(across_steps + same_state, [0.525, 0.15, 0.65, -0.725, -0.6])
    np.testing.assert_allclose(centre(np.array([1.0, 0]), np.zeros(2, int)), [0.5, -0.5])


def test_state_adds_returns_to_go_from_equal_states():
    group = scored([[0, 1], [0, 0]], states=(("s0", "s1"), ("s0", "s2")))
    settings = AdvantageSettings(gamma=0.5, omega=2.0)
    # Returns 1 and 0: +-.5. From s0 .5 and 0 to go: +-.25, twice. s1 and s2 were met once.
    np.testing.assert_allclose(advantages(group, "state", settings, centred), [[1.0, 0.5], [-1.0, -0.5]])


def test_same_states_turn_signs_that_a_step_group_gets_wrong():
    group = scored([[0.9], [0.7], [0.3], [0.1]], states=(("X",), ("X",), ("Y",), ("Y",)))
    by_step = advantages(group, "step", compare=centred)[:, 0]
    same_state = GROUPS["state"](group, PLAIN)[1]
    by_state = centred([group], [(same_state,)], PLAIN)[0][:, 0]
    np.testing.assert_allclose(by_step, [0.4, 0.2, -0.2, -0.4])
    np.testing.assert_allclose(by_state, [0.1, -0.1, 0.1, -0.1])
    assert np.flatnonzero(by_step * by_state < 0).tolist() == [1, 2]


def test_local_as_in_memory_r2():
    whole = advantages(scored([[0.8], [0.4], [0.6], [0.2]]), "trajectory")[:, 0]
    np.testing.assert_allclose(whole, [1.16189050388, -0.387296834627, 0.387296834627, -1.16189050388], atol=1e-10)
    rerolled = scored([[0.5], [0.7], [0.3]], states=(("M",),) * 3)
    np.testing.assert_allclose(advantages(rerolled, "local")[:, 0], [0, 0.999995000025, -0.999995000025], atol=1e-10)
    half = advantages(rerolled, "local", AdvantageSettings(omega=0.5))[:, 0]
    np.testing.assert_allclose(half, [0, 0.4999975, -0.4999975], atol=1e-7)


def test_local_refuses_a_column_from_different_states():
    states = (("M", "N"), ("M", "N"), ("M", "other"))
    with pytest.raises(MemenvsError, match="column 1 holds 2 states"):
        advantages(scored([[1, 2], [3, 4], [5, 6]], states=states), "local")
    # A failed re-rollout is compared with nothing, so where it started does not matter.
    got = advantages(scored([[1, 2], [3, 4], [NAN, 6]], states=states), "local", compare=centred)
    np.testing.assert_allclose(got, [[-1, -1], [1, 1], [0, 0]])


def test_tree_as_in_tree_grpo():
    group = scored([[1], [0], [1], [1]], trees=(1, 1, 2, 2))
    expected = [1.20710478119, -2.20710278119, 0.499999000002, 0.499999000002]
    np.testing.assert_allclose(advantages(group, "tree")[:, 0], expected, atol=1e-10)
    leaves_only = advantages(group, "tree", AdvantageSettings(omega=0.0))[:, 0]
    np.testing.assert_allclose(leaves_only[:2], [0.499999000002, -1.49999700001], atol=1e-10)


def test_tag_compares_the_same_kind_of_step_at_any_time():
    # INSERT earned 1 and 5, SKIP earned 0 and 2.
    group = scored([[1, 0], [2, 5]], tags=(("INSERT", "SKIP"), ("SKIP", "INSERT")))
    np.testing.assert_allclose(advantages(group, "tag", compare=centred), [[-2, -1], [1, 2]])


@pytest.mark.parametrize("name", GROUPS)
def test_failed_rollouts_leave_every_baseline(name):
    whole = np.random.default_rng(0).normal(size=(6, 3))
    kept = complete(whole)
    broken = whole.copy()
    broken[[2, 3]] = [[NAN, 100, 100], [100, 100, NAN]]
    got = advantages(
        scored(broken, states=kept.states, tags=kept.tags, trees=kept.trees), name, AdvantageSettings(gamma=0.9)
    )
    without = [g for g in range(6) if g not in (2, 3)]
    rest = scored(
        whole[without],
        states=tuple(kept.states[g] for g in without),
        tags=tuple(kept.tags[g] for g in without),
        trees=tuple(kept.trees[g] for g in without),
    )
    assert not got[[2, 3]].any()
    np.testing.assert_allclose(got[without], advantages(rest, name, AdvantageSettings(gamma=0.9)))


@pytest.mark.parametrize("name", GROUPS)
def test_a_lone_rollout_is_not_compared_with_its_own_steps(name):
    assert not advantages(complete([[1.0, 2.0, 4.0]], "same"), name).any()
    assert not advantages(complete([[1.0, 2.0, 4.0], [NAN, 1.0, 0.0]], "same"), name).any()


def test_samples_that_nothing_shares_a_label_with_get_zero():
    group = scored([[1, 2], [3, 5]], tags=(("INSERT", "SKIP"), ("INSERT", "DELETE")), trees=(0, 1))
    assert advantages(group, "tag")[:, 1].tolist() == [0, 0]
    np.testing.assert_array_equal(advantages(group, "tree"), advantages(group, "trajectory"))


@pytest.mark.parametrize(
    ("name", "need"), [("state", "states"), ("local", "states"), ("tree", "trees"), ("tag", "tags")]
)
def test_a_group_says_what_it_misses(name, need):
    with pytest.raises(SettingsError, match=f'group "{name}" needs {need}.*pass {need}='):
        advantages(scored(REWARDS), name)


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=4, max_size=4), min_size=3, max_size=7),
    st.sampled_from(sorted(GROUPS)),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rollouts_does_not_matter(rewards, name, random):
    group = complete(rewards)
    order = list(range(len(rewards)))
    random.shuffle(order)
    shuffled = scored(
        np.array(rewards)[order],
        states=tuple(group.states[g] for g in order),
        tags=tuple(group.tags[g] for g in order),
        trees=tuple(group.trees[g] for g in order),
    )
    settings = AdvantageSettings(gamma=0.5, eps=1e-3)
    np.testing.assert_allclose(
        advantages(shuffled, name, settings), advantages(group, name, settings)[order], atol=1e-9
    )


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=2, max_size=6),
    st.sampled_from(sorted(GROUPS)),
    st.integers(-5, 5),
)
def test_what_all_rollouts_earn_more_does_not_matter(rewards, name, more):
    settings = AdvantageSettings(gamma=0.5, eps=1e-3)
    shifted = advantages(complete(np.array(rewards) + more), name, settings)
    np.testing.assert_allclose(shifted, advantages(complete(rewards), name, settings), atol=1e-9)


def test_the_public_function_takes_what_the_groups_need():
    states = [["a", "b"], ["a", "c"], ["a", "b"]]
    rewards = [[1, 2], [2, 3], [4, 1]]
    group = scored(rewards, states=tuple(map(tuple, states)))
    np.testing.assert_array_equal(
        group_advantages(rewards, "state", scale="none", states=states), advantages(group, "state", compare=centred)
    )
    # Step 1 was reached in state b twice (2 and 1) and in c once; returns are 3, 5, 5.
    np.testing.assert_allclose(
        group_advantages(rewards, "state", scale="none", states=states)[:, 1], [-4 / 3 + 0.5, 2 / 3, 2 / 3 - 0.5]
    )
    np.testing.assert_allclose(
        group_advantages([[1, 0], [2, 5]], "tag", scale="none", tags=[["+", "-"], ["-", "+"]]), [[-2, -1], [1, 2]]
    )
    np.testing.assert_allclose(
        group_advantages([[1], [0], [1], [1]], "tree", trees=[1, 1, 2, 2])[1], -2.20710278119, atol=1e-10
    )
    with pytest.raises(MemenvsError, match="column 1 holds 2 states"):
        group_advantages(rewards, "local", states=states)
    with pytest.raises(SettingsError, match="needs states"):
        group_advantages(rewards, "state")


def test_scored_refuses_what_does_not_fit():
    with pytest.raises(SettingsError, match=r"outcomes must be \(2,\)"):
        Scored(rewards=np.zeros((2, 3)), outcomes=np.zeros(3))
    with pytest.raises(SettingsError, match="infinite"):
        Scored(rewards=np.zeros((1, 1)), outcomes=np.array([np.inf]))
    with pytest.raises(SettingsError, match=r"states must be 2 rows of 2, got rows of \[2, 1\]"):
        scored([[1, 2], [3, 4]], states=(("a", "b"), ("a",)))
    with pytest.raises(SettingsError, match="trees must be 2 numbers"):
        scored([[1, 2], [3, 4]], trees=(1,))
    with pytest.raises(SettingsError, match=r"values must be \(2, 2\)"):
        scored([[1, 2], [3, 4]], values=np.zeros(2))
    with pytest.raises(SettingsError, match="critic diverge"):
        scored([[1, 2], [3, 4]], values=np.array([[0, 0], [NAN, 0]]))
    with pytest.raises(SettingsError, match=r"samples \(2, 2\) and labels \(2, 1\)"):
        Baseline(np.zeros((2, 2)), np.zeros((2, 1), int))
    with pytest.raises(SettingsError, match="numbers"):
        Scored(rewards=[["good"]], outcomes=np.zeros(1))


def test_a_rollout_that_failed_in_one_place_failed_altogether():
    group = Scored(rewards=np.array([[1, NAN], [1, 2], [3, 4]]), outcomes=np.array([0.5, NAN, 1]))
    assert group.failed.tolist() == [True, True, False]
    assert np.isnan(group.rewards[:2]).all()
    assert np.isnan(group.outcomes[:2]).all()


@pytest.mark.parametrize(
    "wrong", [{"ddof": 2}, {"eps": -1.0}, {"gamma": 1.5}, {"lam": -0.1}, {"alpha": NAN}, {"omega": float("inf")}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        AdvantageSettings(**wrong)
