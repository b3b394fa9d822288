"""The advantage slot against published vectors and small numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from trainers.slots import groups as g
from trainers.slots import returns
from trainers.slots.advantages import (
    ADVANTAGES,
    alpha_mix,
    centred,
    decoupled,
    gae,
    leave_one_out,
    turn_outcome,
    whiten,
    zscore,
)
from trainers.slots.normalise import centred as centre
from trainers.slots.normalise import whitened
from trainers.slots.operations import op_advantages
from trainers.slots.types import AdvantageSettings, Baseline, Scored

NAN = float("nan")
PLAIN = AdvantageSettings()
RELATIVE = (zscore, centred, leave_one_out, decoupled)


def scored(rewards, outcomes=None, **extra):
    table = np.array(rewards, float)
    return Scored(rewards=table, outcomes=table.sum(axis=1) if outcomes is None else np.array(outcomes), **extra)


def column(rewards):
    """One step of G rollouts."""
    return scored(np.array(rewards, float)[:, None])


def compare(choice, groups, group=g.step, settings=PLAIN):
    return choice(groups, [group(each, settings) for each in groups], settings)


def test_centred_as_in_dr_grpo():
    np.testing.assert_allclose(compare(centred, [column([1, 0, 0, 1])])[0][:, 0], [0.5, -0.5, -0.5, 0.5])


def test_leave_one_out_as_in_loop_and_rloo():
    loop = compare(leave_one_out, [column([1, 0, 0.25, 0.25, 0.5, 1])], g.trajectory)[0][:, 0]
    np.testing.assert_allclose(loop, [0.6, -0.6, -0.3, -0.3, 0.0, 0.6], atol=1e-12)
    rloo = compare(leave_one_out, [column([1, 0, 0.5, 0.5])], g.trajectory)[0][:, 0]
    np.testing.assert_allclose(rloo, [2 / 3, -2 / 3, 0, 0], atol=1e-12)


def test_decoupled_as_in_prorl():
    groups = [column([1, 0, 1, 1]), column([0, 0, 1, 0])]
    first, second = compare(decoupled, groups, settings=AdvantageSettings(eps=1e-8))
    low, high = 0.540061713201, 1.6201851396
    np.testing.assert_allclose(first[:, 0], [low, -high, low, low], atol=1e-10)
    np.testing.assert_allclose(second[:, 0], [-low, -low, high, -low], atol=1e-10)


def test_decoupled_takes_its_std_before_samples_are_spread():
    # Returns 3 and 1, and 2 and 0: deviations +-1 of four samples, unbiased std sqrt(4 / 3); of eight copies it would be
    # sqrt(8 / 7).
    groups = [scored([[1, 2], [1, 0]]), scored([[1, 1], [0, 0]])]
    first, _ = compare(decoupled, groups, g.trajectory, AdvantageSettings(eps=0.0))
    np.testing.assert_allclose(first, np.sqrt(3 / 4) * np.array([[1, 1], [-1, -1]]))


def test_decoupled_compares_like_with_like():
    group = scored([[1, 2], [3, 5]], trees=(0, 0))
    with pytest.raises(SettingsError, match=r"\[1, 2\]"):
        decoupled([group, group], [g.step(group, PLAIN), g.tree(group, PLAIN)], PLAIN)
    # Baselines keep their own scale and weight: +-2.5 of both is divided by sqrt(12.5), and the second counts double.
    got = compare(decoupled, [group], g.tree, AdvantageSettings(eps=0.0, omega=2.0))[0]
    np.testing.assert_allclose(got[:, 0], [-3 / np.sqrt(2), 3 / np.sqrt(2)])


def test_whiten_as_in_reinforce_pp():
    # Tokens of five answers, each rewarded at its last one; a whitening knows no groups.
    answers = [[0, 1], [0], [1], [0, 0, 1], [0, 0]]
    got = compare(whiten, [scored([tokens]) for tokens in answers])
    up, down = 0.666666653333, -1.33333330667
    assert [len(row[0]) for row in got] == [2, 1, 1, 3, 2]
    np.testing.assert_allclose(np.concatenate([row[0] for row in got]), [up] * 2 + [down] + [up] * 4 + [down] * 2)


def test_reinforce_pp_with_a_group_baseline():
    lengths = [2, 1, 1, 3, 2]
    answers = centre(np.array([1.0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1]))
    expected = [0.8767945819] * 2 + [-1.09599322737] + [0.547996613687] * 4 + [-1.42479119559] * 2
    np.testing.assert_allclose(whitened(np.repeat(answers, lengths)), expected, atol=1e-9)


def test_whiten_discounts_and_leaves_failures_out():
    groups = [scored([[0, 1], [0, 0], [NAN, 50]]), column([0.5, 0])]
    first, second = compare(whiten, groups, settings=AdvantageSettings(gamma=0.5))
    # To go: .5, 1, 0, 0 and .5, 0: mean 1/3, unbiased variance (1/36 + 4/9 + 1/9 + 1/9 + 1/36 + 1/9) / 5 = 1/6.
    z = np.sqrt(6) * (np.array([0.5, 1, 0]) - 1 / 3)
    np.testing.assert_allclose(first, [[z[0], z[1]], [z[2], z[2]], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(second[:, 0], [z[0], z[2]], atol=1e-6)
    assert whiten([], [], PLAIN) == []
    assert not compare(whiten, [column([0.1, 0.1, 0.1])])[0].any()


REWARDS, VALUES = np.array([0, 0.5, 0, 1.0]), np.array([0.2, 0.4, 0.3, 0.6])


def test_gae_as_in_ppo():
    advantages = returns.gae(REWARDS, VALUES, 0.9, 0.8)
    np.testing.assert_allclose(advantages, [0.7001152, 0.75016, 0.528, 0.4])
    np.testing.assert_allclose(advantages + VALUES, [0.9001152, 1.15016, 0.828, 1.0])
    masked = returns.gae(REWARDS, VALUES, 0.9, 0.8, np.array([True, False, True, True]))
    np.testing.assert_allclose(masked, [0.45016, 0.528, 0.528, 0.4])


def test_gae_of_a_group_goes_rollout_by_rollout():
    group = scored([REWARDS, [NAN] * 4, [0, 0, 0, 0]], values=np.array([VALUES, [NAN] * 4, [0, 0, 0, 1.0]]))
    got = compare(gae, [group], settings=AdvantageSettings(gamma=0.9, lam=0.8))[0]
    np.testing.assert_allclose(got[0], [0.7001152, 0.75016, 0.528, 0.4])
    assert got[1].tolist() == [0, 0, 0, 0]
    # The last value was 1 too high: the step before has d = .9 and A = .9 - .72, which fades by .72 per step.
    np.testing.assert_allclose(got[2], [0.72**2 * 0.18, 0.72 * 0.18, 0.18, -1])
    with pytest.raises(SettingsError, match="needs values of a critic"):
        compare(gae, [group, column([1, 2])])


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.floats(-5, 5)), min_size=1, max_size=8),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_masked_step_never_changes_another(steps, gamma, lam):
    rewards, values, mask, noise = (np.array(column) for column in zip(*steps, strict=True))
    got = returns.gae(rewards, values, gamma, lam, mask)[mask]
    np.testing.assert_allclose(got, returns.gae(rewards[mask], values[mask], gamma, lam), atol=1e-9)
    disturbed = returns.gae(np.where(mask, rewards, noise), np.where(mask, values, noise), gamma, lam, mask)[mask]
    np.testing.assert_array_equal(disturbed, got)


def test_turn_outcome_as_in_mt_grpo():
    # Turn rewards at the first step; the second pays everybody the same and is left with the outcome.
    group = scored([[1, 0], [0, 0], [0.5, 0]], outcomes=[0.0, 0, 1])
    got = compare(turn_outcome, [group], settings=AdvantageSettings(alpha=1.0, eps=1e-4))[0]
    np.testing.assert_allclose(got[:, 0], [0.422549753485, -1.5770503265, 1.15450057301], atol=1e-10)
    np.testing.assert_allclose(got[:, 1], [-0.577250286507, -0.577250286507, 1.15450057301], atol=1e-10)
    half = compare(turn_outcome, [group], settings=AdvantageSettings(alpha=0.5, eps=1e-4))[0]
    np.testing.assert_allclose(half[:, 0], (got[:, 0] + got[:, 1]) / 2)


def test_alpha_mix_as_in_rlvmr():
    # Steps that the vector does not have stand under tags of their own, where nothing is compared.
    tags = (("plan", "explore"), ("plan", "reflect"), ("plan", "none 2"), ("explore", "none 3"))
    group = scored([[1, 0.5], [0, 1], [1, 7], [0, 7]], outcomes=[1.0, 0, 1, 0], tags=tags)
    got = compare(alpha_mix, [group], g.tag)[0]
    np.testing.assert_allclose(got[:3, 0], [0.721686586489, -1.01036122108, 0.721686586489], atol=1e-10)
    np.testing.assert_allclose(got[[0, 3], [1, 0]], [0.78656434249, -0.78656434249], atol=1e-10)
    np.testing.assert_allclose(got[1:, 1], [-0.433011951894, 0.433011951894, -0.433011951894], atol=1e-10)
    with pytest.raises(SettingsError, match=r"alpha in \[0, 1\], got 1.5"):
        compare(alpha_mix, [group], g.tag, AdvantageSettings(alpha=1.5))


def test_alpha_one_is_the_outcome_alone_and_zero_the_steps():
    group = scored([[1, 4], [2, 0], [5, 1]], outcomes=[1.0, 0, 0.5])
    whole = compare(alpha_mix, [group], settings=AdvantageSettings(alpha=1.0))[0]
    np.testing.assert_allclose(whole, np.repeat([[1.0], [-1.0], [0.0]], 2, axis=1), atol=1e-5)
    np.testing.assert_array_equal(
        compare(alpha_mix, [group], settings=AdvantageSettings(alpha=0.0))[0], compare(zscore, [group])[0]
    )


@pytest.mark.parametrize("name", ADVANTAGES)
def test_failed_rollouts_leave_every_statistic(name):
    rng = np.random.default_rng(1)
    rewards, values, other = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), column([1, 2, 4])
    other = scored(other.rewards, values=np.zeros((3, 1)))
    broken = rewards.copy()
    broken[2, 0] = NAN
    kept = [0, 1, 3, 4]
    got, beside = compare(ADVANTAGES[name], [scored(broken, values=values), other])
    rest, beside_rest = compare(ADVANTAGES[name], [scored(rewards[kept], values=values[kept]), other])
    assert got[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(got[kept], rest)
    np.testing.assert_allclose(beside, beside_rest)


@pytest.mark.parametrize("choice", RELATIVE)
def test_singletons_and_equal_samples_get_exactly_zero(choice):
    # 0.1 three times has a mean that is not 0.1; and the last sample has a label of its own.
    samples, labels = np.array([[0.1], [0.1], [0.1], [1 / 3]]), np.array([[0], [0], [0], [1]])
    group, other = scored(samples), column([1, 2, 4, 9])
    baselines = [(Baseline(samples, labels),), g.step(other, PLAIN)]
    got = choice([group, other], baselines, AdvantageSettings(eps=0.0))
    assert got[0].tolist() == [[0], [0], [0], [0]]
    assert got[1].any()
    assert not choice([group], baselines[:1], AdvantageSettings(eps=0.0))[0].any()


def test_ddof_and_eps():
    # Deviations -1 and 1: unbiased variance 2, the population's 1.
    group = [column([1, 3])]
    unbiased = compare(zscore, group, settings=AdvantageSettings(ddof=1, eps=0.0))[0]
    population = compare(zscore, group, settings=AdvantageSettings(ddof=0, eps=1.0))[0]
    np.testing.assert_allclose(unbiased[:, 0], [-np.sqrt(0.5), np.sqrt(0.5)])
    np.testing.assert_allclose(population[:, 0], [-0.5, 0.5])
    batch = compare(decoupled, group, settings=AdvantageSettings(ddof=0, eps=1.0))[0]
    np.testing.assert_allclose(batch[:, 0], [-0.5, 0.5])


def test_baselines_add_up_with_their_weights():
    group = scored([[1, 2], [3, 6]])
    baselines = (Baseline(group.rewards, np.array([[0, 1], [0, 1]]), 2.0), g.trajectory(group, PLAIN)[0])
    np.testing.assert_allclose(centred([group], [baselines], PLAIN)[0], [[-2 - 3, -4 - 3], [2 + 3, 4 + 3]])
    with pytest.raises(SettingsError, match="2 streams and 1"):
        centred([group, group], [baselines], PLAIN)


TABLES = st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=2, max_size=6)


@given(TABLES, TABLES, st.sampled_from(RELATIVE), st.lists(st.integers(-50, 50), min_size=3, max_size=3))
def test_advantages_of_a_baseline_sum_to_zero_and_forget_its_level(first, second, choice, levels):
    settings = AdvantageSettings(eps=1e-3)
    got = compare(choice, [scored(first), scored(second)], settings=settings)
    for table in got:
        np.testing.assert_allclose(table.sum(axis=0), 0, atol=1e-9)
    # Every step of the first stream is a baseline of its own, with its own level.
    moved = compare(choice, [scored(np.array(first) + levels), scored(second)], settings=settings)
    for table, after in zip(got, moved, strict=True):
        np.testing.assert_allclose(after, table, atol=1e-9)


@given(TABLES, st.sampled_from(sorted(ADVANTAGES)), st.randoms(use_true_random=False))
def test_the_order_of_rollouts_does_not_matter(rewards, name, random):
    order = list(range(len(rewards)))
    random.shuffle(order)
    table, settings = np.array(rewards, float), AdvantageSettings(eps=1e-3, gamma=0.5)
    whole = compare(ADVANTAGES[name], [scored(table, values=table[:, ::-1])], settings=settings)[0]
    shuffled = compare(ADVANTAGES[name], [scored(table[order], values=table[order, ::-1])], settings=settings)[0]
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-9)


RELEVANCE = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], float)
SCORES = np.array([[1, 1], [1, 0]], float)
WHOLE = np.array([0.707105781188, -0.707105781188])


def test_operations_as_in_rtt():
    none = np.zeros(2)
    intra = op_advantages(none, RELEVANCE, SCORES, weight=1.0)
    np.testing.assert_allclose(intra, [[0, 0, 0], [0.353552640595, 0.353552640595, -0.70710528119]], atol=1e-10)
    inter = op_advantages(none, RELEVANCE, SCORES, weight=1.0, across=True)
    expected = [[0.146446359407, 0.207106281188, 0.207106281188], [0.146446359407, 0.146446359407, -0.853551640597]]
    np.testing.assert_allclose(inter, expected, atol=1e-10)
    both = op_advantages(WHOLE, RELEVANCE, SCORES)
    np.testing.assert_allclose(both[0], [0.707105781188] * 3, atol=1e-10)
    np.testing.assert_allclose(both[1], [-0.530329460891, -0.530329460891, -1.06065842178], atol=1e-10)


def test_operations_of_one_rollout_and_question_stay_by_themselves():
    # A reshape in place of a permutation would mix them.
    alone = op_advantages(WHOLE[1:], RELEVANCE[1:], SCORES[1:])
    np.testing.assert_allclose(op_advantages(WHOLE, RELEVANCE, SCORES)[1:], alone)
    for across in (False, True):
        turned = op_advantages(WHOLE, RELEVANCE[:, ::-1], SCORES[:, ::-1], across=across)
        np.testing.assert_allclose(turned, op_advantages(WHOLE, RELEVANCE, SCORES, across=across))


@pytest.mark.parametrize("across", [False, True])
def test_operations_that_were_not_made_leave_the_statistics(across):
    padded = np.concatenate([RELEVANCE, np.full((2, 2, 1), NAN)], axis=2)
    got = op_advantages(WHOLE, padded, SCORES, across=across)
    assert got[:, 3].tolist() == [0, 0]
    np.testing.assert_allclose(got[:, :3], op_advantages(WHOLE, RELEVANCE, SCORES, across=across))
    failed = np.concatenate([SCORES, [[NAN, NAN]]])
    third = op_advantages(np.append(WHOLE, 0.0), np.concatenate([RELEVANCE, RELEVANCE[:1]]), failed, across=across)
    assert third[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(third[:2], op_advantages(WHOLE, RELEVANCE, SCORES, across=across))


def test_operations_need_fitting_shapes():
    with pytest.raises(SettingsError, match=r"\(G, Q, N\)"):
        op_advantages(WHOLE, RELEVANCE[0], SCORES)
    with pytest.raises(SettingsError, match=r"needs scores \(2, 2\)"):
        op_advantages(WHOLE, RELEVANCE, SCORES.T[:1])
