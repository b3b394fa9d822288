"""What workers do in tests/test_ray_*.py; they import it by name."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from rewards.wrapper import RewardWrapper


def multiply(factor: int, job: int) -> tuple[int, int]:
    """The product, and whose work it was."""
    return factor * job, os.getpid()


def divide(numerator: int, job: int) -> float:
    """Fails for job 0."""
    return numerator / job


def die_once(folder: Path, how: str, job: int) -> tuple[int, int]:
    """Ends its process in the middle of job 2, once; each beginning leaves a line."""
    with (folder / f"job{job}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if job == 2 and len((folder / "job2").read_text().split()) == 1:
        if how == "exit":
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job, os.getpid()


def die(job: int) -> None:
    """Ends its process every time."""
    os._exit(1)


def surroundings(job: int) -> tuple[str, str, int, str]:
    """Machine, folder, threads, and the thread setting that libraries read."""
    import ray
    import torch

    return ray.get_runtime_context().get_node_id(), os.getcwd(), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def together(folder: Path, stuck: str, job: int) -> str:
    """The machine. No job ends before two have begun, and on the machine ``stuck`` none ever does."""
    import ray

    here = str(ray.get_runtime_context().get_node_id())
    (folder / f"job{job}-{here}").touch()
    while len(list(folder.iterdir())) < 2 or here == stuck:
        threading.Event().wait(0.05)
    return here


class DieOnce(RewardWrapper):
    """The outcome. A process that finds the file ``die-once`` in its folder takes it and ends in mid-episode."""

    def terms(self, record):
        return {}

    def step(self, action):
        if self.env.unwrapped.episode.step == 1 and Path("die-once").exists():
            Path("die-once").rename("died")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)
