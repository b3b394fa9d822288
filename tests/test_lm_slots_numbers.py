"""What groups of a language model's messages are worth, by hand and as the candidate trainer has it; and what is stored of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture

from agents.language_model.policy import Decision
from agents.language_model.sampling import Sample
from memenvs.memory.tokens import count_tokens
from trainers.critic import Critic
from trainers.rollout import Group
from trainers.slots.choices import Slots
from trainers.stored import from_plain, to_plain
from trainers.tokens.critic import episode_states
from trainers.tokens.parts import TokenParts
from trainers.tokens.rows import TokenRow
from trainers.update import advantages, make_batch

NAN = float("nan")
HALF = 2**-0.5


def group(rewards, outcomes=None, local=False, trees=None):
    """Rollouts that said something different at each step."""
    rewards = np.array(rewards, float)
    G, T = rewards.shape
    failed = np.isnan(rewards).any(axis=1)
    said = lambda g, t: Decision("", Sample((1, 2 + t), (7, g, t), (-0.5, -1.0, -0.25), "", False))  # noqa: E731
    return Group(
        stream=0, decisions=[[said(g, t) for t in range(T)] for g in range(G)], rewards=rewards, terms={}, weights={},
        r_global=rewards.sum(axis=1) if outcomes is None else np.array(outcomes, float),
        states=tuple(tuple(f"{t}" for t in range(T)) for _ in range(G)), trees=trees, records=[], failed=failed, local=local,
    )  # fmt: skip


LOCAL = [group([[1, 0], [3, 2]]), group([[0.0], [0.5], [1.0]], local=True)]
TREE = [group([[0, 0], [1, 1], [2, 2], [4, 6]], trees=(0, 0, 1, 1))]
GAE = [group([[1, 0, 2], [NAN, NAN, NAN]])]
Z = np.array([-4, -2, 0, 6]) / (56 / 3) ** 0.5  # returns 0, 2, 4, 10: mean 4, squares 16 + 4 + 0 + 36 over 3


@pytest.mark.parametrize(
    ("groups", "slots", "values", "expected"),
    [
        (
            LOCAL,
            Slots(preset="memory-r2", omega=0.5),
            None,
            # Returns 1 and 5 at both steps; then half of (0, .5, 1 less .5) / .5.
            [-HALF, -HALF, HALF, HALF, -0.5, 0.0, 0.5],
        ),
        (
            TREE,
            Slots(preset="memagent", group="tree", advantage="zscore", omega=1.0),
            None,
            # Against all leaves, and against the other leaf of the tree; a shared step is trained once for each of its leaves.
            np.repeat(Z + np.array([-HALF, HALF, -HALF, HALF]), 2),
        ),
        (
            GAE,
            Slots(preset="ppo", gamma=0.5, lam=0.5),
            [np.array([[0.5, 0.25, 1.0], [0.0, 0.0, 0.0]])],
            # 2 - 1 = 1, then .25 + .5 * 1 - .25 ... : deltas .625, .25, 1, each plus a quarter of what follows.
            [0.75, 0.5, 1.0],
        ),
    ],
    ids=["local", "tree", "gae"],
)
def test_rows_have_the_advantages_worked_out_by_hand_and_those_of_the_candidate_trainer(
    taught, groups, slots, values, expected  # noqa: F811
):  # fmt: skip
    parts = TokenParts(replace(taught, slots=slots))
    tables = advantages(groups, parts.slots, values)
    everything = [np.ones(own.rewards.shape, bool) for own in groups]
    rows = parts.rows(groups, tables, everything)
    assert [row.advantage for row in rows] == pytest.approx(list(expected), abs=1e-5)
    sound = [decision.sample for own in groups for g in np.flatnonzero(~own.failed) for decision in own.decisions[g]]
    assert [(row.prompt, row.completion, row.old) for row in rows] == [(s.prompt, s.tokens, s.log_probs) for s in sound]
    batch = make_batch(groups, tables, everything)
    assert torch.equal(batch.advantages[:, 0], torch.tensor([row.advantage for row in rows], dtype=torch.float32))
    assert batch.streams.tolist() == [row.stream for row in rows]


def test_re_rollouts_of_a_step_are_prompted_as_that_step_was_and_paid_for_where_they_lead(taught):  # noqa: F811
    parts = TokenParts(replace(taught, slots=Slots(preset="memory-r2"), group_size=2, streams=1))
    whole, again = parts.draw(0).groups
    assert (whole.local, again.local) == (False, True)
    first = [decision.sample.prompt for decision in whole.decisions[0]]
    columns = [{row[t].sample.prompt for row in again.decisions} for t in range(again.rewards.shape[1])]
    assert all(len(prompts) == 1 for prompts in columns)
    steps = [first.index(prompts.pop()) for prompts in columns]
    assert len({decision.sample.tokens for row in again.decisions for decision in row}) > 1
    # The reward of a re-rollout is what the global questions get if the stream ends there.
    env = parts.envs[1].unwrapped
    for column, step in enumerate(steps):
        for k, row in enumerate(again.decisions):
            env.reset(seed=whole.stream)
            for t in range(step):
                env.step(whole.decisions[0][t].message)
            _, _, _, _, info = env.step(row[column].message)
            for _ in range(step + 1, whole.records[0].T):
                _, _, _, _, info = env.step("[]")
            assert again.rewards[k, column] == pytest.approx(info["r_global"])
    assert parts.cost()["credit_calls"] > 0


def test_leaves_of_a_tree_share_their_first_half(taught):  # noqa: F811
    parts = TokenParts(replace(taught, slots=Slots(preset="dr-grpo", group="tree"), group_size=4))
    group = parts.play(0, 3, 0)
    assert group.trees == (0, 0, 1, 1)
    said = [[decision.sample.tokens for decision in row] for row in group.decisions]
    for even, odd in ((0, 1), (2, 3)):
        assert said[even][:2] == said[odd][:2]
        assert group.states[even][:3] == group.states[odd][:3]
    assert said[0][:2] != said[2][:2]
    assert said[0][2:] != said[1][2:]


def test_the_critic_reads_what_each_step_began_with(taught):  # noqa: F811
    parts = TokenParts(taught)
    group = parts.play(0, 3, 0)
    states = episode_states(group.records)
    env = parts.envs[0].unwrapped
    for g, row in enumerate(group.decisions):
        _, info = env.reset(seed=3)
        for t, decision in enumerate(row):
            memory, chunk = info["memory"], group.records[g].steps[t].chunk
            sizes = (len(memory), sum(item.tokens for item in memory), count_tokens(chunk))
            expected = [t / 4, *(math.log(1 + n) / scale for n, scale in zip(sizes, (4, 6, 6), strict=True))]
            assert states[g, t] == pytest.approx(expected)
            _, _, _, _, info = env.step(decision.message)
    assert states[:, 1:, 2].any()


def test_the_critic_begins_at_zero_and_learns_what_is_left_to_earn(taught):  # noqa: F811
    parts = TokenParts(replace(taught, slots=Slots(preset="ppo"), reward="outcome"))
    groups = [parts.play(0, stream, stream) for stream in range(4)]
    states = parts.states(groups)
    assert all((values == 0).all() for values in parts.values(states))
    for _ in range(8):
        values = parts.values(states)
        parts.fit_critic(groups, advantages(groups, parts.slots, values), states, values)
    left = np.concatenate([own.rewards[:, ::-1].cumsum(axis=1)[:, ::-1].ravel() for own in groups])
    error = left - np.concatenate([values.ravel() for values in parts.values(states)])
    assert (error**2).mean() < 0.5 * left.var()


def test_failed_rollouts_teach_the_critic_nothing():
    critic = Critic(2, learning_rate=0.1, passes=3)
    seen = []
    critic.fit = lambda states, returns: seen.append((states.tolist(), returns.tolist()))
    parts = TokenParts.__new__(TokenParts)
    parts.critic = critic
    states = [np.arange(8, dtype=np.float32).reshape(2, 2, 2)]
    parts.fit_critic(
        [group([[1, 2], [NAN, NAN]])], [np.array([[3.0, 4], [0, 0]])], states, [np.array([[0.5, 1], [9, 9]])]
    )
    assert seen == [([[0, 1], [2, 3]], [3.5, 5])]
    parts.fit_critic([group([[NAN, NAN]])], [np.zeros((1, 2))], [states[0][:1]], [np.zeros((1, 2))])
    assert len(seen) == 1


def test_a_stored_group_comes_back_as_it_was(taught):  # noqa: F811
    parts = TokenParts(taught)
    group = parts.play(0, 3, 0)
    group.rewards[1], group.r_global[1], group.failed[1] = NAN, NAN, True  # its judge had no verdict
    kept = json.loads(json.dumps(to_plain(group, parts._decisions()), allow_nan=False))
    other = TokenParts(replace(taught, seed=9))
    back = from_plain(kept, other.envs, other._decisions())
    assert back.decisions == group.decisions  # prompts, tokens and log-probabilities, to the last bit
    for there, here in ((group.rewards, back.rewards), (group.r_global, back.r_global)):
        assert np.array_equal(there, here, equal_nan=True)
    assert (back.failed.tolist(), back.states, back.weights) == ([False, True, False], group.states, group.weights)


def test_an_update_without_rows_resets_no_reference(taught):  # noqa: F811
    parts = TokenParts(replace(taught, slots=Slots(regulariser="kl_k3", beta=0.1, reset_every=1)))
    before = parts.reference, parts.optimiser
    parts.renew_reference(1, [], 0.0)
    assert (parts.reference, parts.optimiser) == before
    parts.renew_reference(1, [TokenRow((1,), (2,))], 0.0)
    assert parts.reference is not before[0]
    assert parts.optimiser is not before[1]
