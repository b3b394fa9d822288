"""Every value of every slot, and every preset, in the loop."""

import json
import warnings
from dataclasses import replace
from typing import get_args

import gymnasium as gym
import numpy as np
import pytest
import torch
from asked_judges import ASKED, judge_by  # noqa: F401 - a fixture

from agents.candidate import load_policy
from memenvs.errors import SettingsError
from memenvs.reading import CachedReader
from trainers import checkpoint
from trainers.grpo import train
from trainers.layers import share_reader
from trainers.parts import Parts
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import PRESETS, SLOTS, Preset, Slots, resolve
from trainers.stored import CandidateDecisions, from_plain, to_plain
from trainers.update import advantages, make_batch

SMALL = TrainSettings(
    env=EnvSettings(T=4), updates=3, streams=2, group_size=4, eval_every=3, eval_streams=2, final_streams=2, checkpoint_every=1,
    pool=8,
)  # fmt: skip


def run(folder, settings):
    policy, _ = train(settings, folder, tensorboard=False)
    assert all(torch.isfinite(p).all() for p in policy.parameters())
    lines = read_metrics(folder / "metrics.csv")[1:]
    assert len(lines) == settings.updates
    return lines


def test_the_registry_finds_every_choice():
    for slot, names in SLOTS.items():
        for name in names:
            if name != "scorer":
                assert callable(resolve(slot, name)), (slot, name)
    assert set(PRESETS) == set(get_args(Preset))
    with pytest.raises(SettingsError, match="Did you mean 'zscore'"):
        resolve("advantage", "zscor")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains(tmp_path, preset):
    lines = run(tmp_path, replace(SMALL, slots=Slots(preset=preset)))
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["slots"]["preset"] == preset
    assert all(line["train/decisions"] <= 2 * 4 * 4 * 4 for line in lines)


@pytest.mark.parametrize(
    ("slot", "name"),
    [
        (slot, name)
        for slot, names in SLOTS.items()
        for name in names
        if not any(preset.get(slot) == name for preset in PRESETS.values()) and name != "scorer"
    ],
)
@pytest.mark.usefixtures("judge_by")
def test_every_other_choice_trains(tmp_path, slot, name):
    chosen = Slots(**{slot: name})
    asked = ASKED.get(name) if slot == "judge" else None
    lines = run(tmp_path, replace(SMALL, slots=chosen, judge_model=asked))
    if name == "consensus":
        assert all(0 < line["judge/identical"] <= 1 for line in lines if "judge/identical" in line)


def test_many_rollouts_raise_the_learning_rate():
    rates = [
        Parts(replace(SMALL, group_size=size, slots=Slots(sampler=sampler))).optimiser.param_groups[0]["lr"]
        for size, sampler in ((32, "uniform"), (32, "many"), (8, "many"))
    ]
    assert rates == pytest.approx([0.003, 0.006, 0.003])  # with the square root of 32 / 8


def test_raw_beside_a_group_that_compares_single_steps_warns():
    with pytest.warns(UserWarning, match="only the last step learns"):
        parts = Parts(replace(SMALL, reward="raw", slots=Slots(preset="finemem")))
    (table,) = advantages([parts.play(0, 3, 0)], parts.slots)
    assert (table[:, :-1] == 0).all()


def test_the_preset_of_mem_alpha_in_the_flat_memory_says_so_and_names_the_other():
    slots = Slots(preset="memalpha")
    with pytest.warns(UserWarning, match="FineMem-Memalpha-v0 with the memory 'flat'.*--env-id MemAlpha-Memalpha-v0"):
        Parts(replace(SMALL, slots=slots))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Parts(replace(SMALL, slots=slots, env=EnvSettings(T=4, env_id="MemAlpha-Memalpha-v0")))


def test_slots_that_were_given_win_over_the_preset():
    filled = Slots(preset="dapo", clip_high=0.5, ratio="loop").filled
    assert (filled.clip_low, filled.clip_high, filled.ratio, filled.sampler) == (0.2, 0.5, "loop", "dynamic")
    assert TrainSettings(slots=Slots(preset="ppo")).credit == "raw"
    assert TrainSettings(slots=Slots(preset="ppo"), reward="chunk").credit == "chunk"


@pytest.mark.parametrize("preset", ["dr-grpo", "memagent"])
def test_centred_presets_give_every_step_the_rollouts_score_less_the_groups_mean(preset):
    parts = Parts(replace(SMALL, slots=Slots(preset=preset)))
    group = parts.play(0, 3, 0)
    (table,) = advantages([group], parts.slots)
    assert np.ptp(group.r_global) > 0
    assert table == pytest.approx(np.repeat((group.r_global - group.r_global.mean())[:, None], 4, axis=1))


