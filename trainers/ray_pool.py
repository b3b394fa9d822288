"""Jobs over a Ray cluster: what `trainers.pool` does with the cores of one machine, done with those of several.

* `on_ray` - jobs over workers; results as they come.
* `RayPool` - workers that stay for several rounds of jobs, such as the updates of a training run.
* `Shared` - something large that jobs of one round have in common, sent once.

A job is a function of its arguments alone, so its result is the same whichever worker does it. A worker that is killed is replaced
and its job is done again by another one; no job is lost and none is told twice.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from memenvs.errors import MemenvsError, SettingsError, whole
from memenvs.version import __version__

Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 3
"""How often a job is begun whose worker is killed each time."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of every worker: read when numpy and torch are imported."""
OF_OUR_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Environment of a Ray that is started here, where it says nothing else: no reports, and workers that do not give way to everything
else on the machine (Ray's own 15 starves them beside other work)."""
_NUMBERS = count()


def on_ray(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int = 0,
    idle: Callable[[], None] = lambda: None,
    address: str | None = None,
) -> Iterator[tuple[Job, Result]]:
    """Do jobs on Ray workers, each with one thread for numbers.

    Args:
        work: a function of a module that every machine has, a `functools.partial` of one, or anything that cloudpickle can send.
        jobs: what it is called with, one at a time.
        workers: processes; 0 works in this process and needs no Ray.
        idle: called at least twice a second while workers work, for instance to show their progress.
        address: of a cluster, see `RayPool`.

    Yields:
        Each job with its result, in the order in which they are finished. What a job raises is raised here.

    Raises:
        SettingsError, MemenvsError: see `RayPool`.
    """
    with RayPool(workers, address) as pool:
        yield from pool.run(work, jobs, idle)


class RayPool:
    """Workers on a Ray cluster; a context manager that ends them.

    Args:
        workers: processes, one CPU each; 0 works in this process and needs no Ray.
        address: "auto" for the cluster that this machine belongs to, or its head as "host:6379". None starts a Ray on this machine
            that ends with the pool. Where this process is connected to a Ray already, that one is taken.
        gpus: of each worker; .5 lets two share one. Workers without any see none.
        patience: seconds for which the pool waits while no worker at all is there.

    Raises:
        SettingsError: Ray is not installed, there is no cluster at the address, or it is too small for so many workers.
    """

    def __init__(self, workers: int, address: str | None = None, gpus: float = 0.0, patience: float = 300.0) -> None:
        self.workers, self._gpus, self._patience = whole("workers", workers, 0), gpus, patience
        self._free: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._ours = False
        if not self.workers:
            return
        self._ray = _imported()
        if not self._ray.is_initialized():
            _connect(self._ray, address, self.workers)
            self._ours = True
        try:
            self._check_size()
            self._fill()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, and Ray where the pool started or joined it."""
        if not self.workers:
            return
        for worker in (*self._free, *self._starting.values()):
            self._ray.kill(worker)
        self._free, self._starting = [], {}
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def share(self, value: Any) -> Shared:
        """Put something where all jobs can read it: once on each machine, however many jobs hold it."""
        if not self.workers:
            return Shared(value, f"here-{next(_NUMBERS)}")
        reference = self._ray.put(value)
        return Shared(reference, reference.hex(), on_ray=True)

    def run(
        self, work: Callable[[Job], Result], jobs: Sequence[Job], idle: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Job, Result]]:
        """Do jobs. Arguments, results and errors as for `on_ray`.

        Raises:
            MemenvsError: a job's worker was killed `TRIES` times; no worker could be had within the pool's patience; or the cluster
                failed.
        """
        if not self.workers:
            for job in jobs:
                yield job, work(job)
                idle()
            return
        held = self._ray.put(work)
        todo, begun = deque(range(len(jobs))), Counter[int]()
        running: dict[Any, tuple[Any, int]] = {}
        self._fill()
        alone_since = time.monotonic()
        try:
            while todo or running:
                while todo and self._free:
                    worker, number = self._free.pop(), todo.popleft()
                    begun[number] += 1
                    # In a list Ray sends the reference, and the worker fetches what it does not have.
                    running[worker.do.remote(held.hex(), [held], jobs[number])] = worker, number
                waited = [*running, *self._starting]
                done, _ = self._ray.wait(waited, timeout=0.5) if waited else ([], [])
                for reference in done:
                    if reference in self._starting:
                        self._welcome(reference)
                        continue
                    worker, number = running.pop(reference)
                    try:
                        result = self._ray.get(reference)
                    except _deaths(self._ray) as error:
                        self._replace(worker)
                        if begun[number] == TRIES:
                            raise MemenvsError(_killed(jobs[number])) from error
                        todo.appendleft(number)
                        continue
                    except self._ray.exceptions.RayTaskError as error:
                        self._free.append(worker)
                        raise (error.cause if isinstance(error.cause, Exception) else error) from error
                    self._free.append(worker)
                    yield jobs[number], result
                if running or self._free:
                    alone_since = time.monotonic()
                elif time.monotonic() - alone_since > self._patience:
                    raise MemenvsError(self._nobody())
                idle()
        except self._ray.exceptions.RayError as error:
            raise MemenvsError(f"the Ray cluster failed: {error}") from error
        finally:
            # Workers of jobs that nobody waits for any more must not hold up the next round.
            for worker, _ in running.values():
                self._ray.kill(worker)

    def _fill(self) -> None:
        """Start as many workers as are missing."""
        while len(self._free) + len(self._starting) < self.workers:
            self._start()

    def _start(self) -> None:
        options = {"num_cpus": 1, "num_gpus": self._gpus, "max_restarts": 0, "runtime_env": {"env_vars": ONE_THREAD}}
        worker = self._ray.remote(_Worker).options(**options).remote(os.getcwd(), sys.path)
        self._starting[worker.version.remote()] = worker

    def _replace(self, worker: Any) -> None:
        self._ray.kill(worker)
        self._start()

    def _welcome(self, reference: Any) -> None:
        """A worker that was starting is there, or is not to be."""
        worker = self._starting.pop(reference)
        try:
            version = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts == TRIES:
                raise MemenvsError(
                    "workers end as they start; every machine of the cluster needs the same memenvs with the extras of the job "
                    f"(pip install). Ray says: {error}"
                ) from error
            self._replace(worker)
            return
        if version != __version__:
            self._ray.kill(worker)
            raise SettingsError(
                f"a worker has memenvs {version}, this process {__version__}: install the same on every machine"
            )
        self._failed_starts = 0
        self._free.append(worker)

    def _check_size(self) -> None:
        there = self._ray.cluster_resources()
        for name, wanted in (("CPU", float(self.workers)), ("GPU", self.workers * self._gpus)):
            if (found := there.get(name, 0.0)) < wanted:
                raise SettingsError(
                    f"{self.workers} workers want {wanted:g} {name}s, and the Ray cluster has {found:g}: take fewer workers, "
                    "or add a machine to it (ray start --address=HEAD:6379)"
                )

    def _nobody(self) -> str:
        free = self._ray.available_resources()
        return (
            f"no worker could be started within {self._patience:g} s; of the Ray cluster's "
            f"{self._ray.cluster_resources().get('CPU', 0):g} CPUs {free.get('CPU', 0):g} are free: wait for other jobs (ray "
            "status shows them), take fewer workers, or add a machine"
        )


@dataclass(frozen=True, slots=True)
class Shared:
    """What `RayPool.share` gave; a job carries it, and its worker reads it."""

    value: Any
    """The thing itself, or where Ray keeps it."""
    key: str
    """Another one for every `RayPool.share`."""
    on_ray: bool = False
    """Which of the two the value is."""

    def get(self) -> Any:
        """The thing itself."""
        return _imported().get(self.value) if self.on_ray else self.value


class _Worker:
    """What runs in a process of Ray's. It keeps the round's work, so that what the work has loaded serves all its jobs."""

    def __init__(self, folder: str, path: list[str]) -> None:
        if os.path.isdir(folder):  # relative paths mean what they mean to the caller, as far as disks are shared
            os.chdir(folder)
        sys.path += [entry for entry in path if entry not in sys.path and os.path.isdir(entry)]
        self._key, self._work = "", None

    def version(self) -> str:
        return __version__

    def do(self, key: str, held: list[Any], job: Any) -> Any:
        if key != self._key:
            self._work, self._key = _imported().get(held[0]), key
        assert self._work is not None
        return self._work(job)


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SettingsError("workers on Ray need ray: pip install -e '.[ray]'") from error
    return ray


def _connect(ray: Any, address: str | None, workers: int) -> None:
    # A Ray of our own has a CPU for each worker, whatever the machine has; a cluster's size is the cluster's.
    own = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    os.environ.update({name: os.environ.get(name, value) for name, value in OF_OUR_RAY.items()})
    try:
        if address is not None and address.count(":") == 1:
            # Ray would look for a minute and then end this process.
            host, _, port = address.partition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"cannot work with a Ray at {address or 'this machine'}: {error}. A cluster is started with ray start --head and "
            "joined with ray start --address=HEAD:6379; where it wants a token, RAY_AUTH_TOKEN must be its own (docs/scaling.md)"
        ) from error


def _deaths(ray: Any) -> tuple[type[Exception], ...]:
    """What is raised for a job whose process or machine is gone, or whose result went with it."""
    errors = ray.exceptions
    return errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError, errors.ObjectLostError


def _killed(job: object) -> str:
    return (
        f"the job {job!r:.200} was begun {TRIES} times, and each time its worker was killed, perhaps for want of memory; what was "
        "finished is kept, and the same command goes on from there"
    )
