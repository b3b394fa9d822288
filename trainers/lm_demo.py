"""The demo of language models: random models, a warm start, GRPO, and what GRPO added."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.base import Agent
from agents.language_model.small import make_small
from memenvs.record import EpisodeRecord
from memenvs.streams.types import Stream
from trainers import checkpoint
from trainers.comparison import CONTROLS, evaluate_control, make_control, row, show_table, write_table
from trainers.evaluation import EpisodeScore, evaluate, evaluate_policy, mean_r_global
from trainers.figures import learning_curves
from trainers.lm_demo_settings import TABLE, LMDemoSettings, model_folder, model_size, run_folder, run_settings
from trainers.lock import alone_in
from trainers.pool import in_parallel
from trainers.provenance import facts
from trainers.runlog import read_curve
from trainers.runs import Run, train_all
from trainers.settings import EnvSettings
from trainers.statistics import Interval, bootstrap

WARM, LEARNED = "warm start", "warm start + GRPO"
DRAWN = "drawn"
"""Messages are drawn as in training, at its temperature; elsewhere the model takes the most probable tokens."""
HIDDEN = "scripted, memory hidden"
"""The teacher with what the model sees: the chunk alone."""
LEVELS = ("scripted", HIDDEN, "random")
"""Beside the curves, over the same streams."""


def main(settings: LMDemoSettings) -> None:
    """Make, train, compare, draw.

    Raises:
        SettingsError: settings that cannot work, or another command is writing to the folder.
    """
    runs = [Run(LEARNED, run_settings(settings, seed), run_folder(settings, seed)) for seed in range(settings.seeds)]
    runs[0].settings.make_envs()  # a reward that cannot be made is refused before any model is
    with alone_in(settings.out):
        _main(settings, runs)


def _main(settings: LMDemoSettings, runs: Sequence[Run]) -> None:
    from rich.console import Console

    from trainers.progress import bars as progress_bars
    from trainers.progress import told_times

    console, begun = Console(width=None if sys.stdout.isatty() else 160), time.perf_counter()
    took: dict[str, float] = {}

    def stage(name: str) -> None:
        nonlocal begun
        took[name], begun = time.perf_counter() - begun, time.perf_counter()

    with progress_bars() as bars:
        for seed in bars.track(range(settings.seeds), description="random models"):
            _make_model(settings, seed)
    stage("random models")
    seconds = train_all(runs, settings.workers)
    stage("runs")
    before, after, drawn_before, drawn_after = _played(runs, settings)
    stage("held-out streams")
    rows: list[dict[str, Any]] = [
        row(name, scores, kind="learned")
        for name, scores in (
            (WARM, before),
            (LEARNED, after),
            (f"{WARM}, {DRAWN}", drawn_before),
            (f"{LEARNED}, {DRAWN}", drawn_after),
        )
    ]
    first = runs[0].settings
    with progress_bars() as bars:
        bar = bars.add_task("controls", total=(len(CONTROLS) + 1 + len(LEVELS)) * settings.streams)

        def control(name: str, streams: Sequence[int]) -> list[EpisodeScore]:
            shown = name.replace("_", " ")
            bars.update(bar, description=f"controls: {shown}")
            return _control(name, first.env, streams, lambda record: bars.advance(bar))

        rows += [
            row(name.replace("_", " "), [control(name, _streams(settings))], kind="control")
            for name in (*CONTROLS, HIDDEN)
        ]
        levels = {name: mean_r_global(control(name, range(settings.streams))) for name in LEVELS}
    stage("controls")
    gained, drawn_gained = _gained(before, after), _gained(drawn_before, drawn_after)
    known = facts(
        first.env.make("test", evaluation=True),
        streams=settings.streams,
        first_stream=TABLE,
        seeds=settings.seeds,
        gained=gained._asdict(),
        drawn_gained=drawn_gained._asdict(),
        settings=first.to_json(),
    )
    write_table(rows, known, settings.out / "table")
    curves = {
        f"{LEARNED}, greedy": [read_curve(run.folder) for run in runs],
        f"{LEARNED}, {DRAWN}": [read_curve(run.folder, "heldout/drawn_r_global") for run in runs],
    }
    learning_curves(curves, levels, settings.out / "curves.png", f"a small language model, {settings.seeds} seeds")
    columns = {
        "memory_tokens": ("memory tokens", "{:.0f}".format),
        "memory_share": ("of stream", "{:.0%}".format),
        "invalid_operations": ("invalid", "{:.1f}".format),
    }
    console.print(show_table(rows, f"{settings.streams} held-out streams of {settings.T} chunks", columns))
    for how, added in (("greedily", gained), ("with messages drawn as in training", drawn_gained)):
        console.print(
            f"GRPO added {added.mean:+.3f} [{added.low:+.3f}, {added.high:+.3f}] to r_global {how} (95 %, paired over "
            f"{settings.seeds} seeds and {settings.streams} streams)"
        )
    stage("table and figure")
    console.print(f"time: {told_times(took)}", markup=False)
    for run, spent in zip(runs, seconds, strict=True):
        console.print(f"  {run.folder}: {told_times(spent) or 'was finished'}", markup=False)
    written = ", ".join(str(settings.out / name) for name in ("table.json", "table.csv", "curves.png"))
    console.print(f"written: {written}; the trained models are the checkpoints of the runs above", markup=False)


def _streams(settings: LMDemoSettings) -> range:
    """Indices of the table's held-out streams."""
    return range(TABLE, TABLE + settings.streams)


