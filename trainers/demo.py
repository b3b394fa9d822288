"""The demo: the same policy, trained with each reward on the same streams, next to every control."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from trainers.arms import REFERENCE, DemoSettings, arms, run_folder, run_settings
from trainers.comparison import BUDGETED, CONTROLS, evaluate_control, row, write_table
from trainers.lock import alone_in
from trainers.provenance import facts
from trainers.runlog import read_curve
from trainers.runs import Run, read_scores, train_all
from trainers.settings import EnvSettings
from trainers.statistics import episodes_to_reach


def train_arms(settings: DemoSettings) -> None:
    """Train every arm with every seed, resumable."""
    # Seed by seed, so that a demo that is stopped early has every arm.
    jobs = [(arm, seed) for seed in range(settings.seeds) for arm in arms(settings)]
    runs = [Run(a.name, run_settings(a, seed, settings), run_folder(a, seed, settings)) for a, seed in jobs]
    train_all(runs, settings.workers)


def learned_rows(settings: DemoSettings) -> tuple[list[dict[str, Any]], dict[str, list[list[tuple[int, float]]]]]:
    """Table rows and curves of the learned agents."""
    curves, runs = {}, {}
    for arm in arms(settings):
        folders = [run_folder(arm, seed, settings) for seed in range(settings.seeds)]
        runs[arm.name] = [read_scores(folder) for folder in folders]
        curves[arm.name] = [read_curve(folder) for folder in folders]
    level = float(np.mean([curve[-1][1] for curve in curves["outcome only"]]))
    rows = []
    for name, scores in runs.items():
        mean_curve = [
            (points[0][0], float(np.mean([v for _, v in points]))) for points in zip(*curves[name], strict=True)
        ]
        rows.append(row(name, scores, kind="learned", episodes_to_outcome_level=episodes_to_reach(mean_curve, level)))
    return rows, curves


def control_rows(settings: DemoSettings, budgets: list[int]) -> list[dict[str, Any]]:
    """Table rows of the controls on the same held-out streams; a bar shows how far they are."""
    from trainers.progress import bars as progress_bars

    env, streams = EnvSettings(T=settings.T), range(settings.streams)
    controls = [(name, name.replace("_", " "), env) for name in CONTROLS]
    controls += [(name, name.replace("_", " ") + " (equal memory)", env) for name in BUDGETED]
    controls += [("keep_everything", "keep everything, no quota", replace(env, max_operations=None))]
    # Only the random ones have draws to average over.
    seeds = {name: range(settings.seeds if name.startswith("random") else 1) for name, _, _ in controls}
    rows = []
    with progress_bars() as bars:
        bar = bars.add_task("controls", total=len(streams) * sum(len(seeds[name]) for name, _, _ in controls))
        for name, shown, played_in in controls:
            bars.update(bar, description=f"controls: {shown}")
            runs = [
                evaluate_control(name, played_in, "test", streams, budgets, seed, keep=lambda _: bars.advance(bar))
                for seed in seeds[name]
            ]
            rows.append(row(shown, runs, kind="control"))
    return rows


def main(settings: DemoSettings) -> None:
    """Train, compare, draw, report.

    Raises:
        SettingsError: another command is writing to the folder.
    """
    with alone_in(settings.out):
        _main(settings)


def _main(settings: DemoSettings) -> None:
    from rich.console import Console

    from trainers.report import write_report

    # In a file or a log the table must not be squeezed to 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 160)
    train_arms(settings)
    rows, curves = learned_rows(settings)
    per_seed = [read_scores(run_folder(REFERENCE, seed, settings)) for seed in range(settings.seeds)]
    budgets = [round(float(np.mean([s.memory_tokens for s in scores]))) for scores in zip(*per_seed, strict=True)]
    rows += control_rows(settings, budgets)
    run = run_settings(REFERENCE, 0, settings)
    known = facts(
        run.env.make("test", evaluation=True),
        T=settings.T,
        streams=settings.streams,
        seeds=settings.seeds,
        episodes=settings.updates * run.group_size,
        equal_memory_reference=REFERENCE.name,
        settings=run.to_json(),
    )
    write_table(rows, known, settings.out / "table")
    write_report(rows, curves, known, settings, console)
