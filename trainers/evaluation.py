"""Playing held-out streams with any agent."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.base import Agent, View
from memenvs.record import EpisodeRecord
from memenvs.streams.types import Stream
from memenvs.together import read_together

if TYPE_CHECKING:
    from trainers.rollout import Policy


@dataclass(frozen=True, slots=True)
class EpisodeScore:
    """One evaluated episode, small enough to keep for every run."""

    stream: str
    """Id of the stream."""
    source: str
    """Source of the stream."""
    r_global: float
    """Mean score of the global questions; NaN if any reading of the episode failed."""
    memory_tokens: float
    """L(M_T); NaN, as the next two, of a stream that was not played to its end."""
    stream_tokens: float
    """Sum of L(c_t)."""
    invalid: float
    """Operations refused."""
    by_source: dict[str, float]
    """Mean score per question source."""
    failure: str | None = None
    """The first failure of the reader, or why the agent had no message."""

    @classmethod
    def of(cls, record: EpisodeRecord) -> EpisodeScore:
        """Summarise a record."""
        scores: dict[str, list[float]] = defaultdict(list)
        for question in record.questions:
            if question.score is not None:
                scores[question.source].append(question.score)
        return cls(
            stream=record.stream_id,
            source=record.source,
            r_global=float("nan") if record.failure else record.r_global,
            memory_tokens=record.memory_tokens,
            stream_tokens=record.stream_tokens,
            invalid=sum(not o.valid for step in record.steps for o in step.operations),
            by_source={source: float(np.mean(values)) for source, values in sorted(scores.items())},
            failure=record.failure,
        )

    @classmethod
    def unplayed(cls, stream: Stream, reason: str) -> EpisodeScore:
        """Of a stream for which the agent had no message: it has failed, and says nothing about memory."""
        return cls(stream.id, stream.source, math.nan, math.nan, math.nan, math.nan, {}, reason)

    @property
    def played(self) -> bool:
        """Whether the stream was played to its end."""
        return not math.isnan(self.memory_tokens)


def play(env: gym.Env[Any, Any], agent: Agent, index: int, seed: int = 0) -> EpisodeRecord:
    """One episode over stream ``index``; seed makes the agent's draws repeatable."""
    observation, info = env.reset(seed=seed, options={"stream": index})
    agent.reset(seed * 1_000_003 + index, env.unwrapped.episode.stream)  # type: ignore[attr-defined]
    done = False
    while not done:
        observation, _, done, _, info = env.step(agent.act(observation, info))
    return env.unwrapped.record  # type: ignore[attr-defined]


def evaluate(
    env: gym.Env[Any, Any],
    agent: Agent,
    streams: Iterable[int],
    seed: int = 0,
    keep: Callable[[EpisodeRecord], None] | None = None,
) -> list[EpisodeScore]:
    """Play streams one after the other.

    Args:
        env: environment over the held-out split.
        agent: who manages the memory.
        streams: indices in the environment's dataset.
        seed: of the agent's draws.
        keep: called with each record, for instance to save it.

    Returns:
        One score per stream, in order.
    """
    scores = []
    for index in streams:
        record = play(env, agent, index, seed)
        if keep is not None:
            keep(record)
        scores.append(EpisodeScore.of(record))
    return scores


def evaluate_policy(
    envs: Sequence[gym.Env[Any, Any]],
    policy: Policy,
    streams: Sequence[int],
    progress: Callable[[float], None] = lambda played: None,
    keep: Callable[[EpisodeRecord], None] = lambda record: None,
    drawn: int | None = None,
) -> list[EpisodeScore]:
    """Play streams with a policy, several at once: one forward pass decides for all of them.

    Streams that end together are read with one call of the reader that their environments share.

    Args:
        envs: environments over the held-out split; this many streams are played together.
        policy: decides greedily, unless ``drawn`` is given.
        streams: indices in the environments' dataset.
        progress: called after each step with the number of streams played so far, those under way by their share of steps.
        keep: called with each record, in order.
        drawn: seed of messages that are drawn; each stream has random numbers of its own, those of `play`, so that here, too, the
            scores do not depend on how streams are put together.

    Returns:
        One score per stream, in order.
    """
    scores: list[EpisodeScore] = []
    for first in range(0, len(streams), len(envs)):
        batch = list(zip(envs, streams[first : first + len(envs)], strict=False))
        views = [View.of(*env.reset(seed=0, options={"stream": index})) for env, index in batch]
        # Streams of real data differ in length: those that are over leave the batch.
        active, share = list(range(len(batch))), 0.0
        rngs = [np.random.default_rng((drawn or 0) * 1_000_003 + index) for _, index in batch]
        while active:
            share += sum(1 / views[i].T for i in active)
            decisions = policy.act([views[i] for i in active], [rngs[i] for i in active], greedy=drawn is None)
            read_together([batch[i][0] for i in active], [decision.message for decision in decisions])
            going = []
            for i, decision in zip(active, decisions, strict=True):
                observation, _, done, _, info = batch[i][0].step(decision.message)
                views[i] = View.of(observation, info)
                if not done:
                    going.append(i)
            active = going
            progress(first + (share if active else len(batch)))  # rounding must not hide the last stream
        for env, _ in batch:
            record = env.unwrapped.record  # type: ignore[attr-defined]
            keep(record)
            scores.append(EpisodeScore.of(record))
    return scores


def mean_r_global(scores: Iterable[EpisodeScore]) -> float:
    """Mean over the episodes that did not fail; NaN if there is none."""
    values = [score.r_global for score in scores if score.failure is None]
    return float(np.mean(values)) if values else float("nan")


def memory_share(scores: Iterable[EpisodeScore]) -> float:
    """Mean of memory tokens over stream tokens, of the streams that were played; NaN if there is none."""
    shares = [score.memory_tokens / score.stream_tokens for score in scores if score.played]
    return float(np.mean(shares)) if shares else math.nan
