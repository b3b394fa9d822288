"""Attribution fidelity: the credit of single episodes against their exact Shapley values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memenvs.reading import make_reader
from rewards.credit import StepGame, exact_shapley, permutation_shapley
from rewards.credit.fidelity import fidelity, linear_datamodelling_score
from trainers.comparison import plain
from trainers.reward_bench.cells import Cell
from trainers.reward_bench.episodes import play_cell
from trainers.reward_bench.methods import Measured, Method, measure
from trainers.reward_bench.settings import BenchSettings

METRICS = (
    "spearman", "kendall_b", "top1", "negative_recall", "normalised_l1", "linear_datamodelling", "efficiency_gap",
)  # fmt: skip
"""Numbers of one episode and method; see `rewards.credit.fidelity`."""
SWEPT = ("evidence", "evidence-cited")
"""Estimators that look at what was retrieved."""
CONSTANT = 1e-9
"""True credit that differs by no more than this ranks nothing."""


def shapley(settings: BenchSettings, game: StepGame) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """The true credit of each step, (T,), and its standard errors where it had to be sampled."""
    players = list(game.players)
    phi, errors = np.zeros(game.T), None
    if len(players) <= settings.exact_steps:
        phi[players] = exact_shapley(game.value, players)
    else:
        found = permutation_shapley(game.value, players, settings.permutations, settings.seed)
        errors = np.zeros(game.T)
        phi[players], errors[players] = found.values, found.errors
    return phi, errors


def attribution(settings: BenchSettings, methods: Sequence[Method], predictor: Any, cell: Cell) -> dict[str, Any]:
    """The result of one episode, as plain data.

    Returns:
        ``failure`` alone where the episode's reader failed. Else what the episode was like, its true credit, and under ``methods``
        for each method its credit, cost and metrics, or why it has none.
    """
    played = play_cell(settings, cell)
    record = played.record
    if record.failure is not None:
        return {"failure": record.failure}
    game = StepGame(record, make_reader(played.env.reader))
    phi, errors = shapley(settings, game)
    result: dict[str, Any] = {
        "stream_id": record.stream_id,
        "r_global": record.r_global,
        "shapley": phi.tolist(),
        "shapley_error": None if errors is None else float(np.sqrt(np.mean(errors**2))),
        "truth_calls": game.calls,
        "flat": bool(np.ptp(phi) < CONSTANT),
        "methods": {},
    }
    for number, method in enumerate(methods):
        if cell.kind == "sweep" and method.name not in SWEPT:
            continue
        found = measure(method, played, predictor, (settings.seed, cell.stream, number, 1))
        entry = as_json(found)
        if found.credit is not None:
            entry |= fidelity(found.credit, phi)._asdict()
            entry["linear_datamodelling"] = linear_datamodelling_score(
                found.credit, game, settings.subsets, settings.seed
            )
        result["methods"][method.name] = entry
    return plain(result)


def as_json(found: Measured) -> dict[str, Any]:
    """What a method said, as plain data; without a reason where there is none."""
    entry: dict[str, Any] = {"calls": found.calls, "seconds": found.seconds}
    if found.credit is None:
        return entry | {"reason": found.reason}
    assert all(map(math.isfinite, found.credit))
    return entry | {"credit": list(found.credit)}
