"""The demo: the same policy, trained with each reward on the same streams, next to every control."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memenvs.errors import DataError
from trainers.arms import REFERENCE, Arm, DemoSettings, arms, run_folder, run_settings
from trainers.comparison import BUDGETED, CONTROLS, evaluate_control, row, write_table
from trainers.evaluation import EpisodeScore
from trainers.provenance import facts
from trainers.runlog import read_curve
from trainers.settings import EnvSettings, TrainSettings
from trainers.statistics import episodes_to_reach


def _train(arm: Arm, seed: int, settings: DemoSettings, queue: Any) -> None:
    """One run, in a worker process."""
    from trainers.grpo import train

    def progress(update: int, line: dict[str, float]) -> None:
        queue.put((arm.name, seed, line.get("heldout/r_global")))

    train(
        run_settings(arm, seed, settings),
        run_folder(arm, seed, settings),
        resume=True,
        progress=progress,
        tensorboard=False,
    )


def train_all(settings: DemoSettings) -> None:
    """Train every arm with every seed, two bars of progress, resumable."""
    from trainers.progress import bars as progress_bars

    # Seed by seed, so that a demo that is stopped early has every arm.
    jobs = [(arm, seed) for seed in range(settings.seeds) for arm in arms(settings)]
    todo = [(a, s) for a, s in jobs if not finished(run_folder(a, s, settings), run_settings(a, s, settings))]
    context = multiprocessing.get_context("spawn")
    os.environ["OMP_NUM_THREADS"] = "1"
    with context.Manager() as manager, progress_bars() as bars:
        queue = manager.Queue()
        runs_bar = bars.add_task("runs", total=len(jobs), completed=len(jobs) - len(todo))
        updates_bar = bars.add_task("updates", total=len(todo) * settings.updates)
        pool = ProcessPoolExecutor(settings.workers or os.cpu_count(), mp_context=context)
        try:
            pending: set[Future[None]] = {pool.submit(_train, arm, seed, settings, queue) for arm, seed in todo}
            while pending:
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    bars.advance(runs_bar)
                while not queue.empty():
                    name, seed, heldout = queue.get()
                    bars.advance(updates_bar)
                    if heldout is not None:
                        bars.update(updates_bar, description=f"updates  {name}, seed {seed}: held-out {heldout:.3f}")
        finally:
            # A run that fails, or Ctrl-C, must not wait for all the runs behind it.
            pool.shutdown(cancel_futures=True)


def finished(folder: Path, settings: TrainSettings) -> bool:
    """Whether a run's result is there, made with these settings.

    Raises:
        DataError: the folder holds a result of other settings.
    """
    path = folder / "result.json"
    if not path.is_file():
        return False
    if json.loads(path.read_text(encoding="utf-8"))["settings"] != json.loads(json.dumps(settings.to_json())):
        raise DataError(f"{folder} holds a result of other settings; name another folder with --out")
    return True


def read_scores(folder: Path) -> list[EpisodeScore]:
    """The held-out scores of a finished run."""
    episodes = json.loads((folder / "result.json").read_text(encoding="utf-8"))["episodes"]
    return [
        EpisodeScore(**e | {"r_global": float("nan") if e["r_global"] is None else e["r_global"]}) for e in episodes
    ]


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


def control_rows(
    settings: DemoSettings, budgets: list[int], names: Iterable[str] = (*CONTROLS, *BUDGETED)
) -> list[dict[str, Any]]:
    """Table rows of the controls on the same held-out streams."""
    env = EnvSettings(T=settings.T)
    streams = list(range(settings.streams))
    free = replace(env, max_operations=None)
    rows = []
    for name in names:
        # Only the random ones have draws to average over.
        seeds = range(settings.seeds if name.startswith("random") else 1)
        runs = [evaluate_control(name, env, "test", streams, budgets, seed) for seed in seeds]
        rows.append(row(name.replace("_", " ") + (" (equal memory)" if name in BUDGETED else ""), runs, kind="control"))
    rows.append(
        row(
            "keep everything, no quota",
            [evaluate_control("keep_everything", free, "test", streams, None)],
            kind="control",
        )
    )
    return rows


def main(settings: DemoSettings) -> None:
    """Train, compare, draw, report."""
    from rich.console import Console

    from trainers.report import write_report

    # In a file or a log the table must not be squeezed to 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 160)
    settings.out.mkdir(parents=True, exist_ok=True)
    train_all(settings)
    rows, curves = learned_rows(settings)
    per_seed = [read_scores(run_folder(REFERENCE, seed, settings)) for seed in range(settings.seeds)]
    budgets = [round(float(np.mean([s.memory_tokens for s in scores]))) for scores in zip(*per_seed, strict=True)]
    with console.status("controls on the held-out streams"):
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