@pytest.mark.parametrize(
    ("preset", "reward"), [("loop", "raw"), ("scalerl", "raw"), ("gigpo", "raw"), ("finemem", None)]
)
def test_what_zero_variance_leaves_out_has_no_advantage(preset, reward):
    sampler = None if preset == "scalerl" else "zero_variance"
    parts = Parts(replace(SMALL, slots=Slots(preset=preset, sampler=sampler), reward=reward))
    drawn = parts.draw(0)
    tables = advantages(drawn.groups, parts.slots)
    assert any((table != 0).any() for table in tables)
    for table, mask in zip(tables, drawn.masks, strict=True):
        assert (table[~mask] == 0).all()


class Flat(gym.Wrapper):
    """Pays by the step, without a record."""

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, 1.0, terminated, truncated, info


@pytest.mark.parametrize(
    ("reward", "slots", "message"),
    [
        ("credit:loo-step", {"judge": "consensus"}, "counterfactual answers.*evidence-cited"),
        (f"{__name__}:Flat", {"judge": "consensus"}, "Flat pays without one"),
        ("raw", {"mix": "gdpo"}, '"raw" has none'),
    ],
)
def test_a_reward_that_a_slot_would_pass_over_is_refused(reward, slots, message):
    with pytest.raises(SettingsError, match=message):
        Parts(replace(SMALL, reward=reward, slots=Slots(**slots)))


def test_a_judge_changes_what_shares_of_the_outcome_pay():
    paid = [
        Parts(replace(SMALL, reward="credit:evidence-cited", slots=Slots(judge=judge))).play(0, 3, 0).rewards
        for judge in ("scorer", "consensus")
    ]
    assert not np.allclose(*paid)


def test_a_kl_that_is_chosen_alone_counts():
    parts = Parts(replace(SMALL, slots=Slots(regulariser="kl_k3")))
    group = parts.play(0, 3, 0)
    batch = make_batch([group], advantages([group], parts.slots), [np.ones((4, 4), bool)])
    near, far = (parts.objective(batch.old, batch, batch.old - gap, None) for gap in (0.0, 1.0))
    assert far < near


@pytest.mark.parametrize("preset", ["finemem", "ppo", "dapo", "memory-r2"])
def test_rows_made_are_rows_trained(preset):
    parts = Parts(replace(SMALL, slots=Slots(preset=preset)))
    groups = parts.draw(0).groups
    tables = advantages(groups, parts.slots, parts.values(parts.states(groups)))
    selected = [np.random.default_rng(0).random(group.rewards.shape) < 0.5 for group in groups]
    batch = make_batch(groups, tables, selected)
    assert len(batch.decisions) == sum(int(mask.sum()) for mask in selected)
    # Each row carries its own decision's log-probability and advantage.
    row = 0
    for number, (group, table, mask) in enumerate(zip(groups, tables, selected, strict=True)):
        for g, t in zip(*np.nonzero(mask), strict=True):
            assert batch.decisions[row] is group.decisions[g][t]
            assert batch.advantages[row].item() == pytest.approx(table[g, t], rel=1e-5)
            assert batch.old[row].item() == pytest.approx(group.decisions[g][t].log_prob)
            assert batch.streams[row].item() == number
            row += 1


def test_the_mask_of_a_step_never_gates_the_advantage_of_another():
    """What is selected changes which rows are trained, not what any of them is worth."""
    parts = Parts(SMALL)
    group = parts.play(0, 3, 0)
    (table,) = advantages([group], parts.slots)
    everything = make_batch([group], [table], [np.ones((4, 4), bool)])
    half = np.ones((4, 4), bool)
    half[:, 1] = False
    some = make_batch([group], [table], [half])
    kept = [i for i in range(16) if i % 4 != 1]
    assert torch.equal(some.advantages, everything.advantages[kept])


def test_leaves_of_a_tree_share_their_first_half():
    group = Parts(replace(SMALL, slots=Slots(group="tree"))).play(0, 3, 0)
    assert group.trees == (0, 0, 1, 1)
    for even, odd in ((0, 1), (2, 3)):
        assert group.states[even][:3] == group.states[odd][:3]
        assert [d.message for d in group.decisions[even][:2]] == [d.message for d in group.decisions[odd][:2]]
    assert group.states[0][3] != group.states[2][3]


