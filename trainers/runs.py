"""Many training runs over processes, each in its own folder, so that what is killed goes on."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, MemenvsError
from trainers.evaluation import EpisodeScore
from trainers.pool import KILLED, end_with_parent, in_parallel
from trainers.run_bars import Told
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


def train_all(runs: Sequence[Run], workers: int = 0) -> list[dict[str, float]]:
    """Train what is not finished yet, with a bar for all runs and one for each that is under way.

    Args:
        runs: in the order in which they are started.
        workers: processes; 0 takes one per core, 1 works in this process.

    Returns:
        Per run, the wall seconds of each of its stages; nothing of those that were finished.

    Raises:
        DataError: a folder holds a run of other settings.
        SettingsError: fewer than 0 workers.
        MemenvsError: a process was killed.
    """
    from trainers.progress import bars as progress_bars
    from trainers.run_bars import RunBars

    todo = [(number, run) for number, run in enumerate(runs) if not finished(run.folder, run.settings)]
    names = [f"{run.name}, seed {run.settings.seed}" for run in runs]
    with progress_bars() as bars, ExitStack() as held:
        shown = RunBars(bars, names, len(runs) - len(todo))
        tell: Callable[[Told], None] = shown.hear

        def show() -> None:
            """Nothing waits where this process works."""

        if workers != 1:
            manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
            with _queue_there():
                manager.start(end_with_parent)
                queue = held.enter_context(manager).Queue()
            tell = partial(_put, queue)

            def show() -> None:
                with _queue_there():
                    while not queue.empty():
                        shown.hear(queue.get())

        for (number, _), _ in in_parallel(partial(_train, tell=tell), todo, workers, show):
            show()
            shown.end(number)
    return [shown.seconds.get(number, {}) for number in range(len(runs))]


def _put(queue: Any, told: Told) -> None:
    with _queue_there():
        queue.put(told)


@contextmanager
def _queue_there() -> Iterator[None]:
    """Say so where the process that holds the queue of progress is gone."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise MemenvsError(f"the progress {KILLED}") from error


def _train(job: tuple[int, Run], tell: Callable[[Told], None]) -> None:
    """One run, in a worker process."""
    number, run = job
    before, started, last = seconds(run.folder), time.process_time(), time.perf_counter()

    def say(stage: str, done: float, total: float, line: dict[str, float]) -> None:
        nonlocal last
        note = f", held-out {line['heldout/r_global']:.3f}" if "heldout/r_global" in line else ""
        last, since = time.perf_counter(), time.perf_counter() - last
        tell(Told(number, stage, done, total, since, note))
        if stage == "updates":
            spent = before + time.process_time() - started
            (run.folder / SECONDS).write_text(json.dumps(spent), encoding="utf-8")

    import torch

    from trainers.grpo import train
    from trainers.tokens.settings import TokenTrainSettings

    torch.set_num_threads(1)
    say("opening", 0, 1, {})
    if isinstance(run.settings, TokenTrainSettings):
        from trainers.tokens.grpo import train as train_tokens  # needs transformers, which other runs do without

        train_tokens(run.settings, run.folder, resume=True, progress=say, tensorboard=False)
    else:
        updates = run.settings.updates
        train(
            run.settings, run.folder, resume=True, progress=lambda update, line: say("updates", update, updates, line),
            tensorboard=False,
        )  # fmt: skip


def seconds(folder: Path) -> float:
    """Processor seconds of the updates and evaluations of a run so far; 0 where there is none."""
    try:
        return float(json.loads((folder / SECONDS).read_text(encoding="utf-8")))
    except (OSError, ValueError):  # none yet, or cut off by a kill
        return 0.0


def finished(folder: Path, settings: TrainSettings) -> bool:
    """Whether a run's result is there, made with these settings, but for those that may change on resume.

    A result of fewer updates is none yet: the run goes on.

    Raises:
        DataError: the folder holds a result of other settings, or of more updates.
    """
    if not (folder / "result.json").is_file():
        return False
    result = read_result(folder)
    made = result["settings"]["updates"]
    if result.get("fingerprint") != settings.fingerprint:
        raise DataError(f"{folder} holds a result of other settings; name another folder with --out")
    if made > settings.updates:
        raise DataError(
            f"{folder} holds a result of {made} updates, not of {settings.updates}; name another folder with --out"
        )
    return bool(made == settings.updates)


def read_result(folder: Path, file: str = "result.json") -> dict[str, Any]:
    """``result.json`` of a finished run, or another ``file`` of its form."""
    return json.loads((folder / file).read_text(encoding="utf-8"))


def read_scores(folder: Path, file: str = "result.json") -> list[EpisodeScore]:
    """The held-out scores of a finished run, or those of another ``file``."""
    episodes = read_result(folder, file)["episodes"]
    return [
        EpisodeScore(**e | {"r_global": float("nan") if e["r_global"] is None else e["r_global"]}) for e in episodes
    ]