def _played(runs: Sequence[Run], settings: LMDemoSettings) -> list[list[list[EpisodeScore]]]:
    """Scores on the table's streams: greedy before and after GRPO, then drawn before and after; each [seed][stream]."""
    from trainers.progress import bars as progress_bars

    jobs: list[tuple[Path, Any, int | None, Sequence[int]]] = [
        (model, run.settings, drawn, _streams(settings))
        for drawn in (None, 0)
        for taught in (True, False)
        for run in runs
        for model in [run.folder / checkpoint.TAUGHT if taught else checkpoint.find(run.folder)]
    ]
    with progress_bars() as bars:
        bar = bars.add_task("held-out streams", total=len(jobs))
        scores = {}
        for (model, _, drawn, _), found in in_parallel(_play, jobs, settings.workers):
            scores[model, drawn] = found
            bars.advance(bar)
    every = [scores[model, drawn] for model, _, drawn, _ in jobs]
    return [every[first : first + len(runs)] for first in range(0, len(every), len(runs))]


def _control(
    name: str, env: EnvSettings, streams: Sequence[int], keep: Callable[[EpisodeRecord], None]
) -> list[EpisodeScore]:
    """Scores of a control, or of `HIDDEN`."""
    if name != HIDDEN:
        return evaluate_control(name, env, "test", streams, None, keep=keep)
    return evaluate(env.make("test", evaluation=True), _MemoryHidden(make_control("scripted", env)), streams, keep=keep)


def _play(job: tuple[Path, Any, int | None, Sequence[int]]) -> list[EpisodeScore]:
    """One model on held-out streams, in a process of its own."""
    import torch
    from transformers.utils import logging

    from agents.language_model.policy import load_policy
    from trainers.grpo import EVALUATED_TOGETHER

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    folder, settings, drawn, streams = job
    envs = settings.make_heldouts(min(EVALUATED_TOGETHER, len(streams)))
    policy = load_policy(folder, settings.lm.batch, temperature=settings.lm.temperature)
    return evaluate_policy(envs, policy, streams, drawn=drawn)


def _gained(before: Sequence[Sequence[EpisodeScore]], after: Sequence[Sequence[EpisodeScore]]) -> Interval:
    """The difference of r_global, paired by seed and stream."""
    return bootstrap([
        [b.r_global - a.r_global for a, b in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)
    ])  # fmt: skip


class _MemoryHidden:
    """An agent that is shown an empty memory at every step.

    Args:
        agent: decides.
    """

    def __init__(self, agent: Agent) -> None:
        self.name = f"{agent.name}, memory hidden"
        self._agent = agent

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """See `agents.base.Agent.reset`."""
        self._agent.reset(seed, stream)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        return self._agent.act({**observation, "memory": ""}, {**info, "memory": ()})


def _make_model(settings: LMDemoSettings, seed: int) -> None:
    """The random model of a seed, made once."""
    folder = model_folder(settings, seed)
    if folder.is_dir():
        return
    from transformers.utils import logging

    logging.disable_progress_bar()  # of one file each
    run = run_settings(settings, seed)
    data = run.env.open("train")
    rng = np.random.default_rng([seed, 1])
    streams = [data[int(index)] for index in rng.choice(len(data), 60, replace=False)]
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)  # of a killed one
    make_small(draft, streams, run.lm.prompt(run.env), model_size(settings, seed))
    draft.rename(folder)
