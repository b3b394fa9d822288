"""A very small language model that has been taught to write messages, and a run that begins with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from memenvs.streams import load
from trainers.settings import EnvSettings

ENV = EnvSettings(T=4, chunk_questions=1, max_operations=1)
OWN: dict[str, Any] = {"message": "sentences", "task": "", "memory_tokens": 24, "max_tokens": 16}


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Settings of one update from the taught model; a large step, so that the second pass over the rows finds another policy."""
    import torch

    torch.set_num_threads(1)
    from agents.language_model.small import SmallSettings, make_small
    from trainers.tokens.grpo import train
    from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

    folder = tmp_path_factory.mktemp("taught")
    data = load("builtin", "train", T=ENV.T)
    own = LanguageModelSettings(model=str(folder / "bare"), **OWN)
    small = SmallSettings(hidden=32, layers=1, vocabulary=400)
    make_small(own.model, [data[i] for i in range(8)], own.prompt(ENV), small)
    settings = TokenTrainSettings(
        env=ENV, lm=own, updates=1, streams=2, group_size=3, pool=5, epochs=2, learning_rate=1e-2, eval_every=9, eval_streams=1,
        final_streams=1, checkpoint_every=1,
    )  # fmt: skip
    warm = replace(own, warm_start="scripted", warm_streams=16, warm_epochs=8, warm_rate=1e-2, warm_batch=4)
    policy, _ = train(replace(settings, lm=warm, learning_rate=0.0), folder / "run", tensorboard=False)
    policy.lm.model.save_pretrained(folder / "bare")
    return settings


def without_warm_start(own: Any, **others: Any) -> Any:
    """Settings of a model that begins as it is, with other values of what is named."""
    from trainers.tokens.settings import WARM, LanguageModelSettings

    return replace(own, warm_start=None, **{name: getattr(LanguageModelSettings, name) for name in WARM} | others)
