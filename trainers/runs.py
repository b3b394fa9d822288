"""Many training runs over processes, each in its own folder, so that what is killed goes on."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from trainers.evaluation import EpisodeScore
from trainers.pool import end_with_parent, in_parallel
from trainers.settings import TrainSettings

START = "start.json"
"""File of a language model's run: its held-out scores before the first update."""
SECONDS = "seconds.json"
"""File of a run's folder: processor seconds that were spent on it, lost parts of killed processes included."""


@dataclass(frozen=True)
class Run:
    """One training run."""

    name: str
    """Of its arm, for the progress bar."""
    settings: TrainSettings
    """Everything that decides its numbers."""
    folder: Path
    """Where it lives."""


def train_all(runs: Sequence[Run], workers: int = 0) -> None:
    """Train what is not finished yet, with two bars of progress.

    Args:
        runs: in the order in which they are started.
        workers: processes; 0 takes one per core, 1 works in this process.

    Raises:
        DataError: a folder holds a run of other settings.
    """
    from trainers.progress import bars as progress_bars

    todo = [run for run in runs if not finished(run.folder, run.settings)]
    manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
    manager.start(end_with_parent)
    with manager, progress_bars() as bars:
        queue = manager.Queue()
        runs_bar = bars.add_task("runs", total=len(runs), completed=len(runs) - len(todo))
        updates_bar = bars.add_task("updates", total=sum(run.settings.updates for run in todo))

        def show() -> None:
            while not queue.empty():
                done, told = queue.get()
                bars.advance(updates_bar, done)
                if told is not None:
                    bars.update(updates_bar, description=f"updates  {told}")

        for _ in in_parallel(partial(_train, tell=queue.put), todo, workers, show):
            bars.advance(runs_bar)


def _train(run: Run, tell: Callable[[Any], None]) -> None:
    """One run, in a worker process."""
    before, started = seconds(run.folder), time.process_time()
    who = f"{run.name}, seed {run.settings.seed}"

    def progress(update: int, line: dict[str, float]) -> None:
        spent = before + time.process_time() - started
        (run.folder / SECONDS).write_text(json.dumps(spent), encoding="utf-8")
        heldout = line.get("heldout/r_global")
        tell((1, None if heldout is None else f"{who}: held-out {heldout:.3f}"))

    import torch

    from trainers.grpo import train
    from trainers.tokens.grpo import train as train_tokens
    from trainers.tokens.settings import TokenTrainSettings

    if not isinstance(run.settings, TokenTrainSettings):
        train(run.settings, run.folder, resume=True, progress=progress, tensorboard=False)
        return

    def staged(stage: str, done: int, total: int, line: dict[str, float]) -> None:
        if stage == "updates":
            progress(done, line)
        else:
            tell((0, f"{who}: {stage} {done} of {total}"))

    torch.set_num_threads(1)
    train_tokens(run.settings, run.folder, resume=True, progress=staged, tensorboard=False)


def seconds(folder: Path) -> float:
    """Processor seconds of the updates and evaluations of a run so far; 0 where there is none."""
    try:
        return float(json.loads((folder / SECONDS).read_text(encoding="utf-8")))
    except (OSError, ValueError):  # none yet, or cut off by a kill
        return 0.0


def finished(folder: Path, settings: TrainSettings) -> bool:
    """Whether a run's result is there, made with these settings.

    Raises:
        DataError: the folder holds a result of other settings.
    """
    if not (folder / "result.json").is_file():
        return False
    if read_result(folder)["settings"] != json.loads(json.dumps(settings.to_json())):
        raise DataError(f"{folder} holds a result of other settings; name another folder with --out")
    return True


def read_result(folder: Path, file: str = "result.json") -> dict[str, Any]:
    """``result.json`` of a finished run, or another ``file`` of its form."""
    return json.loads((folder / file).read_text(encoding="utf-8"))


def read_scores(folder: Path, file: str = "result.json") -> list[EpisodeScore]:
    """The held-out scores of a finished run, or those of another ``file``."""
    episodes = read_result(folder, file)["episodes"]
    return [
        EpisodeScore(**e | {"r_global": float("nan") if e["r_global"] is None else e["r_global"]}) for e in episodes
    ]
