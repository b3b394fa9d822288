"""Credit from probabilities, given by a model within the process, in an environment from its first step to its reward."""

from __future__ import annotations

import math

import gymnasium as gym
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from small_models import saved_model

import memenvs  # noqa: F401 - registers the environments
from memenvs.reading import CachedReader, Reading
from rewards.credit import estimate
from rewards.presets import wrap_reward

MESSAGES = ('[{"op": "INSERT", "content": "The key is with Ann."}]', "[]", '[{"op": "DELETE", "id": "0.0"}]', "[]")


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    torch.set_num_threads(1)
    folder = saved_model(tmp_path_factory.mktemp("credit") / "tiny")
    settings = {"max_tokens": 4, "device": "cpu"}
    return gym.make(
        "FineMem-Memalpha-v0", reader=f"local:{folder}", reader_settings=settings, data_settings={"T": 4}, k=2
    )


def played(env):
    env.reset(seed=3)
    paid = []
    for message in MESSAGES:
        _, reward, _, _, info = env.step(message)
        paid.append(reward)
    return paid, info


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prefix-probability", lambda tokens: math.exp(math.fsum(tokens) / len(tokens))),
        ("prefix-log-probability", math.fsum),
    ],
)
def test_credit_is_what_the_memory_makes_the_references_more_probable(env, name, value):
    played(env)
    record, reader = env.unwrapped.record, env.unwrapped.reader

    def worth(items):
        """Mean over the questions, of the reference that is most probable per token."""
        total = 0.0
        for question in record.questions:
            reading = Reading(question.question, items, question.source)
            found = reader.token_log_probs([reading] * len(question.references), question.references)
            total += value(max(found, key=lambda tokens: math.fsum(tokens) / len(tokens)))
        return total / len(record.questions)

    empty, held = worth(()), worth((("0.0", "The key is with Ann."),))
    assert abs(held - empty) > 1e-6
    found = estimate(name, record, reader=CachedReader(reader))
    # Step 0 puts the only item in, step 1 writes nothing, step 2 takes the item out again, step 3 writes nothing.
    assert found == pytest.approx((held - empty, 0.0, empty - held, 0.0), rel=1e-3, abs=1e-7)


def test_it_is_paid_as_a_reward(env):
    paid, info = played(wrap_reward(env, "credit:prefix-log-probability"))
    assert info["failure"] is None
    terms = info["step_reward_terms"]
    assert set(terms) == {"credit", "format"}
    assert terms["credit"] == pytest.approx(
        estimate("prefix-log-probability", env.unwrapped.record, reader=env.unwrapped.reader)
    )
    assert math.fsum(paid) == pytest.approx(math.fsum(info["step_rewards"]))
    assert terms["credit"][0] != 0.0


def test_a_reading_that_is_too_long_is_no_score_of_zero(tmp_path):
    folder = saved_model(tmp_path / "short", max_position_embeddings=400)
    env = gym.make(
        "FineMem-Memalpha-v0", reader=f"local:{folder}", reader_settings={"max_tokens": 4}, data_settings={"T": 4}
    )
    env.reset(seed=3)
    for message in ('[{"op": "INSERT", "content": "%s"}]' % ("A key lies there. " * 100), "[]", "[]", "[]"):
        *_, info = env.step(message)
    assert math.isnan(info["r_global"])
    assert "context of 400" in info["failure"]
    assert {(r.prediction, r.score) for r in env.unwrapped.record.questions if r.retrieved} <= {(None, None)}
