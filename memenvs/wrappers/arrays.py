"""SentenceArrays: a memory environment for agents that want numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.utils import RecordConstructorArgs

from memenvs.env import MemoryEnv
from memenvs.errors import SettingsError
from memenvs.memory import BM25Retriever, Change, MemoryItem
from memenvs.memory.tokens import search_tokens
from memenvs.streams.sentences import sentences
from memenvs.wrappers.hashing import hash_words

SKIP, INSERT, UPDATE = range(3)
"""The choices for one sentence; UPDATE overwrites the item most similar to it."""
CHOICES = 3
EXTRAS = 4
"""Numbers per slot beside the hashed words: slot in use, length, similarity to the nearest item, that item's age."""
GLOBALS = 4
"""Numbers of the whole: part of the stream that is over, fill of the memory, items, tokens kept per token seen."""


class _Slot(NamedTuple):
    text: str
    nearest: MemoryItem | None
    similarity: float


class SentenceArrays(gym.Wrapper[np.ndarray, Any, Any, Any], RecordConstructorArgs):
    """One choice per sentence of the chunk, all in one step: T stays the stream's T, and ``info`` passes through.

    Observation: ``Box(-1, 1)``, float32 ``(slots * (size + 4) + 4,)``; per slot the hashed words of its sentence and `EXTRAS`, then
    `GLOBALS`.

    Action: ``MultiDiscrete([3] * slots)``: `SKIP`, `INSERT` the sentence, or `UPDATE` the item nearest to it with the sentence. A
    choice that the mask rules out does nothing. MaskablePPO looks for ``action_masks()``; ``info["action_mask"]`` is the same.

    Reward wrappers may sit inside or outside.

    Args:
        env: a memenvs environment with its text spaces, reward wrappers allowed.
        slots: most sentences of a chunk; the sentences of a longer chunk are joined to this many pieces.
        size: buckets of the hashed words.

    Raises:
        SettingsError: ``slots`` or ``size`` is below 1, ``env`` is not a memenvs environment, or its dialect is not "json".

    Change log:
        * v0.1.0 - added
    """

    def __init__(self, env: gym.Env[Any, Any], slots: int = 8, size: int = 64) -> None:
        RecordConstructorArgs.__init__(self, slots=slots, size=size)
        gym.Wrapper.__init__(self, env)
        if slots < 1 or size < 1:
            raise SettingsError(f"slots and size must be at least 1, got {slots} and {size}")
        if not isinstance(env.unwrapped, MemoryEnv):
            raise SettingsError(f"SentenceArrays needs a memenvs environment, got {type(env.unwrapped).__name__}")
        if env.unwrapped.settings.dialect != "json":
            raise SettingsError(f'SentenceArrays writes the dialect "json", got {env.unwrapped.settings.dialect!r}')
        self._core = env.unwrapped
        self._shape = slots, size
        self.observation_space = Box(-1.0, 1.0, (slots * (size + EXTRAS) + GLOBALS,), np.float32)
        self.action_space = MultiDiscrete([CHOICES] * slots)
        self._slots: list[_Slot] = []
        self._retriever = BM25Retriever()
        self._known: dict[str, MemoryItem] = {}
        self._seen = ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """See `MemoryEnv.reset`."""
        _, info = self.env.reset(seed=seed, options=options)
        self._retriever, self._known, self._seen = BM25Retriever(), {}, ""
        return self.look(), info | {"action_mask": self.action_masks()}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Carry out one choice per slot.

        Args:
            action: ints, ``(slots,)``.
        """
        _, reward, terminated, truncated, info = self.env.step(self.message(action))
        return self.look(), float(reward), terminated, truncated, info | {"action_mask": self.action_masks()}

    def action_masks(self) -> np.ndarray:
        """Which choices have an effect: bool ``(slots * 3,)``, slot by slot in the order SKIP, INSERT, UPDATE."""
        mask = np.zeros((self._shape[0], CHOICES), np.bool_)
        mask[:, SKIP] = True
        for row, slot in zip(mask, self._current(), strict=False):
            row[INSERT] = True
            row[UPDATE] = slot.nearest is not None
        return mask.ravel()

    def message(self, action: Any) -> str:
        """The operations that the choices stand for, as the inner environment reads them."""
        operations: list[dict[str, str]] = []
        for choice, slot in zip(np.asarray(action).ravel(), self._current(), strict=False):
            if choice == INSERT:
                operations.append({"op": "INSERT", "content": slot.text})
            elif choice == UPDATE and slot.nearest is not None:
                operations.append({"op": "UPDATE", "id": slot.nearest.id, "content": slot.text})
        return json.dumps(operations or [{"op": "SKIP"}])

    def look(self) -> np.ndarray:
        """The observation now, for instance after a restore: float32, see the class."""
        self._current()
        return self._features(self._core.episode.step)

    def _current(self) -> list[_Slot]:
        """The slots of the chunk at hand; worked out anew when the episode has moved, by a step or by a restore."""
        if self._seen != self._core.digest():
            seen = self._core.episode.observe()
            items = {item.id: item for item in seen.memory}
            self._retriever.follow(_changes(self._known, items))
            self._known, self._seen = items, self._core.digest()
            self._slots = [self._slot(text) for text in _pieces(sentences(seen.chunk), self._shape[0])]
        return self._slots

    def _slot(self, text: str) -> _Slot:
        found = self._retriever.top_k(text, 1)
        if not found:
            return _Slot(text, None, 0.0)
        item = found[0][1]
        here, there = set(search_tokens(text)), set(search_tokens(item.content))
        return _Slot(text, item, len(here & there) / max(1, len(here | there)))

    def _features(self, step: int) -> np.ndarray:
        slots, size = self._shape
        episode = self._core.episode
        rows = np.zeros((slots, size + EXTRAS), np.float32)
        for row, slot in zip(rows, self._slots, strict=False):
            age = (step - slot.nearest.step) / episode.T if slot.nearest is not None else 0.0
            row[:size] = hash_words(slot.text, size)
            row[size:] = 1.0, min(1.0, len(slot.text) / 200), slot.similarity, age
        tokens, budget = episode.bank.tokens, episode.settings.limits.max_tokens
        told = sum(done.chunk_tokens for done in episode.steps)
        whole = step / episode.T, tokens / (budget or 10_000), len(episode.bank) / 200, tokens / max(1, told)
        return np.concatenate([rows.ravel(), np.clip(whole, 0.0, 1.0)]).astype(np.float32)


def _pieces(parts: list[str], count: int) -> list[str]:
    """At most ``count`` texts: the parts themselves, or neighbours joined so that none is lost."""
    if len(parts) <= count:
        return parts
    cuts = [i * len(parts) // count for i in range(count + 1)]
    return [" ".join(parts[a:b]) for a, b in pairwise(cuts)]


def _changes(before: dict[str, MemoryItem], after: dict[str, MemoryItem]) -> Iterable[Change]:
    for item_id, item in before.items():
        if item_id not in after:
            yield Change(item, None)
    for item_id, item in after.items():
        if before.get(item_id) is not item:
            yield Change(before.get(item_id), item)
