"""Learned predictors of the return, fitted on training-split episodes before anything is measured.

There is one for each source of streams, whoever plays what is measured: training uses
the same one, and knows no policy yet when it is fitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from memenvs.errors import MemenvsError
from rewards.credit.redistribution import ReturnPredictor
from rewards.credit.registry import ESTIMATORS
from trainers.reward_bench.cells import BEHAVIOURS, MIXED_ENV, families
from trainers.reward_bench.episodes import opened, play, player
from trainers.reward_bench.methods import Method
from trainers.reward_bench.settings import BenchSettings


class Fitted(NamedTuple):
    """A predictor and what it was fitted on."""

    predictor: ReturnPredictor
    episodes: int
    """Of the training split, played by all behaviours on streams of the same source and, if that is builtin, of every family."""


def fit_all(settings: BenchSettings, methods: Sequence[Method], sources: Iterable[str]) -> dict[str, Fitted]:
    """A predictor for each source of streams, where a method needs one. A source without a training split gets none."""
    if not any(map(needs_predictor, methods)):
        return {}
    fitted = {data: _fit(settings, data) for data in dict.fromkeys(sources)}
    return {data: one for data, one in fitted.items() if one is not None}


def needs_predictor(method: Method) -> bool:
    """Whether a method is an estimator with a learned predictor."""
    return method.kind == "estimator" and "predictor" in ESTIMATORS[method.name].needs


def _fit(settings: BenchSettings, data: str) -> Fitted | None:
    """Fit on every family and behaviour in turn."""
    env_ids = families() if data == "builtin" else [MIXED_ENV]
    kinds = [(env_id, behaviour) for env_id in env_ids for behaviour in BEHAVIOURS]
    records: list[Any] = []
    for number in range(settings.predictor_episodes):
        env_id, behaviour = kinds[number % len(kinds)]
        env = settings.environment(data, env_id, settings.k)
        try:
            total = len(opened(env, "train"))
        except MemenvsError:
            return None
        if data != "builtin":
            if opened(env, "train").fingerprint == opened(env, "test").fingerprint:
                return None  # one file, which is the test split itself
            if number >= total * len(kinds):
                break
        policy = player(settings, behaviour, env)
        stream = number if data == "builtin" else number // len(kinds)
        records.append(play(env, policy, stream, (settings.seed, number, 1, 7), split="train").record)
    return Fitted(ReturnPredictor.fit(records), len(records))
