"""Jobs on Ray: all done, each once, whoever is killed; and no waiting for ever."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import ray_jobs

from memenvs.errors import MemenvsError, SettingsError
from trainers.ray_pool import RayPool, on_ray

JOBS = list(range(1, 8))


@pytest.fixture(scope="module")
def pool():
    """Two workers on a Ray of this process's own."""
    pytest.importorskip("ray")
    with RayPool(2) as made:
        yield made


def test_no_worker_is_this_process_and_needs_no_ray():
    found = list(on_ray(partial(ray_jobs.multiply, 3), [1, 2], workers=0))
    assert found == [(1, (3, os.getpid())), (2, (6, os.getpid()))]
    with RayPool(0) as here:
        first, second = here.share([1]), here.share([1])
        assert (first.get(), first.key == second.key) == ([1], False)


def test_without_ray_the_extra_is_named():
    program = "import sys; sys.modules['ray'] = None\nfrom trainers.ray_pool import RayPool\nRayPool(1)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert "SettingsError: workers on Ray need ray: pip install -e '.[ray]'" in done.stderr


def test_where_no_ray_is_it_is_said_how_to_start_one():
    pytest.importorskip("ray")
    with pytest.raises(SettingsError, match="ray start --head"):
        RayPool(1, "127.0.0.1:9")
    with pytest.raises(SettingsError, match="workers must be at least 0"):
        RayPool(-1)


@pytest.mark.slow
def test_two_workers_do_all_jobs(pool):
    found = list(pool.run(partial(ray_jobs.multiply, 3), JOBS))
    assert sorted((job, product) for job, (product, _) in found) == [(job, 3 * job) for job in JOBS]
    assert os.getpid() not in {pid for _, (_, pid) in found}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_worker_that_dies_is_replaced_and_its_job_done_again(how, pool, tmp_path):
    found = list(pool.run(partial(ray_jobs.die_once, tmp_path, how), JOBS))
    assert sorted((job, square) for job, (square, _) in found) == [(job, job * job) for job in JOBS]
    begun = {job: (tmp_path / f"job{job}").read_text().split() for job in JOBS}
    assert {job: len(pids) for job, pids in begun.items()} == {job: 1 + (job == 2) for job in JOBS}
    dead, again = begun[2]
    assert dead != again
    assert dict(found)[2] == (4, int(again))


@pytest.mark.slow
def test_a_job_that_always_kills_its_worker_ends_the_round(pool):
    with pytest.raises(MemenvsError, match="the job 1 was begun 3 times"):
        list(pool.run(ray_jobs.die, [1]))


@pytest.mark.slow
def test_what_a_job_raises_is_raised_here_and_the_pool_goes_on(pool):
    with pytest.raises(ZeroDivisionError):
        list(pool.run(partial(ray_jobs.divide, 6), [1, 0, 2]))
    assert list(pool.run(partial(ray_jobs.divide, 6), [3])) == [(3, 2.0)]


@pytest.mark.slow
def test_jobs_that_nobody_waits_for_are_dropped(pool):
    next(iter(pool.run(partial(ray_jobs.multiply, 3), JOBS)))
    assert dict(pool.run(partial(ray_jobs.divide, 6), [3, 2])) == {3: 2.0, 2: 3.0}


@pytest.mark.slow
def test_workers_have_one_thread_and_the_folder_of_the_caller(pool):
    ((_, (_, folder, threads, setting)),) = pool.run(ray_jobs.surroundings, [1])
    assert (folder, threads, setting) == (os.getcwd(), 1, "1")


@pytest.mark.slow
def test_too_few_cpus_are_an_error_and_no_waiting(pool):
    with pytest.raises(SettingsError, match="3 workers want 3 CPUs, and the Ray cluster has 2: take fewer workers"):
        RayPool(3)
    # Both CPUs are taken by the first pool's workers.
    with RayPool(1, patience=2) as other, pytest.raises(MemenvsError, match="0 are free: wait for other jobs"):
        list(other.run(ray_jobs.die, [1]))
