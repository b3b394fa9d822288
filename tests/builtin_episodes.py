"""Episodes over embedded streams with an imperfect manager, and a reader that gives probabilities."""

from __future__ import annotations

import json
import math

import gymnasium as gym

import memenvs  # noqa: F401  (registers the ids)
from memenvs.memory.tokens import search_tokens
from memenvs.reading import ExtractiveReader
from memenvs.streams.sentences import sentences


class WordReader(ExtractiveReader):
    """Answers as the extractive reader; a word of an answer has probability .9 if an item has it, else .1."""

    name = "words"

    def token_log_probs(self, readings, answers):
        found = []
        for reading, answer in zip(readings, answers, strict=True):
            known = {word for _, content in reading.items for word in search_tokens(content)}
            found.append(tuple(math.log(0.9 if word in known else 0.1) for word in search_tokens(answer) or [answer]))
        return found


def make(T=5, **kwargs):
    return gym.make("FineMem-Memalpha-v0", **{"data_settings": {"T": T}, "reader": WordReader()} | kwargs)


def message(step, chunk, memory):
    """Two sentences a step. Step 1 only skips; step 3 also deletes the oldest item, rewrites another and names an unknown one."""
    if step == 1:
        return '[{"op": "SKIP"}]'
    operations = [{"op": "INSERT", "content": text} for text in sentences(chunk)[step % 2 : step % 2 + 2]]
    if step == 3:
        operations += [{"op": "DELETE", "id": memory[0].id}, {"op": "DELETE", "id": "9.9"}]
        operations += [{"op": "UPDATE", "id": memory[1].id, "content": sentences(chunk)[-1]}]
    return json.dumps(operations)


def play(env, seed=3):
    """What was paid per step, and the last info."""
    observation, info = env.reset(seed=seed)
    paid, done = [], False
    while not done:
        action = message(observation["step"], observation["chunk"], info["memory"])
        observation, reward, done, _, info = env.step(action)
        paid.append(reward)
    return paid, info


def builtin_record(T=5, seed=3, **kwargs):
    env = make(T, **kwargs)
    play(env, seed)
    return env.unwrapped.record


def half_policy(observations, rngs):
    """Keeps the first sentence of a chunk every other time."""
    return [
        json.dumps([{"op": "INSERT", "content": sentences(seen.chunk)[0]}])
        if rng.random() < 0.5
        else '[{"op": "SKIP"}]'
        for seen, rng in zip(observations, rngs, strict=True)
    ]
