"""Fine-Mem on TRL's trainer: same loss as ours, however the rows are cut; failures; evaluation. One process."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("transformers")

from endpoint_server import EndpointServer, first_note
from trl_program import arguments, small_settings

from agents.language_model.policy import load_policy
from agents.language_model.spoken import spoken
from memenvs.errors import MemenvsError, SettingsError
from memenvs.testing import FailingReader
from trainers.advantages import group_advantages
from trainers.slots.choices import Slots
from trainers.tokens.rows import TokenRow
from trainers.tokens.shared_prefix import row_log_probs
from trainers.tokens.update import TokenObjective, UpdateSettings, log_prob_table
from trainers.trl_adapter import MemoryGRPOTrainer
from trainers.trl_batch import make_batch, micro_batches, token_weights
from trainers.trl_environments import on_one_machine
from trainers.trl_played import advantages


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    torch.set_num_threads(1)
    return small_settings(tmp_path_factory.mktemp("small"))


def made_rows(count=6):
    rng = np.random.default_rng(1)
    return [
        TokenRow(
            tuple(rng.integers(5, 300, 7 + i).tolist()),
            tuple(rng.integers(5, 300, 1 + 2 * i).tolist()),
            advantage=float(rng.normal()),
            stream=i // 4,
            step=i % 2,
        )
        for i in range(count)
    ]


def batch_of(trainer, rows, size, aggregation):
    """As the trainer makes it of rollouts, from rows at hand."""
    lengths, streams = [len(row.completion) for row in rows], [row.stream for row in rows]
    counted = token_weights(lengths, streams, aggregation, trainer.memory_settings.lm.max_tokens)
    pairs = [(row, row.advantage * weight) for row, weight in zip(rows, counted, strict=True)]
    return make_batch(pairs, size, 0, torch.device("cpu"))


def our_gradient(trainer, rows, slots):
    """Loss and gradient of our own loop."""
    old = log_prob_table(trainer.model, rows)
    drawn = [
        replace(row, old=tuple(values[: len(row.completion)].tolist())) for row, values in zip(rows, old, strict=True)
    ]
    trainer.model.eval()
    objective = TokenObjective(slots, drawn, UpdateSettings(max_tokens=12))
    loss = -objective([row_log_probs(trainer.model, [row])[0] for row in rows], list(range(len(rows))), None, None)
    return float(loss.detach()), torch.autograd.grad(loss, list(trainer.model.parameters()))


def flat(parts):
    return torch.cat([part.detach().flatten() for part in parts])


@pytest.mark.parametrize(
    "method",
    [
        Slots(aggregation="token_mean"), Slots(aggregation="sequence_mean"), Slots(aggregation="constant"),
        Slots(aggregation="length", ratio="gspo"), Slots(aggregation="prompt_mean"), Slots(ratio="gspo"), Slots(ratio="loop"),
        Slots(ratio="cispo", cap="absolute", clip_high=5.0, aggregation="prompt_mean"),
    ],
)  # fmt: skip
def test_the_loss_of_a_batch_is_ours_however_it_is_cut(settings, method, tmp_path):
    settings = replace(settings, slots=method, lm=replace(settings.lm, micro_batch=2))
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path))
    rows = made_rows()
    wanted, gradient = our_gradient(trainer, rows, method.filled)
    trainer.create_optimizer()
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    widths = []
    compute = trainer._compute_loss
    trainer._compute_loss = lambda model, part: widths.append(tuple(part["prompt_ids"].shape)) or compute(model, part)
    # One row is empty, as where another process has more.
    found = trainer.training_step(trainer.model, batch_of(trainer, rows, 7, str(method.filled.aggregation)))
    assert [count for count, _ in widths] == [2, 2, 2, 1]
    assert widths[0][1] < widths[-1][1]  # each is padded to its own longest
    assert float(found) == pytest.approx(wanted, abs=1e-4)
    # At the weights that drew the tokens every ratio is 1, so the loss says little; its gradient says all.
    one, other = flat(gradient), flat([parameter.grad for parameter in trainer.model.parameters()])
    assert (one - other).norm() < 1e-4 * one.norm()
    assert one.norm() > 1e-3


def test_micro_batches_hold_every_row_once_without_the_others_padding():
    rows = [TokenRow((5, 6), (7,)), TokenRow((5,), (7, 8, 9)), TokenRow((5, 6, 7, 8), (9,))]
    batch = make_batch([(row, 1.0 + i) for i, row in enumerate(rows)], 4, 0, torch.device("cpu"))
    assert batch["completion_mask"].sum(1).tolist() == [1, 3, 1, 0]
    assert batch["prompt_ids"][1].tolist() == [0, 0, 0, 5]
    parts = micro_batches(batch, 2)
    assert [part["advantages"].tolist() for part in parts] == [[0.0, 1.0], [2.0, 3.0]]
    assert parts[0]["prompt_ids"].tolist() == [[0, 0], [5, 6]]
    assert parts[0]["completion_mask"].tolist() == [[0], [1]]
    assert parts[1]["completion_ids"].tolist() == [[7, 8, 9], [9, 0, 0]]


def test_a_rollouts_steps_are_rows_with_prompts_of_their_own(settings, tmp_path):
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path))
    rows, played = trainer.play([7, 7, 9], first=6)
    assert [len(own) for own in rows] == [4, 4, 4]
    assert [one.number for one in played] == [6, 7, 8]
    assert rows[0][0].prompt == rows[1][0].prompt != rows[2][0].prompt
    assert all(len(row.completion) <= 12 for own in rows for row in own)
    table = trainer.advantages(played)
    wanted = group_advantages(np.array([one.rewards for one in played[:2]]), group="step")
    np.testing.assert_allclose([table[6], table[7]], wanted, atol=1e-9)
    assert table[8] == (0.0,) * 4  # alone in its group
    with pytest.raises(MemenvsError, match="share one stream"):
        advantages(played, settings.slots.filled, 3)


def counted(reader):
    """How many questions each call of a reader asks, from now on."""
    calls, read = [], reader.read
    reader.read = lambda readings: calls.append(len(readings)) or read(readings)
    return calls


def test_a_step_is_read_with_one_call_and_as_each_rollout_alone(settings, tmp_path):
    settings = replace(settings, eval_streams=3)
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path, per_device_eval_batch_size=2, num_generations_eval=1))
    calls = counted(trainer.memory_envs.reader)
    rows, played = trainer.play([7] * 4, first=0)
    together = list(calls)
    alone = []
    for env, own, one in zip(trainer.memory_envs.training, rows, played, strict=True):
        calls.clear()
        env.reset(seed=one.stream)
        for row, state in zip(own, one.states, strict=True):
            assert env.unwrapped.digest() == state
            *_, info = env.step(spoken(trainer.policy.lm.decode(row.completion)))
        assert info["step_rewards"] == one.rewards
        assert env.unwrapped.record.r_global == one.outcome
        alone.append(list(calls))
    assert together == np.sum(alone, axis=0).tolist()
    calls.clear()
    trainer.evaluate()
    # Two streams side by side, then the third; their questions come after the last chunk.
    asked = [len(trainer.memory_envs.held_out()[0].unwrapped.dataset[i].questions) for i in range(3)]
    assert calls == [asked[0] + asked[1], asked[2]]


def test_replies_are_kept_and_costs_are_logged(settings, tmp_path):
    with EndpointServer(first_note) as server:
        env = replace(settings.env, reader=f"{server.address}#rules", reader_price_in=1e6, reader_price_out=0.0)
        settings = replace(settings, env=env, eval_streams=2)
        trainer = MemoryGRPOTrainer(settings, arguments(tmp_path, logging_steps=2, num_generations_eval=1))
        trainer.train()
        (line,) = (line for line in trainer.state.log_history if "reader/requests" in line)
        sent = len(server.requests)
        # Of the whole run so far; TRL logs means over the steps since the last log.
        assert line["reader/answered"] == sent
        assert line["reader/cost"] == 10 * sent  # tokens read
        assert line["reader/hit_rate"] == pytest.approx(1 - sent / line["reader/requests"])
        told = trainer.evaluate()
        last = trainer.state.log_history[-1]
        assert last["reader/answered"] == len(server.requests) > sent
        assert told["eval_failures"] == 0
        assert (tmp_path / "replies.sqlite").is_file()
        sent = len(server.requests)
        again = MemoryGRPOTrainer(settings, arguments(tmp_path, num_generations_eval=1))
        again.train()
        again.evaluate()
        assert len(server.requests) == sent  # the file knows every reply
        assert again.state.log_history[-1]["reader/answered"] == 0
        assert again.state.log_history[-1]["eval_r_global"] == told["eval_r_global"]


def test_replies_are_kept_where_all_processes_can_write_to_one_file(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert on_one_machine(2)
    assert not on_one_machine(4)
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert on_one_machine(1)
    assert not on_one_machine(2)  # nobody says so


def test_a_micro_batch_that_fails_leaves_the_exchange_of_gradients_on(settings, tmp_path):
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path))
    state, seen = trainer.accelerator.gradient_state, []

    def full(*_, **__):
        seen.append(state.sync_gradients)
        raise torch.OutOfMemoryError

    trainer._compute_loss = full
    rows = batch_of(trainer, made_rows(), 6, "token_mean")
    trainer.memory_settings = replace(settings, lm=replace(settings.lm, micro_batch=2))
    trainer.current_gradient_accumulation_steps = 1
    with pytest.raises(torch.OutOfMemoryError):
        trainer.training_step(trainer.model, rows)
    assert seen == [False]
    assert state.sync_gradients


def test_training_plays_the_streams_of_our_loop_and_moves_the_model(settings, tmp_path):
    class Paid(MemoryGRPOTrainer):
        """Random messages may all be worth the same; here the first rollout of a group is worth more."""

        def advantages(self, played):
            streams.append({one.stream for one in played})
            return {one.number: (1.0 if one.number == 0 else -1.0,) * 4 for one in played}

    from trainers.slots.sampling import Uniform

    streams = []
    trainer = Paid(replace(settings, learning_rate=1e-3), arguments(tmp_path))
    before = flat(trainer.model.parameters()).clone()
    trainer.train()
    assert streams == [set(Uniform(settings.seed).streams(update, 1)) for update in range(2)]
    line = trainer.state.log_history[0]
    assert 0 <= line["r_global"] <= 1
    assert line["failures"] == 0
    assert line["grad_norm"] > 0
    assert (flat(trainer.model.parameters()) != before).any()
    trainer.save_model(str(tmp_path / "saved"))
    assert load_policy(tmp_path / "saved").prompt == trainer.policy.prompt


def test_failed_rollouts_teach_nothing_and_end_nothing(settings, tmp_path):
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path))
    inputs = [{"seed": 3}] * 4
    for env in trainer.memory_envs.training[:2]:
        env.unwrapped.reader = FailingReader()
    trainer.advantages = lambda played: {one.number: (1.0 + one.number,) * 4 for one in played}
    batch = trainer._generate_and_score_completions(inputs)
    assert len(batch["advantages"]) == 8
    assert trainer._metrics["train"]["failures"] == [2.0]
    # Those left count as a batch of their own: token_mean over the tokens of two rollouts.
    counted = {number: batch["advantages"][4 * i : 4 * i + 4] / (1.0 + number) for i, number in enumerate((2, 3))}
    tokens = batch["completion_mask"].sum()
    for found in counted.values():
        torch.testing.assert_close(found, torch.full((4,), 1.0 / float(tokens)))
    for env in trainer.memory_envs.training:
        env.unwrapped.reader = FailingReader()
    trainer._metrics["train"].clear()
    before = flat(trainer.model.parameters()).clone()
    trainer.train()  # all rollouts of all updates
    assert trainer.state.global_step == 2
    assert trainer.state.log_history[0]["failures"] == 4.0
    assert "r_global" not in trainer.state.log_history[0]
    assert (flat(trainer.model.parameters()) == before).all()


def test_evaluation_plays_held_out_streams_and_counts_failures(settings, tmp_path):
    settings = replace(settings, updates=1, eval_streams=3)
    given = arguments(
        tmp_path, eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=2, num_generations_eval=1
    )
    trainer = MemoryGRPOTrainer(settings, given)
    trainer.train()
    (line,) = [line for line in trainer.state.log_history if "eval_r_global" in line]
    assert 0 <= line["eval_r_global"] <= 1
    assert line["eval_failures"] == 0
    ids = {env.unwrapped.record.stream_id for env in trainer.memory_envs.held_out()}
    assert ids == {settings.make_heldouts(1)[0].unwrapped.dataset[i].id for i in (1, 2)}
    trainer.memory_envs.held_out()[1].unwrapped.reader = FailingReader()
    told = trainer.evaluate()
    assert told["eval_failures"] == 1
    assert not np.isnan(told["eval_r_global"])
    with pytest.raises(SettingsError, match="eval_data"):
        trainer.evaluate(trainer.train_dataset)


def test_adapters_are_trained_and_nothing_else(settings, tmp_path):
    trainer = MemoryGRPOTrainer(replace(settings, lm=replace(settings.lm, lora_rank=2)), arguments(tmp_path))
    trained = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    trainer.advantages = lambda played: {one.number: (1.0 + one.number,) * 4 for one in played}
    trainer.train()
    assert trainer.state.log_history[0]["grad_norm"] > 0
