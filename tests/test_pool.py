"""Jobs over processes."""

import os
from functools import partial

import pytest

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


def test_the_number_of_threads_of_this_process_is_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(in_parallel(partial(inverse, 1), [1], workers=2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    list(in_parallel(partial(inverse, 1), [1], workers=2))
    assert "OMP_NUM_THREADS" not in os.environ
