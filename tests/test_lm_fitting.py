"""Prompts that are too long for the model's context show less memory; those that never fit are refused before training."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import lm, small_model  # noqa: F401

from agents.base import View
from agents.language_model import (
    CausalLM,
    LanguageModelAgent,
    LanguageModelPolicy,
    PromptSettings,
    SamplingSettings,
    make_prompt,
)
from memenvs.errors import SettingsError
from memenvs.memory import MemoryItem
from memenvs.streams import load
from memenvs.streams.stream_list import StreamList
from trainers.settings import EnvSettings
from trainers.tokens.context import check_prompts
from trainers.tokens.teacher import teacher_rows

CHUNK = "Ann has a cat. It is called Tom."
PROMPT = PromptSettings(memory_tokens=None, task="")


def memory(count):
    return tuple(MemoryItem(f"0.{i}", f"Note {i} is about cats.", 0, 0, 7) for i in range(count))


def policy_of(lm, context, max_tokens=6, prompt=PROMPT):  # noqa: F811
    model = small_model(max_position_embeddings=context)
    model.load_state_dict(lm.model.state_dict())
    return LanguageModelPolicy(CausalLM(model, lm.tokenizer), prompt, SamplingSettings(max_tokens=max_tokens))


def shown(policy, tokens):
    """Ids of the items in a prompt, and what it says of the hidden ones."""
    text = policy.lm.tokenizer.decode(tokens)
    return [line[1:4] for line in text.split("\n") if line.startswith("[0.")], text.partition("(")[2].partition(";")[0]


def test_a_prompt_shows_as_much_memory_as_the_context_has_room_for(lm):  # noqa: F811
    view = View(CHUNK, memory(9), 1, 5)
    whole = LanguageModelPolicy(lm, PROMPT).tokens(view)
    assert shown(policy_of(lm, len(whole) + 6), whole)[0] == [f"0.{i}" for i in range(9)]
    just, tight = policy_of(lm, len(whole) + 6).fit(view), policy_of(lm, len(whole) + 5).fit(view)
    assert (just.tokens, just.shortened, just.memory_tokens) == (whole, False, None)
    assert tight.shortened
    # Equally alike items go from the oldest, and the prompt says so as it does for a small memory_tokens.
    found, told = shown(policy_of(lm, 999), tight.tokens)
    assert found == [f"0.{i}" for i in range(9 - len(found), 9)]
    assert told == f"{9 - len(found)} of 9 items not shown"
    asked = replace(PROMPT, memory_tokens=tight.memory_tokens)
    assert lm.tokens(make_prompt(view, asked)) == tight.tokens
    more = lm.tokens(make_prompt(view, replace(asked, memory_tokens=tight.memory_tokens + 1)))
    assert len(tight.tokens) + 6 <= len(whole) + 5 < len(more) + 6
    bare = policy_of(lm, len(lm.tokens(make_prompt(view, replace(PROMPT, memory_tokens=0)))) + 6).fit(view)
    assert shown(policy_of(lm, 999), bare.tokens) == ([], "9 of 9 items not shown")


def test_messages_are_drawn_from_shortened_prompts_and_counted(lm):  # noqa: F811
    views = [View(CHUNK, memory(count), 1, 5) for count in (0, 9, 1, 30)]
    free = LanguageModelPolicy(lm, PROMPT, SamplingSettings(max_tokens=6))
    context = len(free.tokens(views[2])) + 40
    policy = policy_of(lm, context)
    for greedy in (True, False):
        rngs = None if greedy else [np.random.default_rng(i) for i in range(4)]
        drawn = policy.act(views, rngs, greedy)
        assert [decision.shortened for decision in drawn] == [False, True, False, True]
        assert [decision.sample.prompt for decision in drawn] == [policy.tokens(view) for view in views]
        assert all(len(decision.sample.prompt) + 6 <= context for decision in drawn)
    agent = LanguageModelAgent(policy)
    agent.act_batch(views, [np.random.default_rng(i) for i in range(4)])
    assert (agent.counts["messages"], agent.counts["shortened"]) == (4, 2)


def test_a_chunk_that_never_fits_is_refused_with_the_numbers(lm):  # noqa: F811
    policy = policy_of(lm, 100)
    long = View(CHUNK * 30, memory(2), 3, 5)
    bare = len(lm.tokens(make_prompt(long, replace(PROMPT, memory_tokens=0))))
    with pytest.raises(
        SettingsError,
        match=f"chunk 4 of 5 has {bare} tokens without any memory.*to 6 tokens.*of 100 leaves it 94; take sm",
    ):
        policy.act([long], greedy=True)


def test_chunks_that_never_fit_are_found_before_training(lm):  # noqa: F811
    streams = [load("builtin", "train", T=4)[i] for i in range(3)]
    prompts = [
        len(lm.tokens(make_prompt(View(chunk.text, (), step, 4, chunk.timestamp), PROMPT)))
        for stream in streams for step, chunk in enumerate(stream.chunks)
    ]  # fmt: skip
    dataset = StreamList(streams)
    check_prompts(policy_of(lm, max(prompts) + 6), dataset, range(3))
    worst = prompts.index(max(prompts))
    with pytest.raises(
        SettingsError, match=rf"{streams[worst // 4].id}.*chunk {worst % 4 + 1} of 4 has {max(prompts)} tok"
    ):
        check_prompts(policy_of(lm, max(prompts) + 5), dataset, range(3))


def test_a_teacher_names_no_item_that_a_shortened_prompt_hides(lm):  # noqa: F811
    class Corrects:
        """Writes an item at the first step, and corrects it at the others."""

        name = "corrects"

        def reset(self, seed, stream=None):
            pass

        def act(self, observation, info):
            text = "Bob lives in Oslo. " * 30
            ids = [item.id for item in info["memory"]]
            named = {"op": "UPDATE", "id": ids[0]} if ids else {"op": "INSERT"}
            return json.dumps([named | {"content": text}])

    env = EnvSettings(T=4, max_item_tokens=None, dialect="json").make("train")
    wide = policy_of(lm, 8192, 200)
    second = teacher_rows(env, Corrects(), wide, [3])[1]
    assert "UPDATE" in wide.lm.decode(second.completion)
    narrow = policy_of(lm, len(second.prompt) + 199, 200)
    second = teacher_rows(env, Corrects(), narrow, [3])[1]
    assert "1 of 1 items not shown" in narrow.lm.tokenizer.decode(second.prompt)
    assert "INSERT" in narrow.lm.decode(second.completion)
