"""The judge of a training run: made from its settings, and what it says about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from memenvs.by_name import import_by_name
from memenvs.errors import ScorerError, SettingsError
from memenvs.record import EpisodeRecord
from rewards import RewardWrapper
from rewards.credit import ESTIMATORS, CreditReward
from trainers.slots.choices import resolve
from trainers.slots.collapse import Collapse, summary
from trainers.slots.consensus import ConsensusJudge
from trainers.slots.judging import Judge, rejudge

_ASKS = {
    "model": ("ask", "list of prompts -> as many replies"),
    "copeland": ("compare", '(question, first, second) -> "1" or "2"'),
    "self_prm": (None, "(question, answer) -> the model's own score of its answer"),
}
"""Judges that ask somebody: under which name they take the callable, and what it is."""


class Rejudging:
    """Scores the records of a stream's rollouts with a judge.

    Args:
        name: of the judge slot.
        asked: callable as ``module:name``, for the judges that ask somebody.

    Raises:
        SettingsError: the judge needs a callable and there is none, or it cannot be imported.
    """

    def __init__(self, name: str, asked: str | None = None) -> None:
        self._own: Callable[[str, str], float] | None = None
        arguments: dict[str, Any] = {}
        if name in _ASKS:
            argument, what = _ASKS[name]
            found = _imported(name, asked, what)
            if argument is None:
                self._own = found
            else:
                arguments[argument] = found
        self.judge: Judge = resolve("judge", name)(**arguments)

    def __call__(self, records: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
        """See `trainers.rollout.Rejudge`."""
        if self._own is None:
            return rejudge(records, self.judge)
        scores = [[self._self_score(q.question, q.prediction) for q in record.questions] for record in records]
        return rejudge(records, self.judge, self_scores=scores)

    def _self_score(self, question: str, prediction: str | None) -> float:
        assert self._own is not None
        if prediction is None:
            return float("nan")
        try:
            return float(self._own(question, prediction))
        except Exception as error:
            raise ScorerError(f"the model's own score of {prediction!r} to {question!r} failed: {error}") from error

    def note(self, seen: Sequence[Collapse]) -> None:
        """Add what `take_seen` gave in another process."""
        if isinstance(self.judge, ConsensusJudge):
            self.judge.seen.extend(seen)

    def take_seen(self) -> tuple[Collapse, ...]:
        """What is to be logged since the last time, for another process that logs it."""
        if not isinstance(self.judge, ConsensusJudge):
            return ()
        seen = tuple(self.judge.seen)
        self.judge.seen.clear()
        return seen

    def metrics(self) -> dict[str, float]:
        """What is to be logged since the last time: how far the answers collapse, for a judge that pays agreement."""
        if not isinstance(self.judge, ConsensusJudge) or not self.judge.seen:
            return {}
        said = summary(self.judge.seen)
        self.judge.seen.clear()
        return {f"judge/{name}": float(value) for name, value in said.items() if np.isfinite(value)}


def check_judged(env: gym.Env[Any, Any], reward: str, judge: str) -> None:
    """Refuse a reward that would be paid as if there were no judge.

    Args:
        env: a training environment with its reward.
        reward: name of the reward.
        judge: name of the judge.

    Raises:
        SettingsError: the reward comes from an estimator whose counterfactual answers nobody judges, or from a wrapper that cannot
            be worked out from judged records.
    """
    if reward != "raw" and not isinstance(env, RewardWrapper):
        raise SettingsError(
            f"the judge {judge!r} scores finished records, and {type(env).__name__} pays without one: make it a "
            "rewards.RewardWrapper, whose terms are worked out from a record, or leave the judge out"
        )
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        if isinstance(layer, CreditReward) and "reader" in layer.estimator.needs:
            known = [name for name, estimator in ESTIMATORS.items() if "reader" not in estimator.needs]
            raise SettingsError(
                f"the judge {judge!r} does not see the counterfactual answers behind credit:{layer.estimator.name}, which would be "
                f"paid by the metric's scores; take one of {', '.join(known)}, or leave the judge out"
            )
        layer = layer.env


def rejudging(name: str, asked: str | None = None) -> Rejudging | None:
    """The judge of a run; None for "scorer", whose scores the episodes have already.

    Args:
        name: of the judge slot.
        asked: see `Rejudging`.

    Raises:
        SettingsError: see `Rejudging`, or a callable for a judge that asks nobody.
    """
    if asked is not None and name not in _ASKS:
        raise SettingsError(
            f"the judge {name!r} asks nobody, so judge_model={asked!r} would not be used; leave it out, or take one of "
            + ", ".join(_ASKS)
        )
    return None if name == "scorer" else Rejudging(name, asked)


def _imported(name: str, asked: str | None, what: str) -> Callable[..., Any]:
    if asked is None:
        raise SettingsError(
            f"the judge {name!r} asks a model of yours: give judge_model as module:name, a callable {what}"
        )
    return import_by_name(asked, "judge_model", f"a callable {what}")
