"""Fine-Mem on TRL's trainer: same loss as ours, groups across processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("transformers")

from trl import GRPOConfig

from agents.language_model.policy import load_policy
from agents.language_model.small import SmallSettings, make_small
from memenvs.errors import SettingsError
from memenvs.streams import load
from trainers.advantages import group_advantages
from trainers.settings import EnvSettings
from trainers.slots.choices import Slots
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.tokens.shared_prefix import row_log_probs
from trainers.tokens.update import TokenObjective, UpdateSettings, log_prob_table
from trainers.trl_adapter import MemoryGRPOTrainer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    torch.set_num_threads(1)
    own = LanguageModelSettings(message="sentences", task="", memory_tokens=48, max_tokens=12)
    folder, data = tmp_path_factory.mktemp("small"), load("builtin", "train", T=4)
    size = SmallSettings(hidden=32, layers=2, vocabulary=400)
    make_small(folder, [data[i] for i in range(4)], own.prompt(EnvSettings(T=4)), size)
    own = LanguageModelSettings(**{**own.__dict__, "model": str(folder)})
    return TokenTrainSettings(env=EnvSettings(T=4), reward="finemem-cited", updates=2, group_size=4, lm=own)


def arguments(folder, **given):
    return GRPOConfig(**{
        "output_dir": str(folder), "use_cpu": True, "bf16": False, "num_generations": 4, "per_device_train_batch_size": 4,
        "max_steps": 1, "report_to": [], "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True,
    } | given)  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours"), [("grpo", "sequence_mean"), ("dapo", "token_mean"), ("dr_grpo", "constant")]
)
def test_the_loss_of_a_batch_is_ours(settings, theirs, ours, tmp_path):
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path, loss_type=theirs))
    rng = np.random.default_rng(1)
    rows = [
        TokenRow(
            tuple(rng.integers(5, 300, 7 + i).tolist()),
            tuple(rng.integers(5, 300, 1 + 2 * i).tolist()),
            stream=i // 3,
            step=i % 2,
        )
        for i in range(6)
    ]
    weights = rng.normal(size=6)
    old = log_prob_table(trainer.model, rows)
    weighted = [
        TokenRow(
            row.prompt,
            row.completion,
            tuple(values[: len(row.completion)].tolist()),
            float(weight),
            row.stream,
            row.step,
        )
        for row, values, weight in zip(rows, old, weights, strict=True)
    ]
    slots = Slots(aggregation=ours).filled
    trainer.policy.lm.model.eval()
    objective = TokenObjective(slots, weighted, UpdateSettings(max_tokens=12))
    new = [row_log_probs(trainer.model, [row])[0] for row in rows]
    wanted = -objective(new, list(range(6)), None, None)
    gradient = torch.autograd.grad(wanted, list(trainer.model.parameters()))
    trainer.current_gradient_accumulation_steps = 1
    batch = trainer.batch(list(zip(rows, weights.tolist(), strict=True)))
    found = trainer._compute_loss(trainer.model.train(), batch)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), abs=1e-4)
    # At the weights that drew the tokens every ratio is 1, so the loss says little; its gradient says all.
    theirs = torch.autograd.grad(found, list(trainer.model.parameters()))
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (gradient, theirs))
    assert (one - other).norm() < 1e-4 * one.norm()
    assert one.norm() > 1e-3


def test_a_rollouts_steps_are_rows_with_prompts_of_their_own(settings, tmp_path):
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path))
    rows, played = trainer.play([7, 7, 9], first=4)
    assert [len(own) for own in rows] == [4, 4, 4]
    assert [one.number for one in played] == [4, 5, 6]
    assert rows[0][0].prompt == rows[1][0].prompt != rows[2][0].prompt
    assert all(len(row.completion) <= 12 for own in rows for row in own)
    table = trainer.advantages(played)
    wanted = group_advantages(np.array([one.rewards for one in played[:2]]), group="step")
    np.testing.assert_allclose([table[4], table[5]], wanted, atol=1e-9)
    assert table[6] == (0.0,) * 4  # alone in its group


def test_rows_that_do_not_divide_are_filled_up_with_empty_ones(settings, tmp_path):
    trainer = MemoryGRPOTrainer(
        settings, arguments(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2)
    )
    batch = trainer.batch([(TokenRow((5, 6), (7,)), 1.0), (TokenRow((5,), (7, 8)), 2.0), (TokenRow((5,), (9,)), 3.0)])
    assert batch["completion_mask"].sum(1).tolist() == [1, 2, 1, 0]
    assert batch["prompt_ids"][0].tolist() == [5, 6]
    assert batch["prompt_mask"].tolist()[1] == [0, 1]
    assert batch["advantages"].tolist() == [1.0, 2.0, 3.0, 0.0]
    assert float(batch["num_items_in_batch"]) == 4


def test_training_moves_the_model_and_keeps_how_it_is_asked(settings, tmp_path):
    class Paid(MemoryGRPOTrainer):
        """Random messages may all be worth the same; here the first rollout of a group is worth more."""

        def advantages(self, played):
            return {one.number: (1.0 if one.number == 0 else -1.0,) * 4 for one in played}

    trainer = Paid(settings, arguments(tmp_path, learning_rate=1e-3))
    before = torch.cat([parameter.detach().clone().flatten() for parameter in trainer.model.parameters()])
    trainer.train()
    after = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
    line = trainer.state.log_history[0]
    assert 0 <= line["r_global"] <= 1
    assert line["failures"] == 0
    assert line["grad_norm"] > 0
    assert (after != before).any()
    trainer.save_model(str(tmp_path / "saved"))
    assert load_policy(tmp_path / "saved").prompt == trainer.policy.prompt


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"beta": 0.04}, "beta must be 0"),
        ({"num_iterations": 2}, "num_iterations must be 1"),
        ({"num_generations": 2}, "group_size 4 and num_generations 2"),
    ],
)
def test_what_the_rows_do_not_carry_is_refused(settings, given, told, tmp_path):
    with pytest.raises(SettingsError, match=told):
        MemoryGRPOTrainer(settings, arguments(tmp_path, **given))


def test_slots_that_need_more_than_rewards_are_refused(settings, tmp_path):
    settings = TokenTrainSettings(**{**settings.__dict__, "slots": Slots(group="tag")})
    with pytest.raises(SettingsError, match="step, trajectory, pooled, state"):
        MemoryGRPOTrainer(settings, arguments(tmp_path))


@pytest.mark.slow
def test_two_processes_share_the_group_of_a_stream(settings, tmp_path):
    # accelerate 1.15 launches one process for --cpu --num_processes 2 (it leaves several to MPI); its own launcher of several is
    # torch's.
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone",
        str(ROOT / "tests" / "trl_program.py"), settings.lm.model, str(tmp_path),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"process{i}.json").read_text()) for i in range(2))
    assert first["told"] == second["told"]
    assert first["weights"] == second["weights"]
    for told in first["told"]:
        assert sorted(map(int, told["rewards"])) == [0, 1, 2, 3]
        assert len({row[0] for row in told["rewards"].values()}) == 1
        numbers = sorted(told["rewards"])
        wanted = group_advantages(np.array([told["rewards"][n][1:] for n in numbers]), group="step")
        np.testing.assert_allclose([told["advantages"][n] for n in numbers], wanted, atol=1e-6)
