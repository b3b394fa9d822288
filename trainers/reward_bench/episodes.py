"""Episodes to measure on: played by a behaviour or a trained policy that can play on from any of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from agents.base import Agent, View
from agents.blended import Blended
from memenvs.env import MemoryEnv
from memenvs.episode import Observation
from memenvs.record import EpisodeRecord
from memenvs.streams import StreamDataset
from rewards.credit import Policy
from trainers.reward_bench.cells import BEHAVIOURS, Cell
from trainers.reward_bench.settings import BenchSettings
from trainers.settings import EnvSettings


class Played(NamedTuple):
    """An episode with what it takes to play it again, or on."""

    record: EpisodeRecord
    env: EnvSettings
    """The environment's settings."""
    split: str
    """Split of the stream."""
    reset: dict[str, Any]
    """Arguments of `MemoryEnv.reset` that gave the stream and the questions."""
    policy: Policy
    """Who played, and can play on."""


def markov_policy(agent: Agent) -> Policy:
    """An agent that looks at nothing but the present step as a policy that can play on from any memory."""

    def decide(seen: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[str]:
        messages = []
        for now, rng in zip(seen, rngs, strict=True):
            agent.reset(int(rng.integers(2**31)))
            observation = {"chunk": now.chunk, "memory": "", "step": now.step}
            messages.append(agent.act(observation, {"memory": now.memory, "T": now.T}))
        return messages

    return decide


def trained_policy(run: Path) -> Policy:
    """The policy of a trained run, sampling.

    Raises:
        DataError: the folder holds no checkpoint.
    """
    import torch

    from agents.candidate import load_policy
    from trainers import checkpoint

    torch.set_num_threads(1)
    policy = load_policy(checkpoint.find(run))

    def decide(seen: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[str]:
        views = [View.seen(now) for now in seen]
        return [decision.message for decision in policy.act(views, rngs)]

    return decide


def player(settings: BenchSettings, behaviour: str, env: EnvSettings) -> Policy:
    """Who plays: a behaviour of `BEHAVIOURS` under the limits of the environment, or else the settings' trained run."""
    if behaviour in BEHAVIOURS:
        return markov_policy(
            Blended(
                BEHAVIOURS[behaviour],
                max_operations=env.max_operations,
                max_item_tokens=env.max_item_tokens,
                memory_budget=env.memory_budget,
            )
        )
    assert settings.policy is not None
    return trained_policy(settings.policy)


def play(
    env: EnvSettings,
    policy: Policy,
    stream: int,
    seed: Sequence[int],
    split: str = "test",
    questions: Sequence[int] | None = None,
) -> Played:
    """One episode.

    Args:
        env: the environment; its chunk questions are read too.
        policy: plays.
        stream: index in the split.
        seed: decides the policy's draws.
        split: of the data.
        questions: indices of the global questions to ask; all by default.
    """
    made = env.make(split, dataset=opened(env, split))
    base = made.unwrapped
    assert isinstance(base, MemoryEnv)
    asked = {} if questions is None else {"questions": list(questions)}
    reset: dict[str, Any] = {"seed": 0, "options": {"stream": stream} | asked}
    made.reset(**reset)
    rng = np.random.default_rng(list(seed))
    while not base.episode.done:
        made.step(policy([base.episode.observe()], [rng])[0])
    return Played(base.record, env, split, reset, policy)


def replayed(played: Played, env: gym.Env[Any, Any]) -> tuple[float, ...]:
    """The per-step rewards that a wrapped environment pays for an episode's messages: as it tells them, or as it paid.

    Returns:
        T floats.
    """
    env.reset(**played.reset)
    paid: list[float] = []
    info: dict[str, Any] = {}
    for step in played.record.steps:
        _, reward, _, _, info = env.step(step.message)
        paid.append(float(reward))
    return tuple(float(value) for value in info.get("step_rewards", paid))


@lru_cache(maxsize=16)
def opened(env: EnvSettings, split: str) -> StreamDataset:
    """The data of a split, opened once in a process."""
    return env.open(split)


def play_cell(settings: BenchSettings, cell: Cell, rollout: int = 0) -> Played:
    """The episode of a cell, or one of its rollouts: a function of settings, cell and number alone."""
    env = settings.environment(cell.data, cell.env_id, cell.k)
    who = [*BEHAVIOURS, cell.behaviour].index(cell.behaviour)
    questions = None
    total = len(opened(env, "test")[cell.stream].questions)
    if cell.data != "builtin" and total > settings.data_questions:
        order = np.random.default_rng([settings.seed, cell.stream]).permutation(total)
        questions = sorted(order[: settings.data_questions].tolist())
    policy = player(settings, cell.behaviour, env)
    return play(env, policy, cell.stream, (settings.seed, cell.stream, who, rollout), questions=questions)
