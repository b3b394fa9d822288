"""A model with dropout in its configuration is trained without: what is trained is what was drawn, and runs are resumed exactly."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from small_models import small_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from rewards import RewardWrapper
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings
from trainers.tokens.grpo import train
from trainers.tokens.parts import TokenParts
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.tokens.shared_prefix import row_log_probs
from trainers.tokens.warm_start import WarmStartSettings, warm_start


class Letters(RewardWrapper):
    """Pays what differs between the messages of a random model."""

    def terms(self, record):
        return {"letters": tuple(sum(map(ord, step.message)) % 97 / 97 for step in record.steps)}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A run of adapters that begins with GPT-2's configuration, whose dropout is .1 everywhere, after a short warm start."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = small_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=1024, bos_token_id=None, eos_token_id=2
    )
    assert config.resid_pdrop == config.attn_pdrop == config.embd_pdrop == 0.1
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    own = LanguageModelSettings(
        model=str(folder), message="sentences", task="", memory_tokens=0, max_tokens=48, lora_rank=4, warm_start="scripted",
        warm_streams=2, warm_epochs=1, warm_rate=1e-4,
    )  # fmt: skip
    return TokenTrainSettings(
        env=EnvSettings(T=4, chunk_questions=0, max_operations=1), reward=f"{__name__}:Letters", lm=own,
        updates=2, group_size=2, learning_rate=1e-3, eval_every=9, eval_streams=1, final_streams=1, checkpoint_every=1,
    )  # fmt: skip


@pytest.mark.parametrize("rank", [4, None], ids=["adapters", "weights"])
def test_drawing_and_training_agree_on_every_log_probability(settings, rank):
    parts = TokenParts(replace(settings, lm=replace(settings.lm, lora_rank=rank)))
    assert not any(module.training for module in parts.model.modules())
    drawn = parts.draw(0)
    assert not any(module.training for module in parts.model.modules())
    rows = parts.rows(drawn.groups, [group.rewards - group.rewards.mean() for group in drawn.groups], drawn.masks)
    for row, own in zip(rows, row_log_probs(parts.model, rows), strict=True):
        with torch.no_grad():
            table = parts.model(torch.tensor([row.prompt + row.completion]), use_cache=False).logits[0].log_softmax(-1)
        plain = table[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.completion)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(row.old), plain, atol=1e-5, rtol=0)
        torch.testing.assert_close(own.detach(), plain, atol=1e-5, rtol=0)
    line = parts.learn(rows)
    assert line["train/log_ratio"] < 1e-5
    assert line["train/gradient_norm"] > 0


def test_a_resumed_run_is_the_uninterrupted_one(settings, tmp_path):
    train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=1), tmp_path / "parts", tensorboard=False)
    train(settings, tmp_path / "parts", resume=True, tensorboard=False)
    whole, parts = (read_metrics(tmp_path / name / "metrics.csv")[1:] for name in ("whole", "parts"))
    # The held-out streams were played once more after the first update.
    assert [{k: v for k, v in line.items() if k.startswith("train/")} for line in parts] == [
        {k: v for k, v in line.items() if k.startswith("train/")} for line in whole
    ]
    assert all(line["train/gradient_norm"] > 0 and line["train/log_ratio"] < 1e-5 for line in whole)


def test_the_warm_start_has_none(settings):
    model = TokenParts(replace(settings, lm=replace(settings.lm, lora_rank=None))).model
    rows = [TokenRow((5, 6, 7), (8, 9, 10)), TokenRow((5, 6), (11,))]
    with torch.no_grad():
        log_probs = torch.cat(row_log_probs(model, rows))
    assert warm_start(model, rows, WarmStartSettings(epochs=1)) == pytest.approx([-float(log_probs.mean())], rel=1e-5)
