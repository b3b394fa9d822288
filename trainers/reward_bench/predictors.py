"""Learned predictors of the return, fitted on training-split episodes before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from memenvs.errors import MemenvsError
from rewards.credit.redistribution import ReturnPredictor
from rewards.credit.registry import ESTIMATORS
from trainers.reward_bench.cells import BEHAVIOURS, POLICY, Cell
from trainers.reward_bench.episodes import opened, play, player
from trainers.reward_bench.methods import Method
from trainers.reward_bench.settings import BenchSettings


class Fitted(NamedTuple):
    """A predictor and what it was fitted on."""

    predictor: ReturnPredictor
    episodes: int
    """Of the training split, played by the same behaviours on streams of the same source."""


Kind = tuple[str, bool]
"""Source of the streams, and whether a trained policy played."""


def kind_of(cell: Cell) -> Kind:
    """Which predictor serves a cell."""
    return cell.data, cell.behaviour == POLICY


def fit_all(settings: BenchSettings, methods: Sequence[Method], cells: Sequence[Cell]) -> dict[Kind, Fitted]:
    """A predictor for each kind of cell, where a method needs one. A source without a training split gets none."""
    if not any(map(needs_predictor, methods)):
        return {}
    found: dict[Kind, Fitted] = {}
    for kind in dict.fromkeys(map(kind_of, cells)):
        fitted = _fit(settings, [cell for cell in cells if kind_of(cell) == kind], 0 if kind[1] else 1)
        if fitted is not None:
            found[kind] = fitted
    return found


def needs_predictor(method: Method) -> bool:
    """Whether a method is an estimator with a learned predictor."""
    return method.kind == "estimator" and "predictor" in ESTIMATORS[method.name].needs


def _fit(settings: BenchSettings, cells: Sequence[Cell], first: int) -> Fitted | None:
    """Fit on every family and behaviour of the cells in turn."""
    env_ids = list(dict.fromkeys(cell.env_id for cell in cells))
    behaviours = [b for b in (*BEHAVIOURS, POLICY) if any(cell.behaviour == b for cell in cells)]
    kinds = [(env_id, behaviour) for env_id in env_ids for behaviour in behaviours]
    data = cells[0].data
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
        records.append(play(env, policy, stream, (settings.seed, number, first, 7), split="train").record)
    return Fitted(ReturnPredictor.fit(records), len(records))
