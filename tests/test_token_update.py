"""The update of a language model: micro-batches, slots, warm start."""

import copy
from dataclasses import replace

import pytest
import torch

transformers = pytest.importorskip("transformers")

from memenvs.errors import MemenvsError, SettingsError  # noqa: E402
from trainers.slots.aggregation import AggregationSettings  # noqa: E402
from trainers.slots.choices import SLOTS, Slots, resolve  # noqa: E402
from trainers.slots.ratios import RatioSettings  # noqa: E402
from trainers.tokens.rows import TokenRow  # noqa: E402
from trainers.tokens.shared_prefix import row_log_probs  # noqa: E402
from trainers.tokens.update import UpdateSettings, denominators, log_prob_table, padded, update  # noqa: E402
from trainers.tokens.warm_start import WarmStartSettings, rate_at, warm_start  # noqa: E402

VOCABULARY = 31


@pytest.fixture(scope="module")
def start():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256,
    )  # fmt: skip
    return transformers.Qwen3ForCausalLM(config)


@pytest.fixture
def model(start):
    return copy.deepcopy(start)


def drawn(model, shift=0.0):
    """Two streams, two steps, three rollouts: rows with their log-probabilities under the model, moved by ``shift``."""
    generator = torch.Generator().manual_seed(3)
    numbers = lambda n: tuple(torch.randint(VOCABULARY, (n,), generator=generator).tolist())  # noqa: E731
    rows = []
    for stream in range(2):
        for step in range(2):
            begin = numbers(9)
            for g in range(3):
                bare = TokenRow(begin + numbers(1 + g), numbers(2 + 3 * g), stream=stream, step=step)
                with torch.no_grad():
                    old = row_log_probs(model, [bare])[0] + shift * torch.randn(
                        len(bare.completion), generator=generator
                    )
                advantage = float(torch.randn((), generator=generator))
                rows.append(TokenRow(bare.prompt, bare.completion, tuple(old.tolist()), advantage, stream, step))
    return rows


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("aggregation", SLOTS["aggregation"])
@pytest.mark.parametrize("ratio", [name for name in SLOTS["ratio"] if name != "decoupled"])
def test_micro_batches_add_up_to_the_loss_of_the_whole_batch(model, aggregation, ratio):
    rows, slots = drawn(model, shift=0.3), Slots(aggregation=aggregation, ratio=ratio).filled
    settings = UpdateSettings(max_tokens=16, micro_batch=2)
    new = padded([values for row in rows for values in row_log_probs(model, [row])])
    mask = padded([torch.ones(len(row.completion), dtype=torch.bool) for row in rows])
    advantages = torch.tensor([[row.advantage] for row in rows])
    clip = RatioSettings(slots.clip_low, slots.clip_high, slots.cap or "range")
    tokens = resolve("ratio", ratio)(new, padded([torch.tensor(row.old) for row in rows]), advantages, mask, clip)
    prompts = torch.tensor([row.stream for row in rows])
    whole = -resolve("aggregation", aggregation)(tokens, mask, AggregationSettings(max_tokens=16, prompts=prompts))
    whole.backward()
    wanted = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    line = update(model, torch.optim.SGD(model.parameters(), lr=0.0), rows, slots, settings)
    got = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    assert line["loss"] == pytest.approx(float(whole.detach()), abs=1e-5)
    limit = min(1.0, settings.max_norm / float(wanted.norm()))
    assert (got - limit * wanted).norm() <= 1e-4 * limit * wanted.norm()
    assert line["gradient_norm"] == pytest.approx(float(wanted.norm()), rel=1e-4)


def test_an_update_makes_good_completions_likelier_and_bad_ones_less(model):
    rows, slots = drawn(model), Slots().filled
    before = log_prob_table(model, rows).sum(1)
    line = update(model, torch.optim.SGD(model.parameters(), lr=0.05), rows, slots)
    assert line["log_ratio"] < 1e-5
    gain = log_prob_table(model, rows).sum(1) - before
    advantages = torch.tensor([row.advantage for row in rows])
    assert float((gain * advantages).sum()) > 0


