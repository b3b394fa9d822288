"""MemoryVectorEnv: many episodes in lock-step in one process, with one call of the reader per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from memenvs.env import MemoryEnv
from memenvs.errors import SettingsError
from memenvs.together import read_together


class MemoryVectorEnv(SyncVectorEnv):
    """`gymnasium.vector.SyncVectorEnv` over `MemoryEnv`, value for value, except that all questions of a step are read together.

    A reader behind an endpoint or on a GPU then sees one batch a step instead of ``num_envs`` small ones. Data set and reader
    are shared. It is not the ``vector_entry_point`` of an id, because `gymnasium.make_vec` then refuses wrappers.

    Args:
        num_envs: number of episodes side by side.
        wrappers: applied to each environment, innermost first: reward wrappers and whatever else leaves messages as they are.
        autoreset_mode: as in `SyncVectorEnv`; a trainer that counts episodes wants ``"Disabled"`` and ``reset_mask``.
        kwargs: arguments of `MemoryEnv`.

    Raises:
        SettingsError: ``num_envs`` is below 1.

    Example:
        >>> envs = MemoryVectorEnv(8, chunk_questions=0)
        >>> observations, infos = envs.reset(seed=[7] * 8)
        >>> _, rewards, *_ = envs.step(['[{"op": "SKIP"}]'] * 8)
    """

    def __init__(
        self,
        num_envs: int,
        wrappers: Sequence[Callable[[gym.Env], gym.Env]] = (),
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise SettingsError(f"num_envs must be at least 1, got {num_envs}")
        first = MemoryEnv(**kwargs)
        self.reader = first.reader
        opened = {"data": first.dataset, "families": None, "data_settings": None, "reader": first.reader}
        shared = kwargs | opened

        def make() -> gym.Env:
            env: gym.Env = MemoryEnv(**shared)
            for wrapper in wrappers:
                env = wrapper(env)
            return env

        super().__init__([make] * num_envs, autoreset_mode=autoreset_mode)

    def step(self, actions: Any) -> Any:
        """One step of every episode; see `SyncVectorEnv.step`.

        Args:
            actions: ``num_envs`` messages; the one of an episode about to be reset is ignored.

        Raises:
            EpisodeError: called before `reset`.
        """
        actions = list(actions)  # an array of texts gives new objects each time it is read
        running = [
            (env, action)
            for env, action in zip(self.envs, actions, strict=True)
            if not cast(MemoryEnv, env.unwrapped).episode.done
        ]
        read_together([env for env, _ in running], [action for _, action in running])
        return super().step(actions)
