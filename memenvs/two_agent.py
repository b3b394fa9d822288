"""Two agents, one memory: a manager writes it chunk by chunk, a reader answers from it. Needs PettingZoo.

* `parallel_env` - PettingZoo's ParallelEnv.
* `raw_env`, `env` - the same as an AEC environment, without and with PettingZoo's usual checks.

Both agents act at every step, as the parallel API asks; the message of the one whose turn it is not is ignored.
``infos[agent]["turn"]`` says whose turn comes next. The manager has T steps, then the reader has one per global question.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.spaces import Dict, Discrete
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec

from memenvs.env import MemoryEnv
from memenvs.episode import Episode
from memenvs.memory.operations import MAX_MESSAGE_CHARS
from memenvs.reading import Answer, Reading
from memenvs.render import render_episode, render_memory
from memenvs.reset_options import RESET_OPTIONS
from memenvs.scoring import score
from memenvs.spaces import UnicodeText

MANAGER, READER = "manager", "reader"


class parallel_env(ParallelEnv[str, dict[str, Any], str]):  # noqa: N801 - PettingZoo's name for it
    """A manager and a reader that learn together.

    Observations: ``manager``: ``chunk``, ``memory``, ``step`` as in `MemoryEnv`. ``reader``: ``question``, ``items`` (one line
    ``[id] content`` per retrieved item, best first) and ``step`` (questions answered so far); empty texts while the manager works.

    Actions: a message each. The manager's holds memory operations, the reader's is the answer itself.

    Rewards: after each answer both agents get its score divided by the number of questions, so the return is r_global.

    Episode end: both terminate after the last question; nothing truncates.

    Args:
        questions: upper bound of the number of global questions, which sizes the reader's ``step``.
        kwargs: arguments of `MemoryEnv`; its reader is not used, and no chunk questions are read.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "memory_two_agent_v0",
        "render_modes": ["ansi"],
        "render_fps": 1,
        "is_parallelizable": True,
    }

    def __init__(self, questions: int = 1024, **kwargs: Any) -> None:
        self._core = MemoryEnv(**kwargs | {"chunk_questions": 0})
        self.render_mode = self._core.render_mode
        self._chars = self._core.max_chars
        self.possible_agents = [MANAGER, READER]
        self.agents: list[str] = []
        reading = {
            "question": UnicodeText(self._chars),
            "items": UnicodeText(self._chars),
            "step": Discrete(questions + 1),
        }
        self.observation_spaces = {MANAGER: self._core.observation_space, READER: Dict(reading)}
        self.action_spaces = {agent: UnicodeText(MAX_MESSAGE_CHARS) for agent in self.possible_agents}
        self._readings: list[Reading] = []
        self._answers: list[Answer] = []

    def observation_space(self, agent: str) -> gym.Space[Any]:
        """The agent's observation space, the same object at each call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space[Any]:
        """The agent's action space, the same object at each call."""
        return self.action_spaces[agent]

    @property
    def episode(self) -> Episode:
        """The episode under way; see `MemoryEnv.episode`."""
        return self._core.episode

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """Start an episode; seed and options as in `MemoryEnv.reset`, other options are ignored (PettingZoo's tests send some)."""
        known = {name: value for name, value in (options or {}).items() if name in RESET_OPTIONS}
        self._observation, self._info = self._core.reset(seed=seed, options=known)
        self.agents = list(self.possible_agents)
        self._readings, self._answers = [], []
        return self._observations(), self._infos()

    def step(self, actions: dict[str, str]) -> tuple[dict[str, Any], ...]:
        """One message of the agent whose turn it is.

        Returns:
            Observations, rewards, terminations, truncations and infos by agent.
        """
        reward = 0.0
        if self._readings:
            reward = self._answer(actions[READER])
        else:
            self._manage(actions[MANAGER])
        done = self.episode.done
        observations, infos = self._observations(), self._infos()
        live, self.agents = self.agents, [] if done else self.agents
        return observations, dict.fromkeys(live, reward), dict.fromkeys(live, done), dict.fromkeys(live, False), infos

    def _manage(self, message: str) -> None:
        """The last message is held back by the core until the reader has answered."""
        readings = self._core.prepare(message)
        if readings:
            self._readings, self._message = readings, message
        else:
            self._core.supply(message, [])
            self._observation, _, _, _, self._info = self._core.step(message)

    def _answer(self, text: str) -> float:
        episode, number = self.episode, len(self._answers)
        self._answers.append(Answer(text if isinstance(text, str) else ""))
        if len(self._answers) == len(self._readings):
            self._core.supply(self._message, self._answers)
            self._observation, _, _, _, self._info = self._core.step(self._message)
        question = episode.questions[number]
        gained = score(self._answers[number].text, question.references, question.source, episode.settings.profile)
        return gained / len(episode.questions)

    def _observations(self) -> dict[str, dict[str, Any]]:
        answered = len(self._answers)
        waiting = self._readings[answered] if answered < len(self._readings) else None
        question = waiting.question[: self._chars] if waiting else ""
        items = "\n".join(f"[{item_id}] {content}" for item_id, content in waiting.items) if waiting else ""
        manager = self._observation
        if waiting:
            # The core is still inside the last step: the manager sees what it made of the memory.
            manager = manager | {
                "chunk": "",
                "memory": render_memory(self.episode.bank.items, self._chars),
                "step": self.episode.T,
            }
        return {
            MANAGER: dict(manager),
            READER: {"question": question, "items": items[: self._chars], "step": answered},
        }

    def _infos(self) -> dict[str, dict[str, Any]]:
        turn = None if self.episode.done else READER if self._readings else MANAGER
        return {agent: self._info | {"turn": turn} for agent in self.possible_agents}

    def render(self) -> str | None:
        """See `memenvs.render.render_episode`."""
        return None if self.render_mode is None else render_episode(self.episode)


def raw_env(**kwargs: Any) -> AECEnv[str, Any, Any]:
    """The two-agent environment under PettingZoo's turn-based API."""
    return parallel_to_aec(parallel_env(**kwargs))


def env(**kwargs: Any) -> AECEnv[str, Any, Any]:
    """`raw_env` with a check that it is stepped in order."""
    return wrappers.OrderEnforcingWrapper(raw_env(**kwargs))