def test_a_reference_holds_the_policy_back(model):
    rows = drawn(model)
    frozen = log_prob_table(model, rows)
    moved = {}
    for beta in (0.0, 5.0):
        own, slots = copy.deepcopy(model), Slots(regulariser="kl_k3", beta=beta).filled
        optimiser = torch.optim.SGD(own.parameters(), lr=0.05)
        for _ in range(10):
            update(own, optimiser, rows, slots, reference=frozen)
        moved[beta] = float((log_prob_table(own, rows) - frozen).abs().sum())
    assert moved[5.0] < 0.8 * moved[0.0]


def test_sharing_the_prefix_changes_nothing(model):
    rows, slots = drawn(model, shift=0.1), Slots().filled
    after = []
    for share in (True, False):
        own = copy.deepcopy(model)
        update(own, torch.optim.SGD(own.parameters(), lr=0.1), rows, slots, UpdateSettings(share_prefix=share))
        after.append(weights(own))
    torch.testing.assert_close(*after, atol=1e-6, rtol=1e-5)


def test_rows_without_their_log_probabilities_are_refused(model):
    rows = [TokenRow((1, 2), (3,))]
    with pytest.raises(SettingsError, match="1 of 1 rows lack the log-probabilities"):
        update(model, torch.optim.SGD(model.parameters(), lr=0.1), rows, Slots().filled)


def test_the_warm_start_learns_the_completions_and_not_the_prompts(model):
    rows = [TokenRow((7, number), (number, 9)) for number in range(5)]
    losses = warm_start(model, rows * 8, WarmStartSettings(epochs=12, batch=8, learning_rate=1e-2))
    assert losses[-1] < 0.1 < 2.0 < losses[0]
    frequent = row_log_probs(model, [TokenRow((7,), (3,))])[0]  # a prompt's token, which was never a completion after 7
    assert float(frequent.detach().exp()) < 0.5


def test_the_warm_start_is_repeatable_and_its_loss_does_not_depend_on_micro_batches(model):
    rows = [TokenRow((7, number), (number,) * (1 + number)) for number in range(6)]
    settings = WarmStartSettings(epochs=2, batch=4)
    first, again = (warm_start(copy.deepcopy(model), rows, settings) for _ in range(2))
    assert first == again
    small = warm_start(copy.deepcopy(model), rows, WarmStartSettings(epochs=2, batch=4, micro_batch=1))
    assert small == pytest.approx(first, abs=1e-4)


def test_the_learning_rate_rises_and_falls():
    rates = [rate_at(step, 20, 0.25) for step in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 < rates[-1] < 0.02


def test_a_warm_start_without_rows_is_refused(model):
    with pytest.raises(SettingsError, match="play a teacher"):
        warm_start(model, [])


def test_an_infinite_advantage_stops_the_run_and_leaves_the_weights(model):
    rows = [TokenRow(row.prompt, row.completion, row.old, float("inf"), row.stream, row.step) for row in drawn(model)]
    before = weights(model)
    with pytest.raises(MemenvsError, match=r"not finite.* begin another one, in another folder \(--out\)"):
        update(model, torch.optim.SGD(model.parameters(), lr=0.1), rows, Slots().filled)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("ratio", ["ppo", "gspo"])
def test_rows_of_the_trained_policy_have_the_ratio_one_whatever_rounding_recorded(model, ratio):
    exact, off = drawn(model), drawn(model, shift=0.3)
    slots = Slots(ratio=ratio).filled
    after, lines = [], []
    for rows, old in ((exact, None), (off, denominators(off)), (off, None)):
        own = copy.deepcopy(model)
        optimiser = torch.optim.SGD(own.parameters(), lr=0.5)
        # The second pass divides by what the first one found.
        lines += [update(own, optimiser, rows, slots, old=old) for _ in range(2)]
        after.append(weights(own))
    torch.testing.assert_close(after[1], after[0], atol=1e-5, rtol=1e-4)
    assert (after[2] - after[0]).norm() > 0.01 * (after[0] - weights(model)).norm()
    assert lines[2]["drift"] == 0.0
    assert lines[3]["drift"] == pytest.approx(lines[1]["log_ratio"], abs=1e-5)
    assert lines[2]["log_ratio"] == lines[4]["log_ratio"] > 0.1


def test_replayed_rows_keep_the_log_probabilities_of_when_they_were_drawn(model):
    rows = [replace(row, replayed=True) for row in drawn(model, shift=0.3)]
    line = update(model, torch.optim.SGD(model.parameters(), lr=0.1), rows, Slots().filled, old=denominators(rows))
    assert line["drift"] == line["log_ratio"] > 0.1