def test_a_stored_group_comes_back_as_it_was():
    parts = Parts(SMALL)
    group = parts.play(0, 3, 0)
    group.rewards[1], group.r_global[1], group.failed[1] = np.nan, np.nan, True  # its judge had no verdict
    kept = json.loads(json.dumps(to_plain(group, CandidateDecisions(parts.policy)), allow_nan=False))
    counting = CachedReader(parts.reader)
    share_reader(parts.envs, counting)
    back = from_plain(kept, parts.envs, CandidateDecisions(Parts(replace(SMALL, seed=9)).policy))
    assert counting.calls == 0
    assert all(env.unwrapped.reader is counting for env in parts.envs)
    for there, here in ((group.rewards, back.rewards), (group.r_global, back.r_global)):
        assert np.array_equal(there, here, equal_nan=True)
    assert back.failed.tolist() == [False, True, False, False]
    assert (back.terms.keys(), back.weights) == (group.terms.keys(), group.weights)
    assert back.states == group.states
    flat = [[d for row in g.decisions for d in row] for g in (group, back)]
    new, old = (parts.policy.evaluate(decisions)[0] for decisions in flat)
    assert torch.equal(new, old)


@pytest.mark.parametrize("preset", ["ppo", "memagent"])
@pytest.mark.parametrize("sampler", ["uniform", "dots", "compensation", "npr"])
def test_a_resumed_run_equals_an_uninterrupted_one_with_everything_that_is_kept(tmp_path, preset, sampler):
    """Critic, reference, resets and replay survive a checkpoint."""
    resets = {"reset_every": 2} if Slots(preset=preset).filled.regulariser != "none" else {}
    settings = replace(SMALL, updates=6, slots=Slots(preset=preset, sampler=sampler, **resets))
    train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=3), tmp_path / "cut", tensorboard=False)
    train(settings, tmp_path / "cut", resume=True, tensorboard=False)
    a, b = (load_policy(checkpoint.find(tmp_path / name)) for name in ("whole", "cut"))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    costs = [json.loads((tmp_path / name / "result.json").read_text())["cost"] for name in ("whole", "cut")]
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("reward", "sampler"),
    [("outcome", "uniform"), ("credit:loo-step", "compensation"), ("credit:monte-carlo", "compensation")],
)
def test_what_comes_back_is_neither_paid_nor_numbered_anew_when_a_run_is_resumed(tmp_path, reward, sampler):
    """Texts of a pool, readings for credit, and credit from a policy that has moved on."""
    settings = replace(
        SMALL, env=EnvSettings(T=6), updates=6, pool=4, reward=reward, slots=Slots(sampler=sampler), eval_every=6
    )
    train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=3), tmp_path / "cut", tensorboard=False)
    train(settings, tmp_path / "cut", resume=True, tensorboard=False)
    a, b = (load_policy(checkpoint.find(tmp_path / name)) for name in ("whole", "cut"))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    costs = [json.loads((tmp_path / name / "result.json").read_text())["cost"] for name in ("whole", "cut")]
    assert costs[0] == costs[1]


def test_the_kl_holds_the_policy_near_its_reference(tmp_path):
    """A heavy regulariser leaves the policy nearer to where it started than none."""

    def moved(beta):
        settings = replace(SMALL, updates=4, slots=Slots(regulariser="kl_k3", beta=beta))
        policy, _ = train(settings, tmp_path / str(beta), tensorboard=False)
        start = type(policy)(policy.settings)
        group = Parts(settings).play(0, 3, 0)
        decisions = [d for row in group.decisions for d in row]
        with torch.no_grad():
            return float((policy.evaluate(decisions)[0] - start.evaluate(decisions)[0]).abs().mean())

    assert moved(100.0) < 0.5 * moved(0.0)


def test_a_reference_reset_lets_go_of_the_start():
    """After a reset by KL the reference is the policy of that moment; below the threshold it stays."""
    for above, moved in ((1e-9, True), (1e9, False)):
        parts = Parts(replace(SMALL, slots=Slots(regulariser="kl_k3", beta=0.001, reset_above=above)))
        group = parts.play(0, 3, 0)
        decisions = [d for row in group.decisions for d in row]
        reference, _ = parts.frozen_log_probs(decisions)
        with torch.no_grad():
            parts.policy.bias += torch.tensor([0.5, 0.0, 0.0, 0.0])
        before = parts.optimiser
        parts.reset_reference(1, decisions, reference)
        assert torch.equal(parts.reference.bias, parts.policy.bias) == moved
        assert (parts.optimiser is not before) == moved


def test_an_update_from_which_every_group_was_dropped_changes_nothing(tmp_path):
    """Where no stream tells its rollouts apart, dynamic sampling leaves nothing to train."""
    nothing = EnvSettings(T=4, memory_budget=1)  # no sentence fits, so all rollouts score 0
    settings = replace(SMALL, env=nothing, slots=Slots(preset="dapo", regulariser="kl_k3", beta=0.1))
    policy, _ = train(settings, tmp_path, tensorboard=False)
    fresh = type(policy)(policy.settings)
    assert all(torch.equal(a, b) for a, b in zip(policy.parameters(), fresh.parameters(), strict=True))
    assert [line["train/decisions"] for line in read_metrics(tmp_path / "metrics.csv")[1:]] == [0, 0, 0]
