"""Advantage fidelity: credit normalised over a group of rollouts against Monte-Carlo advantages under the policy that played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memenvs.reading import make_reader
from rewards.credit import StepGame, continuation_values, monte_carlo_advantages
from trainers.comparison import plain
from trainers.reward_bench.cells import Cell
from trainers.reward_bench.episodes import play_cell
from trainers.reward_bench.methods import Method, measure
from trainers.reward_bench.settings import BenchSettings


def advantage(settings: BenchSettings, methods: Sequence[Method], predictor: Any, cell: Cell) -> dict[str, Any]:
    """The result of one group, as plain data.

    Returns:
        ``failure`` alone where a rollout's reader failed. Else ``r_global`` (G floats), ``halves`` (the true advantages, (G, T),
        from two disjoint halves of the continuations; their agreement tells the noise of the truth), and under ``methods`` for
        each method its credit, (G, T), and total cost, or why it has none.
    """
    group = [play_cell(settings, cell, rollout) for rollout in range(settings.group_size)]
    failures = [played.record.failure for played in group if played.record.failure is not None]
    if failures:
        return {"failure": failures[0]}
    halves = []
    # One reader for the whole truth: continuations of a group meet the same memories again and again.
    reader = make_reader(group[0].env.reader)
    games = [StepGame(played.record, reader) for played in group]
    for half in range(2):
        # Equal seeds over the rollouts: their continuations share luck, which centring over the group takes out.
        seed = int(np.random.default_rng([settings.seed, cell.stream, half]).integers(2**31))
        values = [
            continuation_values(game, played.policy, settings.continuations // 2, seed)
            for played, game in zip(group, games, strict=True)
        ]
        halves.append([monte_carlo_advantages(value).tolist() for value in values])
    found: dict[str, Any] = {}
    for number, method in enumerate(methods):
        measured = [
            measure(method, played, predictor, (settings.seed, cell.stream, number, 2), g)
            for g, played in enumerate(group)
        ]
        entry: dict[str, Any] = {
            "calls": sum(one.calls for one in measured),
            "seconds": sum(one.seconds for one in measured),
        }
        reasons = [one.reason for one in measured if one.reason is not None]
        entry |= {"reason": reasons[0]} if reasons else {"credit": [list(one.credit or ()) for one in measured]}
        found[method.name] = entry
    return plain({"r_global": [played.record.r_global for played in group], "halves": halves, "methods": found})
