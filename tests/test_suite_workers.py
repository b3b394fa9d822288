"""A suite played by several processes: the same records and the same table as by one."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from test_suite_reading import plan, records

from memenvs.errors import SettingsError
from trainers.cli import main
from trainers.suites.playing import StreamJob, Unplayed, play_stream, play_streams
from trainers.suites.run import read_suite
from trainers.workers import Workers

ARMS = ["random", "first", "shuffled", "rag", "oracle_evidence"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    read_suite(plan(streams=5, arms=ARMS), folder)
    return folder


def test_two_processes_leave_the_records_of_one(alone, tmp_path):
    read_suite(plan(streams=5, arms=ARMS), tmp_path, workers=Workers(2))
    assert records(tmp_path, ARMS) == records(alone, ARMS)
    assert not list((tmp_path / "waiting").glob("*"))


def test_what_is_finished_out_of_turn_is_kept_in_order(alone, tmp_path, monkeypatch):
    def backwards(plan, jobs, workers):
        for job in reversed(jobs):
            yield from ((job.index, name, found) for name, found in play_stream(plan, job))

    monkeypatch.setattr("trainers.suites.run.play_streams", backwards)
    read_suite(plan(streams=5, arms=ARMS), tmp_path)
    assert records(tmp_path, ARMS) == records(alone, ARMS)


def test_a_stream_that_one_arm_lacks_is_played_by_that_arm_with_the_known_size(alone):
    (size,) = [
        r["steps"][-1]["memory_tokens"] for r in records(alone, ARMS)["random"] if r["settings"]["stream_index"] == 3
    ]
    ((name, record),) = play_stream(plan(streams=5, arms=ARMS), StreamJob(3, ("first",), size))
    assert (name, record.settings["budget"]) == ("first", size)
    ((_, missing),) = play_stream(plan(streams=5, arms=ARMS), StreamJob(3, ("first",)))
    assert missing == Unplayed("first needs the memory size of an agent on this stream: budget=tokens", for_good=True)


def test_workers_here_play_one_episode_at_a_time():
    found = play_streams(plan(streams=5, arms=ARMS), [StreamJob(0, ("random", "first"))])
    index, name, _ = next(found)
    assert (index, name) == (0, "random")


SMALL = ["--suite", "builtin", "--T", "5", "--streams", "4", "--controls", "random", "first", "hindsight"]


def table(folder):
    found = json.loads((folder / "table.json").read_text())
    for row in found["rows"]:
        for name in ("seconds", "playing_seconds"):
            row.get("costs", {}).pop(name, None)
    return found


@pytest.mark.slow
def test_killed_with_its_workers_and_resumed_by_one_process_is_the_same_table(tmp_path):
    main(["evaluate", *SMALL, "--out", str(tmp_path / "alone")])
    command = [sys.executable, "-m", "memenvs", "evaluate", *SMALL, "--workers", "2", "--out", str(tmp_path / "both")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    begun = tmp_path / "both" / "records" / "random.jsonl"
    while process.poll() is None and not (begun.is_file() and begun.stat().st_size):
        threading.Event().wait(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    main(["evaluate", *SMALL, "--out", str(tmp_path / "both")])
    assert table(tmp_path / "both") == table(tmp_path / "alone")


def test_a_cluster_without_workers_and_workers_without_a_suite_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="--workers 8"):
        Workers(0, "auto")
    with pytest.raises(SettingsError, match="workers must be at least 0"):
        Workers(-1)
    with pytest.raises(SystemExit, match="--workers needs a suite"):
        main(["evaluate", "--workers", "2", "--out", str(tmp_path)])
