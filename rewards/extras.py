"""Outcome rewards with a condition: pure functions over an episode record, and the wrappers that pay them.

* `budget`, `BudgetReward` - the outcome counts only if the memory is small enough.
* `with_memory`, `WithMemoryReward` - a question's score counts only if something was retrieved for it.

Both take the place of the outcome, as `rewards.terms.outcome` does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from rewards import terms
from rewards.terms import Terms
from rewards.wrapper import RewardWrapper
from rewards.wrappers import Env, OutcomeReward


def budget(
    record: EpisodeRecord, average: float, effort: float = 0.5, spread: str = "last", scale: str = "sum"
) -> Terms:
    """Budget-conditioned outcome: r_global if L(M_T) / average < effort, else 0.

    Args:
        record: a finished episode.
        average: tokens that a memory has without a budget, for instance the mean over an untrained policy's episodes.
        effort: r; at 1 or more there is no constraint.
        spread, scale: see `rewards.terms.outcome`.

    Returns:
        T floats; NaN where the outcome is, however large the memory.

    Raises:
        SettingsError: an unknown choice, or an average or effort that is not above 0.

    Source: e1 (adaptive effort control), arXiv 2510.27042: correct * 1[length / average < r]; what it does at r = 1 is not known.
    """
    check_budget(average, effort)
    paid = effort >= 1 or record.memory_tokens / average < effort
    return tuple(paid * value for value in terms.outcome(record, spread, scale))


def check_budget(average: float, effort: float) -> None:
    """Refuse numbers that `budget` cannot work with, with SettingsError."""
    for name, value in (("average", average), ("effort", effort)):
        if not (math.isfinite(value) and value > 0):
            raise SettingsError(f"{name} must be a finite number above 0, got {value!r}")


def with_memory(record: EpisodeRecord, spread: str = "last", scale: str = "sum") -> Terms:
    """Outcome without what the reader knew by itself: (1/n) sum_j s_j 1[|M_j| > 0].

    A score that was reached with nothing retrieved is no work of the memory's, and pays nothing.

    Args:
        record: a finished episode.
        spread, scale: see `rewards.terms.outcome`.

    Returns:
        T floats; NaN if a question failed.

    Raises:
        SettingsError: an unknown choice.

    Source: RLAD (ICLR 2026): the solver's reward is 0 without an abstraction; here the abstraction is what was retrieved.
    """
    earned = tuple(
        replace(question, score=0.0) if not question.retrieved and question.score is not None else question
        for question in record.questions
    )
    return terms.outcome(replace(record, questions=earned), spread, scale)


class BudgetReward(RewardWrapper):
    """r_global if the final memory stays under a share of the usual size, else 0.

    The agent is not told its effort: make one environment per effort, and let the policy's prompt say it.

    Args:
        env: a memenvs environment.
        average, effort, spread, scale: see `budget`.

    Raises:
        SettingsError: see `budget`.

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(
        self, env: Env, average: float, effort: float = 0.5, spread: str = "uniform", scale: str = "sum"
    ) -> None:
        check_budget(average, effort)
        terms.check_choice("spread", spread, terms.SPREADS)
        terms.check_choice("scale", scale, terms.SCALES)
        super().__init__(env, average=average, effort=effort, spread=spread, scale=scale)
        self.average, self.effort, self.spread, self.scale = average, effort, spread, scale

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("budget",)

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"budget": ...}``."""
        return {"budget": budget(record, self.average, self.effort, self.spread, self.scale)}


class WithMemoryReward(OutcomeReward):
    """r_global without the questions for which nothing was retrieved.

    Args:
        env: a memenvs environment.
        spread, scale: see `with_memory`.

    Raises:
        SettingsError: an unknown choice.

    Change log:
        * v0.1.0 - added
    """

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("with_memory",)

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"with_memory": ...}``."""
        return {"with_memory": with_memory(record, self.spread, self.scale)}
