"""Jobs over processes: one per core, results as they come."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


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
        started then.
    """
    if workers == 1:
        for job in jobs:
            yield job, work(job)
            idle()
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))
    try:
        pending: dict[Future[Result], Job] = {pool.submit(work, job): job for job in jobs}
        while pending:
            done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
            idle()
    finally:
        # A job that fails, or Ctrl-C, must not wait for all the jobs behind it.
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
