"""Mem-alpha's reward as a wrapper; its arithmetic is in `rewards.memalpha`, its content term in `rewards.memalpha_content`."""

from __future__ import annotations

import math
from typing import ClassVar

from memenvs.by_name import import_by_name
from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord, StepRecord
from rewards import terms
from rewards.memalpha_content import ContentJudge, content
from rewards.terms import Terms
from rewards.wrapper import RewardWrapper
from rewards.wrappers import Env


class MemAlphaReward(RewardWrapper):
    """R_t = r_global + beta r_comp + r_fmt(t) + gamma r_content(t), the outcome whole at every step.

    Args:
        env: a memenvs environment; Mem-alpha's own has ``memory="memalpha"``, ``dialect="memalpha"``, ``profile="memalpha-train"``.
        beta: weight of the compression; 0.05 in the published main runs.
        gamma: weight of the content; 0.1 in the published main runs. Without a judge it must be 0.
        threshold: if given, r_global counts as 1 from here on and as 0 below.
        judge: `ContentJudge`, or the name of one as ``"module:function"`` (only that survives in the environment's spec).

    Raises:
        SettingsError: gamma without a judge or a judge without gamma, or the judge cannot be imported.

    Source: see `rewards.memalpha`. r_fmt is the share of valid operations; a message without any earns 0.

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(
        self,
        env: Env,
        beta: float = 0.05,
        gamma: float = 0.0,
        threshold: float | None = None,
        judge: ContentJudge | str | None = None,
    ) -> None:
        if gamma and judge is None:
            raise SettingsError(f"gamma={gamma} weighs the content, which needs a judge; give judge=... or gamma=0")
        if judge is not None and not gamma:
            raise SettingsError("a content judge with gamma=0 would be asked for nothing; give gamma, 0.1 in Mem-alpha")
        super().__init__(env, beta=beta, gamma=gamma, threshold=threshold, judge=judge)
        self.beta, self.gamma, self.threshold = beta, gamma, threshold
        self.judge: ContentJudge | None = (
            import_by_name(judge, "the content judge", "a function, see ContentJudge")
            if isinstance(judge, str)
            else judge
        )

    def names(self) -> tuple[str, ...]:
        """The terms of weight other than 0."""
        return tuple(self.weights_of_terms())

    def weights_of_terms(self) -> dict[str, float]:
        """Outcome and format count 1, the others their weights."""
        weights = {"outcome": 1.0, "compression": self.beta, "format": 1.0, "content": self.gamma}
        return {name: weight for name, weight in weights.items() if weight}

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"outcome": ..., "compression": ..., "format": ..., "content": ...}``; terms of weight 0 are left out."""
        accuracy = record.r_global
        if self.threshold is not None and not math.isnan(accuracy):  # a failed reading is no accuracy of 0
            accuracy = float(accuracy >= self.threshold)
        named = {"outcome": (accuracy,) * record.T, "format": terms.fmt(record)}
        if self.beta:
            named["compression"] = tuple(self.beta * value for value in terms.compression(record))
        if self.judge is not None:
            named["content"] = tuple(self.gamma * value for value in content(record, self.judge))
        return named

    def known(self, step: StepRecord) -> float:
        """The format."""
        return terms.fmt_step(step)
