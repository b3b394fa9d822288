"""The test of the test: train with every estimator, and see which measure of credit told beforehand what is learned.

All runs see the same streams, play the same number of episodes and differ in the credit alone. Fidelity is that of
`trainers.reward_bench` with its behaviours, and advantage fidelity once more under a policy that is half trained, because that is
where an optimiser uses credit.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from memenvs.errors import SettingsError
from rewards.presets import CREDIT
from trainers.comparison import plain
from trainers.provenance import facts
from trainers.reward_bench.cells import MIXED_ENV, all_cells
from trainers.reward_bench.figure import study_figure
from trainers.reward_bench.methods import Method
from trainers.reward_bench.prediction import Draws, Prediction, learned, measures, predict
from trainers.reward_bench.predictors import fit_all, needs_predictor
from trainers.reward_bench.run import Measurement, run
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import WHOLE, Row
from trainers.reward_bench.table import fitting_table, interval
from trainers.runlog import read_curve
from trainers.runs import Run, read_result, read_scores, seconds, train_all
from trainers.settings import TrainSettings
from trainers.statistics import bootstrap

DRAWS = 2000
FINAL, CURVE = "held-out r_global", "mean of curve"
"""What is learned: the score after training, and the mean score along the way, which says how soon."""
HALF = "advantage, half trained"
"""Advantage fidelity under the half-trained policy."""
SAME = {"uniform": "trajectory"}
"""Credit that trains the same policy as another one once it is normalised over a group; it is not trained."""
REFERENCE_SEED = 1_000_003
"""Of the half-trained policy, which is none of the compared runs."""


def study(settings: BenchSettings) -> list[Row]:
    """Measure, train, compare; every step goes on where it was stopped.

    Returns:
        One row per method, the best learner first, as in study.json.

    Raises:
        SettingsError: fewer than two methods can be trained; or as `trainers.reward_bench.run.run`.
        DataError: a folder holds results of other settings.
    """
    measured = run(settings)
    methods = trainable(measured)
    names = [method.name for method in methods]
    if len(names) < 2:
        raise SettingsError(
            f"training compares at least two kinds of credit that served every episode, got {', '.join(names) or 'none'}; "
            "name more estimators or wrappers (controls are not trained)"
        )
    reference = Run("half-trained reference", _reference_settings(settings), settings.out / "half-trained" / "run")
    train_all([reference], workers=1)
    half_settings = replace(
        settings, out=settings.out / "half-trained", policy=reference.folder, episodes=0, data=(), sweep=(),
        groups=max(1, settings.groups),
    )  # fmt: skip
    half = run(half_settings)
    fitted_on = _fit_predictor(settings, methods)
    runs = {method.name: [run_of(settings, method, seed) for seed in range(settings.train_seeds)] for method in methods}
    # Seed by seed, so that a study that is stopped early has every method.
    train_all(
        [of_method[seed] for seed in range(settings.train_seeds) for of_method in runs.values()], settings.workers
    )
    rng = np.random.default_rng(settings.seed)
    found = measures(names, measured.results, DRAWS, rng)
    if "advantage" in (of_half := measures(names, half.results, DRAWS, rng)):
        found[HALF] = of_half["advantage"]
    outcomes = {
        FINAL: learned(
            [[[score.r_global for score in read_scores(one.folder)] for one in runs[name]] for name in names],
            DRAWS,
            rng,
        ),
        CURVE: learned([[[_mean_curve(one)] for one in runs[name]] for name in names], DRAWS, rng),
    }
    rows = sorted(
        (_row(method, runs[method.name], measured, half, fitted_on) for method in methods),
        key=lambda row: -row["r_global"],
    )
    predictions = {
        what: {name: predict(draws, outcome) for name, draws in found.items()} for what, outcome in outcomes.items()
    }
    final = dict(zip(names, outcomes[FINAL].value.tolist(), strict=True))
    _report(settings, rows, predictions, final, found, names)
    return rows


def _mean_curve(one: Run) -> float:
    return float(np.mean([value for _, value in read_curve(one.folder)]))


def trainable(measured: Measurement) -> list[Method]:
    """The estimators and wrappers that served every builtin episode and group, and that train differently from each other."""
    unserved = {row["method"] for row in measured.rows if row["scope"] == WHOLE and row["reason"]}
    return [
        method
        for method in measured.methods
        if method.kind != "control" and method.name not in unserved and SAME.get(method.name) not in _names(measured)
    ]


def _names(measured: Measurement) -> set[str]:
    return {method.name for method in measured.methods}


def run_of(settings: BenchSettings, method: Method, seed: int) -> Run:
    """One training run with a method's credit."""
    reward = method.name.removeprefix("wrapper ") if method.kind == "wrapper" else f"credit:{method.name}"
    slug = "".join(c if c.isalnum() else "-" for c in reward)
    if settings.train_compression and reward.startswith(CREDIT):
        slug += "-compression"
    predictor = str(_predictor_path(settings)) if needs_predictor(method) else None
    run_settings = replace(_train_settings(settings, reward, seed), predictor=predictor)
    return Run(method.name, run_settings, settings.out / "runs" / slug / f"seed{seed}")


