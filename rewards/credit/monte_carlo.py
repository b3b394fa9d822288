"""Monte-Carlo values from snapshots: play on from every memory of an episode with a policy, and see what comes out.

* `Policy` - what plays on.
* `continuation_values` - V(M_t) for every t, from K continuations each.
* `monte_carlo_advantages` - Q(M_{t-1}, P_t) - V(M_{t-1}), the advantage that an optimiser wants to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memenvs.episode import Observation
from memenvs.errors import SettingsError, whole
from memenvs.memory import MemoryBank, parse_operations
from rewards.credit.replay import StepGame, settings_of

Policy = Callable[[Sequence[Observation], Sequence[np.random.Generator]], Sequence[str]]
"""Decides for several episodes at once, from nothing else: what each sees and one generator each in, one message each out."""


class Continuations(NamedTuple):
    """Values of the memories of one episode under a policy."""

    means: NDArray[np.float64]
    """(T + 1,): V(M_t) before each step, and the score of the final memory itself."""
    errors: NDArray[np.float64]
    """(T + 1,): standard errors; 0 for the last, NaN where K = 1."""


def continuation_values(game: StepGame, policy: Policy, continuations: int = 8, seed: int = 0) -> Continuations:
    """V(M_t): mean r_global of K episodes that play on from the memory before step t.

    All continuations move in lock-step, so that the policy decides for up to K T of them at once. Chunk questions are not read.

    Args:
        game: the step game of a finished episode; its reader answers.
        policy: plays on.
        continuations: K per memory.
        seed: decides the policy's draws: one generator per (seed, t, k).

    Raises:
        SettingsError: ``continuations`` below 1, or the policy gave another number of messages than it was asked for.
        ReaderError: the reader failed.

    Source: VinePPO, arXiv 2410.01679 (McGill-NLP/VinePPO@efe7228, K = 9).
    """
    continuations = whole("continuations", continuations, 1)
    record = game.record
    T, dialect = record.T, settings_of(record).dialect
    banks: list[MemoryBank] = []
    rngs: list[np.random.Generator] = []
    for t in range(T):
        for k in range(continuations):
            banks.append(game.replay.bank(range(t)))
            rngs.append(np.random.default_rng([seed, t, k]))
        step = record.steps[t]
        seen = [Observation(t, step.chunk, step.timestamp, bank.items, T) for bank in banks]
        messages = policy(seen, rngs)
        if len(messages) != len(banks):
            raise SettingsError(f"the policy gave {len(messages)} messages for {len(banks)} observations")
        for bank, message in zip(banks, messages, strict=True):
            bank.apply(parse_operations(message, dialect, step.chunk).operations)
    values = np.array([game.examiner.value(bank.items) for bank in banks]).reshape(T, continuations)
    final = game.value(range(T))
    errors = np.full(T, np.nan)
    if continuations > 1:
        errors = values.std(axis=1, ddof=1) / np.sqrt(continuations)
    return Continuations(np.append(values.mean(axis=1), final), np.append(errors, 0.0))


def monte_carlo_advantages(values: Continuations) -> NDArray[np.float64]:
    """A_t = V(M_t) - V(M_{t-1}), (T,): the transition is deterministic, so Q(M_{t-1}, P_t) is the value of the memory it leads to.

    Reward comes at the end alone, so no reward of the step itself is added. The sum is v(M_T) - V(M_0).

    Source: VinePPO, arXiv 2410.01679, equation for A_MC; V = [.5, .75, .25, 1] gives [.25, -.5, .75].
    """
    return np.diff(values.means)
