"""Episodes of `trainers.trl_adapter` in lock-step.

* `Written` - what the model wrote at a step.
* `Episode` - what training reads of one.
* `in_lock_step` - plays them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from agents.base import View
from memenvs.together import read_together
from trainers.tokens.rows import TokenRow


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote at a step."""

    prompt: tuple[int, ...]
    """Token ids."""
    completion: tuple[int, ...]
    """Token ids."""
    message: str
    """The completion as text, without thoughts."""


@dataclass(slots=True)
class Episode:
    """What training reads of an episode."""

    info: dict[str, Any]
    """The last one."""
    rows: list[TokenRow] = field(default_factory=list)
    """(T,)."""
    states: list[str] = field(default_factory=list)
    """(T,) digest before each step."""


def in_lock_step(
    envs: Sequence[gym.Env[Any, Any]],
    starts: Sequence[tuple[Any, dict[str, Any]]],
    write: Callable[[Sequence[View], int], Sequence[Written]],
    most: Callable[[int], int],
) -> list[Episode]:
    """Play episodes to their ends; what a step asks of environments that share a reader goes out with one call of it.

    Args:
        envs: of this process, just reset.
        starts: what the resets gave.
        write: a message for each view; with the number that ``most`` gave.
        most: how many prompts are generated for, given how many episodes go on here; 0 when it is over. It may be more than here.

    Returns:
        One per environment.
    """
    views = [View.of(*start) for start in starts]
    episodes = [Episode(dict(info)) for _, info in starts]
    active = list(range(len(envs)))
    while count := most(len(active)):
        written = write([views[i] for i in active], count)
        for i, one in zip(active, written, strict=True):
            rows = episodes[i].rows
            rows.append(TokenRow(one.prompt, one.completion, step=len(rows)))
            episodes[i].states.append(envs[i].unwrapped.digest())  # type: ignore[attr-defined]
        read_together([envs[i] for i in active], [one.message for one in written])
        going = []
        for i, one in zip(active, written, strict=True):
            observation, _, done, _, episodes[i].info = envs[i].step(one.message)
            views[i] = View.of(observation, episodes[i].info)
            if not done:
                going.append(i)
        active = going
    return episodes
