"""Rollouts whose reader failed teach a language model nothing, and are no rollouts of reward 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("openai")

from endpoint_server import EndpointServer, first_note
from taught_model import without_warm_start

from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from trainers.checkpoint import latest
from trainers.settings import EnvSettings
from trainers.tokens.grpo import train
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.update import advantages

ENV = EnvSettings(T=4, chunk_questions=1, max_operations=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A run that begins with a model whose messages are read."""
    torch.set_num_threads(1)
    data = load("builtin", "train", T=4)
    folder = tmp_path_factory.mktemp("small")
    own = LanguageModelSettings(
        model=str(folder / "bare"), message="sentences", task="", memory_tokens=24, max_tokens=24, warm_start="scripted",
        warm_streams=12, warm_epochs=8, warm_rate=1e-2, warm_batch=4,
    )  # fmt: skip
    small = SmallSettings(hidden=32, layers=1, vocabulary=400)
    make_small(own.model, [data[i] for i in range(8)], own.prompt(ENV), small)
    taught = TokenTrainSettings(
        env=ENV, lm=own, updates=1, group_size=3, learning_rate=0.0, eval_streams=1, final_streams=1
    )
    train(taught, folder / "run", tensorboard=False)
    own = without_warm_start(own, model=str(latest(folder / "run")))
    return replace(taught, lm=own, learning_rate=1e-2)


def test_steps_of_a_failed_rollout_are_no_rows(settings):
    with EndpointServer(first_note) as server:
        parts = TokenParts(replace(settings, env=replace(ENV, reader=f"{server.address}#rules")))
        server.faults = ["400"]  # the first question that is asked, in one of three rollouts
        drawn = parts.draw(0)
    (group,) = drawn.groups
    assert group.failed.sum() == 1
    assert np.isnan(group.rewards[group.failed]).all()
    weights = advantages(drawn.groups, parts.slots)
    rows = parts.rows(drawn.groups, weights, [np.ones(group.rewards.shape, bool)])  # whatever the sampler selects
    sound = [decision for g in np.flatnonzero(~group.failed) for decision in group.decisions[g]]
    assert [(row.prompt, row.completion) for row in rows] == [(d.sample.prompt, d.sample.tokens) for d in sound]
    assert len(rows) == 2 * 4
    # The baseline of each step is that of the two rollouts that are left.
    for t in range(4):
        assert sum(row.advantage for row in rows if row.step == t) == pytest.approx(0, abs=1e-6)
    assert any(row.advantage for row in rows)
    assert np.isfinite(parts.learn(rows)["train/loss"])
