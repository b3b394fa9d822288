"""MemoryEnv: the Gymnasium adapter of `memenvs.Episode`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium.spaces import Dict, Discrete

from memenvs.episode import Episode, EpisodeSettings, EpisodeSnapshot
from memenvs.errors import DataError, EpisodeError, SettingsError, whole
from memenvs.memory.architectures import FLAT, make_retriever
from memenvs.memory.bank import MemoryLimits
from memenvs.memory.operations import MAX_MESSAGE_CHARS
from memenvs.memory.retrieval import Retriever
from memenvs.memory.retrieval_profiles import retrieval_profile
from memenvs.reading import Answer, Reader, Reading, make_reader, read
from memenvs.record import EpisodeRecord
from memenvs.render import render_bank, render_episode
from memenvs.reset_options import draw
from memenvs.spaces import UnicodeText
from memenvs.streams import StreamDataset, load
from memenvs.version import __version__


class _Prepared(NamedTuple):
    """The first half of a step: the message was carried out, its answers are known."""

    action: Any
    answers: Sequence[Answer] | None
    failure: str | None


class MemoryEnv(gym.Env[dict[str, Any], str]):
    r"""One stream per episode: read a chunk, send memory operations, be examined at the end.

    ## Description
    A stream of T chunks of text goes by, one chunk a step. Questions about all of it come after the last chunk, when the chunks
    are gone: a frozen reader answers them from items retrieved from the memory that the agent kept. So the agent's task is to
    decide, chunk by chunk, what to write, correct and drop.

    ## Action Space
    `UnicodeText`: the agent's raw message, for instance a language model's output. It holds a JSON list of operations, prose and
    code fences around it allowed (``dialect="json"``; ``"function_calls"`` reads OpenAI-style calls):

    | operation | effect |
    |---|---|
    | ``{"op": "INSERT", "content": "..."}`` | adds an item; its id is ``"step.n"`` |
    | ``{"op": "UPDATE", "id": "3.1", "content": "..."}`` | replaces the content of an item |
    | ``{"op": "DELETE", "id": "3.1"}`` | removes an item |
    | ``{"op": "SKIP"}`` | changes nothing, on purpose |

    No message raises: what is unreadable, unknown or over a limit changes nothing and is reported in ``info``.

    ## Observation Space
    ``Dict``: ``chunk`` (`UnicodeText`, the text to process now; "" after the last step), ``memory`` (`UnicodeText`, one line
    ``[id] content`` per item), ``step`` (``Discrete``, 0-based; T after the last step).

    ## Starting State
    An empty memory and the first chunk of a stream drawn with ``np_random``. The same seed gives the same stream and questions in
    every process; ``reset(options={"stream": 3})`` picks a stream, ``{"questions": [0, 2]}`` the global questions.

    ## Rewards
    0 at every step but the last, which pays r_global: the mean score in [0, 1] of the global questions; NaN if the reader failed on
    one of them (see ``info["failure"]``), so that a failure is not taken for a wrong answer. Reward wrappers pay each step.

    ## Episode End
    * Termination: after the stream's T chunks, whatever the actions.
    * Truncation: never.

    ## Information
    * Always: ``data``, ``stream`` (id), ``T``, ``timestamp`` (of the chunk shown, or None), ``memory`` (tuple of `MemoryItem`),
      ``memory_tokens``, ``failure`` (first failure of the reader, or None).
    * After a step: ``operations`` (tuple of `OperationOutcome`), ``parse_error`` (or None), ``chunk_questions`` (tuple of
      `ReadingRecord`, answered from the memory at this step).
    * At the end: ``questions`` (tuple of `ReadingRecord`) and ``r_global``.

    ``env.unwrapped.record`` is the finished episode as plain data.

    ## Arguments
    * ``data``, ``split``, ``data_settings``: the streams, see `memenvs.streams.load`. ``data`` may be a `Path` or an
      open `StreamDataset` too; only with a str can the environment's spec be written as JSON.
    * ``families``: question families of builtin streams; None for all.
    * ``reader``: a name or an address for `memenvs.reading.make_reader`, or a `Reader`.
    * ``reader_settings``: for a reader at an address, see `memenvs.endpoint.ChatSettings`.
    * ``retrieval``: retrieval profile, see `memenvs.memory.retrieval_profiles`.
    * ``k``, ``idf``: items retrieved per question and the kind of BM25; None for those of ``retrieval``, by default 5 and
      "lucene".
    * ``tokens``: token counter of limits and results, see `memenvs.memory.token_counters`; the agents of `agents` count "words".
    * ``memory``: its architecture, see `memenvs.memory.architectures`; the dialect "memalpha" needs one of three parts.
    * ``chunk_questions``: how many questions of each chunk are read after its step; 0 for none.
    * ``question_share``: share of the global questions that is asked, sampled with the episode's seed.
    * ``max_operations``, ``max_item_tokens``, ``memory_budget``: limits per step, item and memory; None for none.
    * ``dialect``, ``profile``: how messages are parsed (see `memenvs.memory.parse_operations`) and answers are scored.
    * ``max_chars``: longest chunk; the rendered memory is shortened to it.
    * ``render_mode``: ``"ansi"`` or None.

    Raises:
        SettingsError: an argument has a value that cannot work.
        DataError: the data source cannot be opened or is empty.

    ## Version History
    * v0: initial version.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        data: str | Path | StreamDataset = "builtin",
        split: str = "train",
        families: Sequence[str] | None = None,
        data_settings: dict[str, Any] | None = None,
        reader: str | Reader = "extractive",
        k: int | None = None,
        idf: str | None = None,
        chunk_questions: int = 5,
        question_share: float = 1.0,
        max_operations: int | None = None,
        max_item_tokens: int | None = None,
        memory_budget: int | None = None,
        dialect: str = "json",
        profile: str = "corrected",
        max_chars: int = 65_536,
        render_mode: str | None = None,
        retrieval: str = "default",
        tokens: str = "words",
        memory: str = FLAT,
        reader_settings: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(question_share, (int, float)) or not 0 < question_share <= 1:
            raise SettingsError(f"question_share must be a number in (0, 1], got {question_share!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SettingsError(f'render_mode must be "ansi" or None, got {render_mode!r}')
        max_chars = whole("max_chars", max_chars, 1)
        settings = (data_settings or {}) | ({} if families is None else {"families": list(families)})
        if isinstance(data, (str, Path)):
            self.dataset = load(data, split=split, **settings)
        elif settings:
            raise SettingsError(f"an open data set takes no settings, got {', '.join(settings)}")
        else:
            self.dataset = data
        if not len(self.dataset):
            raise DataError(f"the split {self.dataset.split!r} of {self.dataset.source!r} holds no streams")
        self.reader = make_reader(reader, **(reader_settings or {}))
        self.settings = EpisodeSettings(
            k=retrieval_profile(retrieval).k if k is None else k,
            chunk_questions=chunk_questions,
            limits=MemoryLimits(max_operations, max_item_tokens, memory_budget),
            dialect=dialect,
            profile=profile,
            retrieval=retrieval,
            tokens=tokens,
            memory=memory,
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
        self.max_chars = max_chars
        self._idf = retrieval_profile(retrieval).idf if idf is None else idf
        self._retriever()  # refuse an unknown idf here rather than at the first reset
        self._question_share = question_share
        self._episode: Episode | None = None
        self._index = -1
        self._seed: int | None = None
        self._record: EpisodeRecord | None = None
        self._prepared: _Prepared | None = None

    def _retriever(self) -> Retriever:
        return make_retriever(self.settings.memory, self._idf, self.settings.retrieval)

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
                seed=self._seed,
                reader=self.reader.name,
                idf=self._idf,
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
            SettingsError: an unknown option, or indices that are no different whole numbers in range.
            DataError: the stream does not fit the observation space.
        """
        super().reset(seed=seed)
        index, stream, asked = draw(self.dataset, self.np_random, options or {}, self._question_share)
        for step, chunk in enumerate(stream.chunks):
            if len(chunk.text) > self.max_chars:
                raise DataError(
                    f"chunk {step} of stream {stream.id!r} has {len(chunk.text)} characters; "
                    f"make the environment with max_chars={len(chunk.text)} or more"
                )
        self._episode = Episode(stream, self.settings, asked, retriever=self._retriever())
        self._index, self._seed = index, seed
        self._record = self._prepared = None
        return self._observation(), self._info()

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Carry out one message; after the last one the global questions are read and r_global is paid.

        Args:
            action: the agent's raw message.

        Raises:
            EpisodeError: called before `reset` or after the end.
        """
        if self._prepared is None:
            self.supply(action, *read(self.reader, self.prepare(action)))
        assert self._prepared is not None
        if action is not self._prepared.action:
            raise EpisodeError(
                "step() got another message than prepare(); a wrapper that changes messages cannot be batched"
            )
        prepared, self._prepared = self._prepared, None
        episode = self.episode
        step = episode.answer(prepared.answers, prepared.failure)
        info = self._info()
        info["operations"] = step.operations
        info["parse_error"] = step.error
        info["chunk_questions"] = step.readings
        reward = 0.0
        if episode.done:
            info["questions"] = self.record.questions
            info["r_global"] = reward = self.record.r_global
        return self._observation(), reward, episode.done, False, info

    def prepare(self, action: str) -> list[Reading]:
        """First half of a step, for callers that read for many environments at once (`memenvs.together`).

        Call `supply` with the answers and then `step` with the same message, through any wrappers that leave it as it is.

        Raises:
            EpisodeError: called before `reset` or after the end.
        """
        return self.episode.act(action)

    def supply(self, action: str, answers: Sequence[Answer] | None, failure: str | None = None) -> None:
        """Hand in the answers to `prepare`'s readings; None and a message where the reader failed."""
        self._prepared = _Prepared(action, answers, failure)

    def render(self) -> str | None:
        """With ``render_mode="ansi"``: the chunk, the memory with what changed, and at the end which item answered what."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a render mode: gym.make(..., render_mode="ansi")')
            return None
        return render_episode(self.episode)

    def snapshot(self) -> EpisodeSnapshot:
        """State of the episode between two steps; see `Episode.snapshot`."""
        return self.episode.snapshot()

    def restore(self, snapshot: EpisodeSnapshot) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return to a snapshot of the same stream, questions and settings; gives observation and info as `reset` does."""
        self.episode.restore(snapshot)
        self._record = self._prepared = None
        return self._observation(), self._info()

    def digest(self) -> str:
        """Hash of stream, questions, settings, step and memory; see `Episode.digest`."""
        return self.episode.digest()

    def _observation(self) -> dict[str, Any]:
        seen = self.episode.observe()
        return {"chunk": seen.chunk, "memory": render_bank(self.episode.bank, self.max_chars), "step": seen.step}

    def _info(self) -> dict[str, Any]:
        episode = self.episode
        return {
            "data": self.dataset.source,
            "stream": episode.stream.id,
            "T": episode.T,
            "timestamp": episode.observe().timestamp,
            "memory": episode.bank.items,
            "memory_tokens": episode.bank.tokens,
            "failure": episode.failure,
        }
