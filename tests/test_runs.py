"""Many runs: each is trained once, and its cost is kept."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest

from memenvs.errors import DataError, MemenvsError
from trainers import runs as runs_module
from trainers.grpo import train
from trainers.runs import Run, finished, read_scores, seconds, train_all
from trainers.settings import EnvSettings, TrainSettings

TINY = TrainSettings(env=EnvSettings(T=4), reward="outcome", updates=2, group_size=2, eval_streams=2, final_streams=3)


def test_runs_are_trained_once_and_keep_their_cost(tmp_path, capsys):
    runs = [Run("outcome", TINY, tmp_path / "a"), Run("outcome", TINY, tmp_path / "b")]
    train_all(runs[:1], workers=1)
    stamp = (tmp_path / "a" / "result.json").stat().st_mtime_ns
    spent = seconds(tmp_path / "a")
    assert spent > 0
    train_all(runs, workers=1)
    assert (tmp_path / "a" / "result.json").stat().st_mtime_ns == stamp
    assert seconds(tmp_path / "a") == spent
    assert [s.r_global for s in read_scores(tmp_path / "a")] == [s.r_global for s in read_scores(tmp_path / "b")]
    assert len(read_scores(tmp_path / "b")) == 3


def test_a_killed_process_of_the_progress_is_an_error_with_a_way_on(tmp_path, monkeypatch):
    def after_a_kill(work, jobs, workers, idle):
        (manager,) = multiprocessing.active_children()
        os.kill(manager.pid, signal.SIGKILL)
        manager.join()
        with pytest.raises(MemenvsError, match="the progress process was killed"):
            work(jobs[0])  # as in a worker
        idle()
        yield

    monkeypatch.setattr(runs_module, "in_parallel", after_a_kill)
    with pytest.raises(MemenvsError, match="the progress process was killed.*the same command goes on"):
        train_all([Run("outcome", TINY, tmp_path)], workers=2)


def test_a_cut_off_cost_is_counted_from_anew(tmp_path):
    assert seconds(tmp_path) == 0
    (tmp_path / "seconds.json").write_text("12.5")
    assert seconds(tmp_path) == 12.5
    (tmp_path / "seconds.json").write_text("")
    assert seconds(tmp_path) == 0


def test_a_result_of_other_settings_is_not_taken(tmp_path):
    assert not finished(tmp_path, TINY)
    train(TINY, tmp_path, tensorboard=False)
    assert finished(tmp_path, TINY)
    with pytest.raises(DataError, match="other settings"):
        finished(tmp_path, replace(TINY, seed=1))


def test_what_may_change_on_resume_may_change_where_runs_are_looked_for(tmp_path):
    run = Run("outcome", TINY, tmp_path / "a")
    train_all([run], workers=1)
    assert finished(run.folder, replace(TINY, eval_every=1, checkpoint_every=1, keep=2))
    longer = replace(TINY, updates=3)
    assert not finished(run.folder, longer)
    train_all([replace(run, settings=longer)], workers=1)
    assert finished(run.folder, longer)
    with pytest.raises(DataError, match="a result of 3 updates, not of 2"):
        finished(run.folder, TINY)
