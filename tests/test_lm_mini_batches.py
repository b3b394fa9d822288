"""Several steps of the optimiser an update: what each divides by and compares with, their order, their learning rates."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

from taught_model import taught  # noqa: E402, F401 - a fixture
from test_lm_resume import without_times  # noqa: E402
from test_token_update import drawn, model, start, weights  # noqa: E402, F401 - fixtures among them

from memenvs.errors import SettingsError  # noqa: E402
from trainers.slots.choices import Slots  # noqa: E402
from trainers.tokens.grpo import train  # noqa: E402
from trainers.tokens.optimiser import rate_at  # noqa: E402
from trainers.tokens.parts import TokenParts  # noqa: E402
from trainers.tokens.passes import mini_batches, old_policy, passes  # noqa: E402
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings  # noqa: E402
from trainers.tokens.update import UpdateSettings, denominators, log_prob_table, padded, update  # noqa: E402

RUN = TokenTrainSettings(lm=LanguageModelSettings(model="x"))
PARTS = [[0, 1, 2, 9, 10], [3, 4, 5, 6, 7, 8, 11]]


def log_probs(model, row):  # noqa: F811
    """(n,) of a row's completion, by the definition."""
    logits = model(torch.tensor([row.prompt + row.completion])).logits[0, len(row.prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(row.completion)[:, None])[:, 0]


def sgd(model):  # noqa: F811
    return torch.optim.SGD(model.parameters(), lr=1.0)


def test_two_mini_batches_are_two_plain_steps_done_by_hand(model):  # noqa: F811
    rows, hand, reference = drawn(model), copy.deepcopy(model), log_prob_table(model, drawn(model)) - 0.1
    optimiser, losses, outside, drifts = sgd(hand), [], 0, []
    with torch.no_grad():
        old = [log_probs(hand, row) for row in rows]
    for part in PARTS:
        tokens = sum(len(rows[i].completion) for i in part)
        loss = 0.0
        for i in part:
            new, advantage = log_probs(hand, rows[i]), rows[i].advantage
            ratio = (new - old[i]).exp()
            far = reference[i, : len(new)] - new
            kl = far.exp() - far - 1
            loss -= (torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage) - 0.5 * kl).sum() / tokens
            outside += int(((ratio < 0.8) | (ratio > 1.2)).sum())
            drifts += (new - old[i]).detach().abs().tolist()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(hand.parameters(), 0.7)
        optimiser.step()
        losses.append(float(loss.detach()))
    settings, slots = UpdateSettings(micro_batch=2, max_norm=0.7), Slots(regulariser="kl_k3", beta=0.5).filled
    line = passes(model, sgd(model), rows, slots, settings, [PARTS], reference)
    torch.testing.assert_close(weights(model), weights(hand), atol=2e-5, rtol=1e-4)
    assert line["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert line["clip_share"] == outside / len(drifts) > 0
    assert line["drift"] == pytest.approx(np.mean(drifts), abs=1e-5)
    assert line["log_ratio"] < 1e-5


def test_one_step_a_pass_is_what_it_was_to_the_last_bit(model):  # noqa: F811
    rows, own, slots = drawn(model, shift=0.3), copy.deepcopy(model), Slots().filled
    old, optimiser = denominators(rows), sgd(own)
    first, second = (update(own, optimiser, rows, slots, old=old) for _ in range(2))
    plan = [mini_batches(rows, most, np.random.default_rng(0)) for most in (None, len(rows))]
    line = passes(model, sgd(model), rows, slots, UpdateSettings(), plan)
    assert line == second | {"log_ratio": first["log_ratio"]}
    assert torch.equal(weights(model), weights(own))


@pytest.mark.parametrize("slots", [Slots(aggregation="prompt_mean"), Slots(ratio="gspo"), Slots(ratio="decoupled")])
def test_micro_batches_do_not_matter_within_a_mini_batch(model, slots):  # noqa: F811
    rows, after = drawn(model), []
    proximal = log_prob_table(model, rows) if slots.ratio == "decoupled" else None
    for size in (1, 8):
        own = copy.deepcopy(model)
        passes(own, sgd(own), rows, slots.filled, UpdateSettings(micro_batch=size), [PARTS] * 2, None, proximal)
        after.append(weights(own))
    torch.testing.assert_close(*after, atol=2e-5, rtol=1e-4)
    assert (after[0] - weights(model)).norm() > 0.1


def test_a_mini_batch_holds_whole_steps_of_the_rollouts_where_they_fit(model):  # noqa: F811
    rows = drawn(model)
    parts = mini_batches(rows, 6, np.random.default_rng(1))
    assert sorted(i for part in parts for i in part) == list(range(12))
    for part in parts:
        places = [(rows[i].stream, rows[i].step) for i in part]
        assert [places.count(place) for place in sorted(set(places))] == [3, 3]
    assert [len(part) for part in mini_batches(rows, 5, np.random.default_rng(1))] == [4, 4, 4]
    orders = {str(mini_batches(rows, 6, np.random.default_rng(seed))) for seed in range(20)}
    assert len(orders) > 10


def test_fresh_rows_are_compared_with_the_policy_before_the_first_step_and_replayed_ones_with_what_was_recorded(model):  # noqa: F811
    rows = [replace(row, replayed=i >= 6) for i, row in enumerate(drawn(model, shift=0.3))]
    rows[2] = replace(rows[2], advantage=0.0)  # teaches nothing, so nobody asks
    old, log_ratio = old_policy(model, rows, Slots().filled, UpdateSettings())
    found, recorded = log_prob_table(model, rows), padded([torch.tensor(row.old) for row in rows])
    wanted = torch.cat([found[:2], recorded[2:3], found[3:6], recorded[6:]])
    torch.testing.assert_close(old, wanted, atol=1e-5, rtol=0)
    taught_rows = [i for i in range(12) if i != 2]
    gaps = [abs(float(found[i, j]) - was) for i in taught_rows for j, was in enumerate(rows[i].old)]
    assert log_ratio == pytest.approx(np.mean(gaps), abs=1e-5)
    line = passes(model, sgd(model), rows, Slots().filled, UpdateSettings(), [PARTS])
    assert line["log_ratio"] == pytest.approx(log_ratio, abs=1e-6)


def test_the_learning_rate_rises_in_a_straight_line_over_the_steps_of_the_first_updates(taught):  # noqa: F811
    assert [rate_at(3.0, 2, update, step / 3) for update in range(3) for step in (1, 2, 3)] == pytest.approx(
        [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.0, 3.0]
    )
    parts = TokenParts(replace(taught, warm_up=4, mini_batch=8))
    group = parts.play(0, 3, 0)
    rows = parts.rows([group], [np.arange(12.0).reshape(3, 4) - 5.5], [np.ones((3, 4), bool)])
    shares = []
    plan = [mini_batches(rows, 8, np.random.default_rng(0))] * 2
    passes(parts.model, parts.optimiser, rows, parts.slots, UpdateSettings(), plan, before_step=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    rates = []
    for finished in (0, 2, 5):
        parts.learn(rows, finished)
        rates.append(parts.optimiser.param_groups[0]["lr"])  # of the update's last step
    assert rates == pytest.approx([0.0025, 0.0075, 0.01])


@pytest.mark.parametrize(
    ("rank", "slots"),
    [(2, Slots(regulariser="kl_k3", beta=0.1)), (None, Slots(sampler="dots"))],
    ids=["adapters, reference", "replays"],
)
def test_a_resumed_run_of_mini_batches_gives_the_numbers_of_an_uninterrupted_one(taught, tmp_path, rank, slots):  # noqa: F811
    own = replace(taught.lm, lora_rank=rank)
    settings = replace(
        taught, lm=own, slots=slots, updates=3, streams=1, mini_batch=5, warm_up=3, max_norm=0.5, learning_rate=3e-3
    )
    policy, _ = train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=1), tmp_path / "cut", tensorboard=False)
    again, _ = train(settings, tmp_path / "cut", resume=True, tensorboard=False)
    for one, other in zip(policy.lm.model.parameters(), again.lm.model.parameters(), strict=True):
        assert torch.equal(one, other)
    lines = without_times(tmp_path / "whole")
    assert without_times(tmp_path / "cut")[-1] == lines[-1]
    assert any(line["train/drift"] > 1e-4 for line in lines[1:])  # later steps find a policy that has moved


@pytest.mark.parametrize("given", [{"mini_batch": 0}, {"warm_up": -1}, {"max_norm": 0.0}, {"max_norm": float("inf")}])
def test_numbers_of_steps_out_of_range_are_refused(given):
    with pytest.raises(SettingsError, match=f"{next(iter(given))} must be"):
        replace(RUN, **given)


def test_runs_that_knew_nothing_of_these_settings_go_on():
    assert RUN.fingerprint == "967d323e2f18d6f3"  # as of commit d5edc6c
    for given in ({"mini_batch": 32}, {"warm_up": 4}, {"max_norm": 0.5}):
        assert replace(RUN, **given).fingerprint != RUN.fingerprint
