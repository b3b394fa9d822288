"""MemoryEnv: the Gymnasium adapter of `memenvs.Episode`."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict, Discrete

from memenvs.episode import Episode, EpisodeSettings, EpisodeSnapshot
from memenvs.errors import DataError, EpisodeError, ReaderError, SettingsError, did_you_mean
from memenvs.memory.bank import MemoryLimits
from memenvs.memory.operations import MAX_MESSAGE_CHARS
from memenvs.memory.retrieval import BM25Retriever
from memenvs.reading import Reader, make_reader
from memenvs.record import EpisodeRecord
from memenvs.render import render_episode, render_memory
from memenvs.spaces import UnicodeText
from memenvs.streams import load
from memenvs.version import __version__

_RESET_OPTIONS = ("stream", "questions")


class MemoryEnv(gym.Env[dict[str, Any], str]):
    """One stream per episode: read a chunk, send memory operations, be examined at the end.

    (Farama sections are in the docstring's long form below.)
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        data: str = "builtin",
        split: str = "train",
        data_settings: dict[str, Any] | None = None,
        reader: str | Reader = "extractive",
        k: int = 5,
        idf: str = "lucene",
        chunk_questions: int = 5,
        question_share: float = 1.0,
        max_operations: int | None = None,
        max_item_tokens: int | None = None,
        memory_budget: int | None = None,
        dialect: str = "json",
        profile: str = "corrected",
        max_chars: int = 65_536,
        render_mode: str | None = None,
    ) -> None:
        if not 0 < question_share <= 1:
            raise SettingsError(f"question_share must be in (0, 1], got {question_share}")
        self.dataset = load(data, split=split, **(data_settings or {}))
        self.reader = make_reader(reader)
        self.settings = EpisodeSettings(
            k=k,
            chunk_questions=chunk_questions,
            limits=MemoryLimits(max_operations, max_item_tokens, memory_budget),
            dialect=dialect,
            profile=profile,
        )
        self.render_mode = render_mode
        self.observation_space = Dict(
            {
                "chunk": UnicodeText(max_chars),
                "memory": UnicodeText(max_chars),
                "step": Discrete(self.dataset.max_steps + 1),
            }
        )
        self.action_space = UnicodeText(MAX_MESSAGE_CHARS)
        self._max_chars = max_chars
        self._idf = idf
        BM25Retriever(idf=idf)  # refuse an unknown idf here rather than at the first reset
        self._question_share = question_share
        self._episode: Episode | None = None
        self._index = -1
        self._record: EpisodeRecord | None = None

    @property
    def episode(self) -> Episode:
        """The episode under way: stream, memory bank, finished steps.

        Raises:
            EpisodeError: before the first `reset`.
        """
        if self._episode is None:
            raise EpisodeError("no episode is under way; call reset() first")
        return self._episode

    @property
    def record(self) -> EpisodeRecord:
        """The finished episode as plain data; built once.

        Raises:
            EpisodeError: the episode is not over.
        """
        if self._record is None:
            self._record = self.episode.record(
                memenvs=__version__,
                data=self.dataset.source,
                split=self.dataset.split,
                dataset=self.dataset.fingerprint,
                stream_index=self._index,
                reader=self.reader.name,
                idf=self._idf,
                tokens="words",
            )
        return self._record

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode. The same seed gives the same stream and the same questions: a GRPO group.

        Args:
            seed: seeds ``np_random``; without one the next stream is drawn.
            options: ``{"stream": i}`` takes stream i of the dataset; ``{"questions": [..]}`` asks these global questions.

        Raises:
            SettingsError: an unknown option, or an index out of range.
            DataError: the stream does not fit the observation space.
        """
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            if name not in _RESET_OPTIONS:
                raise SettingsError(
                    f"unknown reset option {name!r}; known: {', '.join(_RESET_OPTIONS)}.{did_you_mean(name, _RESET_OPTIONS)}"
                )
        # Both draws are always made, so that options do not shift the streams that follow.
        drawn = int(self.np_random.integers(len(self.dataset)))
        question_seed = int(self.np_random.integers(2**31))
        self._index = int(options.get("stream", drawn))
        if not 0 <= self._index < len(self.dataset):
            raise SettingsError(f"stream {self._index} is out of range: the dataset has {len(self.dataset)} streams")
        stream = self.dataset[self._index]
        for step, chunk in enumerate(stream.chunks):
            if len(chunk.text) > self._max_chars:
                raise DataError(
                    f"chunk {step} of stream {stream.id!r} has {len(chunk.text)} characters; "
                    f"make the environment with max_chars={len(chunk.text)} or more"
                )
        asked = options.get("questions")
        if asked is None and self._question_share < 1:
            count = max(1, round(self._question_share * len(stream.questions)))
            order = np.random.default_rng(question_seed).permutation(len(stream.questions))
            asked = sorted(int(i) for i in order[:count])
        self._episode = Episode(stream, self.settings, asked, retriever=BM25Retriever(idf=self._idf))
        self._record = None
        return self._observation(), self._info()

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Carry out one message; after the last one the global questions are read and r_global is paid.

        Args:
            action: the agent's raw message.

        Raises:
            EpisodeError: called before `reset` or after the end.
        """
        episode = self.episode
        readings = episode.act(action)
        try:
            step = episode.answer(self.reader.read(readings) if readings else [])
        except ReaderError as error:
            step = episode.answer(None, failure=f"{type(error).__name__}: {error}")
        info = self._info()
        info["operations"] = step.operations
        info["parse_error"] = step.error
        info["chunk_questions"] = step.readings
        reward = 0.0
        if episode.done:
            info["questions"] = self.record.questions
            info["r_global"] = reward = self.record.r_global
        return self._observation(), reward, episode.done, False, info

    def render(self) -> str | None:  # type: ignore[override]
        """With ``render_mode="ansi"``: the chunk, the memory with what changed, and at the end which item answered what."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a render mode: gym.make(..., render_mode="ansi")')
            return None
        return render_episode(self.episode)

    def snapshot(self) -> EpisodeSnapshot:
        """State of the episode between two steps; see `Episode.snapshot`."""
        return self.episode.snapshot()

    def restore(self, snapshot: EpisodeSnapshot) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return to a snapshot of the same stream; gives observation and info as `reset` does."""
        self.episode.restore(snapshot)
        self._record = None
        return self._observation(), self._info()

    def digest(self) -> str:
        """Hash of stream, step and memory; see `Episode.digest`."""
        return self.episode.digest()

    def _observation(self) -> dict[str, Any]:
        seen = self.episode.observe()
        return {"chunk": seen.chunk, "memory": render_memory(seen.memory, self._max_chars), "step": seen.step}

    def _info(self) -> dict[str, Any]:
        episode = self.episode
        return {
            "data": self.dataset.source,
            "stream": episode.stream.id,
            "T": episode.T,
            "memory": episode.bank.items,
            "memory_tokens": episode.bank.tokens,
            "failure": episode.failure,
        }
