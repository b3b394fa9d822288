"""What came out of training with every kind of credit: tables, files and figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from trainers.comparison import plain
from trainers.provenance import facts
from trainers.reward_bench.cells import MIXED_ENV
from trainers.reward_bench.figure import study_figure
from trainers.reward_bench.methods import Method
from trainers.reward_bench.prediction import Draws, Prediction, predict
from trainers.reward_bench.report import write_csv
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import Row
from trainers.reward_bench.table import fitting_table, interval
from trainers.settings import TrainSettings

FINAL, CURVE = "held-out r_global", "mean of curve"
"""What is learned: the score after training, and the mean score along the way, which says how soon."""
HALF = "advantage, half trained"
"""Advantage fidelity under the half-trained policy."""

Predictions = Mapping[str, Mapping[str, Prediction]]
"""What is learned -> measure -> how well the measure predicts it."""


def report(
    settings: BenchSettings,
    methods: Sequence[Method],
    rows: Sequence[Row],
    found: Mapping[str, Draws],
    outcomes: Mapping[str, Draws],
    training: TrainSettings,
) -> None:
    """Print the tables; write study.json, study.csv, predictions.csv and study.png.

    The names of the files of a study with compression say so: it may share the folder of one without.

    Args:
        settings: of the study.
        methods: that were trained.
        rows: one per method, the best learner first.
        found: each fidelity of the methods.
        outcomes: what was learned with the methods; `FINAL` and others.
        training: settings of one of the runs.
    """
    console = Console(width=None if sys.stdout.isatty() else 200)
    title = (
        f"trained with each credit: {settings.train_seeds} seeds, {rows[0]['episodes']:.0f} episodes, T = {settings.T}, "
        f"{settings.train_streams} held-out streams, credit times T beside format"
        + (f" and {settings.train_compression:g} compression" if settings.train_compression else "")
    )
    console.print(learned_table(rows, title, console.width))
    predictions = predict_all(methods, found, outcomes, settings.seed)
    for who, one in predictions.items():
        console.print(prediction_table(one, f"what predicts what is learned, over {who}"))
    end = f"-compression-{settings.train_compression:g}" if settings.train_compression else ""
    env = settings.environment("builtin", MIXED_ENV, settings.k).make("test", evaluation=True)
    as_json = {
        who: {what: {name: told._asdict() for name, told in by_measure.items()} for what, by_measure in one.items()}
        for who, one in predictions.items()
    }
    whole = facts(env, settings=settings.to_json(), training=training.to_json(), predictions=as_json, rows=list(rows))
    text = json.dumps(plain(whole), indent=1, allow_nan=False)
    (settings.out / f"study{end}.json").write_text(text, encoding="utf-8")
    write_csv([plain(row) for row in rows], settings.out / f"study{end}.csv")
    write_csv([plain(line) for line in prediction_lines(predictions)], settings.out / f"predictions{end}.csv")
    names = [method.name for method in methods]
    panels = {
        name: dict(zip(names, found[name].value.tolist(), strict=True))
        for name in ("spearman", "linear_datamodelling", "advantage", HALF)
        if name in found
    }
    final = dict(zip(names, outcomes[FINAL].value.tolist(), strict=True))
    kinds: dict[str, str] = {method.name: method.kind for method in methods}
    first = next(iter(predictions.values()))[FINAL]
    study_figure(panels, final, kinds, first, settings.out / f"study{end}.png", title)
    console.print(
        f"written to {settings.out}: study{end}.json, study{end}.csv, predictions{end}.csv, study{end}.png, runs/"
    )


def predict_all(
    methods: Sequence[Method], found: Mapping[str, Draws], outcomes: Mapping[str, Draws], seed: int
) -> dict[str, Predictions]:
    """How well every measure predicts what is learned: over all methods and, where there are wrappers too, over estimators alone.

    Wrappers are rewards of several terms, so they differ from each other and from estimators in more than the credit.

    Returns:
        Who is compared ("17 kinds of credit", "14 estimators") -> predictions.
    """
    sets = {f"{len(methods)} kinds of credit": np.arange(len(methods))}
    estimators = np.flatnonzero([method.kind == "estimator" for method in methods])
    if 2 <= len(estimators) < len(methods):
        sets[f"{len(estimators)} estimators"] = estimators
    return {
        who: {
            what: {name: predict(_of(draws, members), _of(outcome, members), seed) for name, draws in found.items()}
            for what, outcome in outcomes.items()
        }
        for who, members in sets.items()
    }


def _of(draws: Draws, members: Any) -> Draws:
    return Draws(draws.value[members], draws.resampled[:, members])


def prediction_lines(predictions: Mapping[str, Predictions]) -> list[Row]:
    """One line per prediction, for a CSV."""
    return [
        {"over": who, "learned": what, "measure": name} | found._asdict()
        for who, one in predictions.items()
        for what, by_measure in one.items()
        for name, found in by_measure.items()
    ]


def learned_table(rows: Sequence[Row], title: str, width: int) -> Table:
    """What was learned with each credit, what it cost, and what its fidelity was; as far as a terminal has place."""
    more = [f" + {row['predictor_episodes']}" if row["predictor_episodes"] else "" for row in rows]
    columns = {
        "credit": [row["method"] for row in rows],
        FINAL: [f"{row['r_global']:.3f} [{row['r_global_low']:.3f}, {row['r_global_high']:.3f}]" for row in rows],
        CURVE: [f"{row['curve']:.3f}" for row in rows],
        "episodes": [f"{row['episodes']:.0f}{text}" for row, text in zip(rows, more, strict=True)],
        "own readings": [f"{row['own_readings']:.0f}" for row in rows],
        "credit reader calls": [f"{row['credit_calls']:.0f}" for row in rows],
        "CPU s": [f"{row['seconds']:.0f}" for row in rows],
    }
    fidelities = {"Spearman": "spearman", "advantage": "advantage", HALF: HALF}
    columns |= {heading: [interval(row, name) for row in rows] for heading, name in fidelities.items()}
    return fitting_table(title, columns, width)


def prediction_table(predictions: Mapping[str, Mapping[str, Prediction]], title: str) -> Table:
    """Each measure's rank correlation over methods with what was learned, the best first."""
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    for what in predictions:
        table.add_column(f"Spearman with {what}", justify="right")
        table.add_column("p", justify="right")
    for name in sorted(predictions[FINAL], key=lambda name: -predictions[FINAL][name].spearman):
        found = [one[name] for one in predictions.values()]
        cells = [(f"{one.spearman:.2f} [{one.low:.2f}, {one.high:.2f}]", f"{one.p:.3f}") for one in found]
        table.add_row(name, *(cell for pair in cells for cell in pair))
    return table