def _train_settings(settings: BenchSettings, reward: str, seed: int) -> TrainSettings:
    return TrainSettings(
        env=settings.environment("builtin", MIXED_ENV, settings.k),
        reward=reward,
        seed=seed,
        updates=settings.train_updates,
        eval_every=max(1, settings.train_updates // 8),
        eval_streams=24,
        final_streams=settings.train_streams,
        compression=settings.train_compression if reward.startswith(CREDIT) else 0.0,
    )


def _reference_settings(settings: BenchSettings) -> TrainSettings:
    whole = _train_settings(settings, "credit:trajectory", REFERENCE_SEED)
    return replace(whole, updates=max(1, settings.train_updates // 2), final_streams=24)


def _predictor_path(settings: BenchSettings) -> Path:
    return settings.out / "predictor.json"


def _fit_predictor(settings: BenchSettings, methods: Sequence[Method]) -> int:
    """Save the predictor that training uses; the number of episodes that it took."""
    cells = [cell for cell in all_cells(replace(settings, policy=None), lambda _: 0) if cell.data == "builtin"]
    fitted = fit_all(settings, methods, cells).get(("builtin", False))
    if fitted is None:
        return 0
    fitted.predictor.save(_predictor_path(settings))
    return fitted.episodes


def own_readings(settings: TrainSettings, streams: int = 200) -> float:
    """Readings that an episode needs before any credit: its global questions and, if the reward looks at them, its chunk questions.

    Args:
        settings: of a run.
        streams: training streams that the mean is taken over.
    """
    dataset = settings.env.open("train")
    most = settings.env.chunk_questions if settings.reads_chunks else 0
    some = [dataset[i] for i in range(min(streams, len(dataset)))]
    asked = [len(s.questions) + sum(min(most, len(chunk.questions)) for chunk in s.chunks) for s in some]
    return float(np.mean(asked))


def _row(method: Method, runs: Sequence[Run], measured: Measurement, half: Measurement, fitted_on: int) -> Row:
    scores = [[score.r_global for score in read_scores(one.folder)] for one in runs]
    costs = [read_result(one.folder)["cost"] for one in runs]
    final = bootstrap(scores)
    row: Row = {
        "method": method.name,
        "r_global": final.mean,
        "r_global_low": final.low,
        "r_global_high": final.high,
        "curve": float(np.mean([_mean_curve(one) for one in runs])),
        "episodes": costs[0]["episodes"],
        "predictor_episodes": fitted_on if needs_predictor(method) else 0,
        "own_readings": costs[0]["episodes"] * own_readings(runs[0].settings),
        "credit_calls": float(np.mean([cost["credit_calls"] for cost in costs])),
        "seconds": float(np.mean([seconds(one.folder) for one in runs])),
    }
    for source, names in ((measured, ("spearman", "linear_datamodelling", "advantage")), (half, ("advantage",))):
        told = next((r for r in source.rows if r["method"] == method.name and r["scope"] == WHOLE), {})
        for name in names:
            key = HALF if source is half else name
            row |= {f"{key}{end}": told[f"{name}{end}"] for end in ("", "_low", "_high") if name in told}
    return row


def _report(
    settings: BenchSettings,
    rows: list[Row],
    predictions: Mapping[str, Mapping[str, Prediction]],
    outcome: Mapping[str, float],
    found: Mapping[str, Draws],
    names: Sequence[str],
) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    title = (
        f"trained with each credit: {settings.train_seeds} seeds, {rows[0]['episodes']:.0f} episodes, T = {settings.T}, "
        f"{settings.train_streams} held-out streams, credit times T beside format"
        + (f" and {settings.train_compression:g} compression" if settings.train_compression else "")
    )
    console.print(learned_table(rows, title, console.width))
    console.print(prediction_table(predictions, f"what predicts what is learned, over {len(rows)} kinds of credit"))
    env = settings.environment("builtin", MIXED_ENV, settings.k).make("test", evaluation=True)
    whole = facts(
        env,
        settings=settings.to_json(),
        training=_train_settings(settings, "credit:NAME", 0).to_json(),
        predictions={what: {name: found._asdict() for name, found in one.items()} for what, one in predictions.items()},
        rows=rows,
    )
    text = json.dumps(plain(whole), indent=1, allow_nan=False)
    (settings.out / "study.json").write_text(text, encoding="utf-8")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (settings.out / "study.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(plain(rows))
    panels = {
        name: dict(zip(names, found[name].value.tolist(), strict=True))
        for name in ("spearman", "linear_datamodelling", "advantage", HALF)
        if name in found
    }
    study_figure(panels, outcome, predictions[FINAL], settings.out / "study.png", title)
    console.print(f"written to {settings.out}: study.json, study.csv, study.png, runs/")


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
