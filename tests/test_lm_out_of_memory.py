"""A run that ran out of the GPU's memory says what to change, and goes on with it."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401

from memenvs.errors import MemenvsError
from trainers.runlog import read_metrics
from trainers.tokens.grpo import train
from trainers.tokens.parts import TokenParts


def test_a_run_out_of_memory_names_what_helps_and_goes_on_with_it(taught, tmp_path, monkeypatch):  # noqa: F811
    learn = TokenParts.learn

    def full(parts, *given):
        """As a GPU whose memory holds two rows."""
        if parts.settings.lm.micro_batch > 2:
            raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")
        return learn(parts, *given)

    monkeypatch.setattr(TokenParts, "learn", full)
    told = r"--micro-batch below 8 or --gradient-checkpointing; .* a --batch below 64: .*--resume auto .*2\.00 GiB"
    with pytest.raises(MemenvsError, match=told):
        train(taught, tmp_path, tensorboard=False)
    smaller = replace(taught, lm=replace(taught.lm, micro_batch=2, batch=32))
    train(smaller, tmp_path, resume=True, tensorboard=False)
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.csv")] == [0, 1]


def test_what_cannot_become_smaller_is_not_advised():
    from trainers.tokens.out_of_memory import out_of_memory_told
    from trainers.tokens.settings import LanguageModelSettings

    least = LanguageModelSettings(model="any", micro_batch=1, batch=1, gradient_checkpointing=True)
    match = r"memory is full\. Otherwise another run: --lora-rank"
    with pytest.raises(MemenvsError, match=match) as told, out_of_memory_told(least):
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")
    assert "--resume" not in str(told.value)
