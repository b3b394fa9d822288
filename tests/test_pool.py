"""Jobs over processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from memenvs.errors import MemenvsError, SettingsError
from trainers.pool import in_parallel


def inverse(numerator, job):
    return numerator / job, os.getpid()


def test_one_worker_is_this_process_and_several_are_others():
    alone = list(in_parallel(partial(inverse, 6), [1, 2, 3], workers=1))
    assert [(job, value) for job, (value, _) in alone] == [(1, 6), (2, 3), (3, 2)]
    assert {pid for _, (_, pid) in alone} == {os.getpid()}
    together = list(in_parallel(partial(inverse, 6), [1, 2, 3], workers=2))
    assert sorted((job, value) for job, (value, _) in together) == [(1, 6), (2, 3), (3, 2)]
    assert os.getpid() not in {pid for _, (_, pid) in together}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_is_raised_here(workers):
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(partial(inverse, 1), [0, 1], workers=workers))


def test_a_number_of_workers_that_cannot_be_is_refused():
    with pytest.raises(SettingsError, match="workers must be at least 0, got -1"):
        list(in_parallel(partial(inverse, 1), [1], workers=-1))


def kill_itself(job):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_an_error_with_a_way_on():
    with pytest.raises(MemenvsError, match="the same command goes on"):
        list(in_parallel(kill_itself, [1], workers=2))


def test_the_number_of_threads_of_this_process_is_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(in_parallel(partial(inverse, 1), [1], workers=2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    list(in_parallel(partial(inverse, 1), [1], workers=2))
    assert "OMP_NUM_THREADS" not in os.environ


SLEEPERS = """
import os, time
from memenvs.errors import MemenvsError
from trainers.pool import in_parallel

def sleep(job):
    print(os.getpid(), flush=True)
    time.sleep(1000)

if __name__ == "__main__":
    list(in_parallel(sleep, [1, 2], workers=2))
"""


def runs(pid):
    """Whether a process is there and not waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(runs, workers))
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 300
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, workers))


INTERRUPTED = SLEEPERS.replace(
    'if __name__ == "__main__":',
    'if __name__ == "__main__":\n    signal.signal(signal.SIGINT, signal.default_int_handler)',
).replace("import os, time", "import os, signal, time")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_ctrl_c_ends_jobs_that_are_under_way(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(signal.SIGINT)
        try:
            _, told = parent.communicate(timeout=300)
        finally:
            parent.kill()
    assert told.rstrip().endswith("KeyboardInterrupt")
    assert parent.returncode == -signal.SIGINT
    assert not any(map(runs, workers))


def test_leaving_the_loop_ends_jobs_that_are_under_way():
    for job, _ in in_parallel(time.sleep, [0, 1000], workers=2):
        assert job == 0
        break
    assert not multiprocessing.active_children()
