"""Playing several streams side by side with an agent that decides for many at once: a language model.

* `ManyAtOnce` - the agent.
* `Game`, `side_by_side` - episodes under way; one that is over makes room for the next.
* `evaluate_together` - streams in an environment.

An episode gets the prompts and the draws that it gets alone. A language model within the process computes several rows at once,
which rounds in another way: where two tokens are equally probable to the last digits, it may take the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

import gymnasium as gym
import numpy as np

from agents.base import AgentError, View
from memenvs.record import EpisodeRecord
from memenvs.together import read_together
from trainers.evaluation import EpisodeScore


class ManyAtOnce(Protocol):
    """An agent that decides for several episodes with one call."""

    together: int
    """Most episodes that it is worth to play side by side."""

    def messages(self, views: Sequence[View], rngs: Sequence[np.random.Generator]) -> Sequence[str | AgentError]:
        """A message per view, or why there is none."""
        ...


class Game(Protocol):
    """An episode under way."""

    @property
    def view(self) -> View:
        """What the agent sees now."""
        ...

    @property
    def rng(self) -> np.random.Generator:
        """Of the agent's draws in this episode."""
        ...

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        ...

    def step(self, message: str) -> None:
        """Carry out what the agent wrote."""
        ...


Playing = TypeVar("Playing", bound=Game)


def side_by_side(
    agent: ManyAtOnce,
    games: Iterable[Playing],
    before: Callable[[Sequence[Playing], Sequence[str]], None] = lambda games, messages: None,
) -> Iterator[tuple[Playing, AgentError | None]]:
    """Play episodes, as many at a time as the agent likes.

    Args:
        agent: who decides.
        games: each is taken when there is room for it.
        before: called ahead of each step with the episodes that take it and their messages.

    Yields:
        Each episode as soon as it is over; one for which the agent had no message, with the reason.
    """
    waiting = iter(games)
    active: list[Playing] = []
    while active := [*active, *islice(waiting, agent.together - len(active))]:
        messages = agent.messages([game.view for game in active], [game.rng for game in active])
        told = [(game, said) for game, said in zip(active, messages, strict=True) if not isinstance(said, AgentError)]
        before([game for game, _ in told], [message for _, message in told])
        going = []
        for game, message in zip(active, messages, strict=True):
            if isinstance(message, AgentError):
                yield game, message
                continue
            game.step(message)
            if game.done:
                yield game, None
            else:
                going.append(game)
        active = going


def evaluate_together(
    make: Callable[[], gym.Env[Any, Any]],
    agent: ManyAtOnce,
    streams: Sequence[int],
    seed: int = 0,
    keep: Callable[[EpisodeRecord], None] | None = None,
) -> list[EpisodeScore]:
    """Play streams side by side; each as `trainers.evaluation.evaluate` plays it.

    Those that end together are read with one call of the reader that their environments share.

    Args:
        make: an environment over the held-out split; called once per stream side by side.
        agent: who manages the memories.
        streams: indices in the environment's dataset.
        seed: of the agent's draws.
        keep: called with the record of each episode that was played to its end, in order.

    Returns:
        One score per stream, in order; the stream of an episode for which the agent had no message is `EpisodeScore.unplayed`.
    """
    free = [make() for _ in range(min(agent.together, len(streams)))]
    records: dict[int, EpisodeRecord] = {}
    scores: dict[int, EpisodeScore] = {}
    games = (_InEnv(free.pop(), place, index, seed) for place, index in enumerate(streams))
    for game, error in side_by_side(agent, games, _read):
        env: Any = game.env.unwrapped
        if error is None:
            records[game.place] = env.record
            scores[game.place] = EpisodeScore.of(env.record)
        else:
            scores[game.place] = EpisodeScore.unplayed(env.episode.stream, str(error))
        free.append(game.env)
    for place in sorted(records):
        if keep is not None:
            keep(records[place])
    return [scores[place] for place in range(len(streams))]


def _read(games: Sequence[_InEnv], messages: Sequence[str]) -> None:
    """What a step of all of them asks."""
    read_together([game.env for game in games], messages)


class _InEnv:
    """An episode in an environment that is free again when it is over."""

    def __init__(self, env: gym.Env[Any, Any], place: int, index: int, seed: int) -> None:
        self.env, self.place = env, place
        self.view = View.of(*env.reset(seed=seed, options={"stream": index}))
        self.rng = np.random.default_rng(seed * 1_000_003 + index)
        self.done = False

    def step(self, message: str) -> None:
        observation, _, self.done, _, info = self.env.step(message)
        self.view = View.of(observation, info)
