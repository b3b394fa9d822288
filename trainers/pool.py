"""Jobs over processes: one per core, results as they come."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from memenvs.errors import MemenvsError, whole

Job = TypeVar("Job")
Result = TypeVar("Result")
KILLED = (
    "process was killed, perhaps for want of memory; what was finished is kept, and the same command goes on from there"
)
"""What is said where one is gone."""


def in_parallel(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int = 0,
    idle: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Job, Result]]:
    """Do jobs in processes of their own, each with one thread for numbers.

    Args:
        work: a function of a module, or a `functools.partial` of one: it must be the same in a fresh process.
        jobs: what it is called with, one at a time.
        workers: processes; 0 takes one per core, 1 works in this process.
        idle: called at least twice a second while processes work, for instance to show their progress.

    Yields:
        Each job with its result, in the order in which they are finished. What a job raises is raised here, and no further job is
        started then. Ctrl-C, or leaving the loop, ends the processes at once.

    Raises:
        SettingsError: fewer than 0 workers.
        MemenvsError: a process was killed.
    """
    whole("workers", workers, 0)
    if workers == 1:
        for job in jobs:
            yield job, work(job)
            idle()
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=spawn, initializer=_begin)
    try:
        pending: dict[Future[Result], Job] = {pool.submit(work, job): job for job in jobs}
        while pending:
            done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
            idle()
    except BrokenProcessPool as error:
        raise MemenvsError(f"a worker {KILLED}") from error
    except (KeyboardInterrupt, GeneratorExit):
        # Nobody waits for what is under way, which may take hours; kept is what was handed over.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        # A job that fails, or Ctrl-C, must not wait for all the jobs behind it.
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _begin() -> None:
    """In a worker: Ctrl-C, which a terminal sends to all processes, is for the one that started them; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """In a process that was started for another one: end when that one ends, however it ends.

    A parent that is killed cannot say so. Without this its workers would go on, beside those of the command that takes up its work.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
