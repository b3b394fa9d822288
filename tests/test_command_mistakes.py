"""Mistakes, full disks and Ctrl-C in commands that train: one line, a way out, an exit code."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agents.language_model.small import SmallSettings
from memenvs.errors import SettingsError
from trainers.cli import main
from trainers.lock import alone_in

SMALL = ["--T", "4", "--updates", "2", "--group-size", "2", "--eval-streams", "2", "--final-streams", "2"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["demo-lm", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["demo-lm", "--seeds", "-1"], "seeds must be at least 1, got -1"),
        (["demo-lm", "--workers", "-1"], "workers must be at least 0, got -1"),
        (["demo-lm", "--streams", "0"], "streams must be at least 1"),
        (["demo-lm", "--hidden", "4"], "hidden must be a multiple of 8 with 4 heads, got 4"),
        (["demo-lm", "--hidden", "6"], "heads must be even and divide hidden"),
        (["demo-lm", "--reward", "nosuch"], "unknown reward 'nosuch'"),
        (["demo", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["demo", "--workers", "-1"], "workers must be at least 0, got -1"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_made(given, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main([*given, "--out", str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()


def test_a_head_of_an_odd_width_is_refused():
    with pytest.raises(SettingsError, match="must be even"):
        SmallSettings(hidden=12, heads=4)


@pytest.mark.parametrize("command", [["train", *SMALL], ["demo", "--seeds", "1"], ["demo-lm", "--seeds", "1"]])
def test_a_folder_that_another_command_writes_to_is_refused(command, tmp_path):
    with alone_in(tmp_path), pytest.raises(SystemExit, match=f"another command.*process {os.getpid()}.*--out"):
        main([*command, "--out", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}


@pytest.mark.parametrize("command", [["train", *SMALL], ["demo-lm"]])
def test_a_place_where_nothing_can_be_written_is_one_line(command):
    with pytest.raises(SystemExit, match=r"^/dev/null/x: Not a directory\. Is the path right"):
        main([*command, "--out", "/dev/null/x"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    (tmp_path / "settings.json").symlink_to("/dev/full")
    with pytest.raises(SystemExit, match=r"No space left on device\. Is the path right"):
        main(["train", *SMALL, "--out", str(tmp_path)])


def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(tmp_path):
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += "from trainers.cli import main; main(sys.argv[1:])"
    long = ["--T", "4", "--group-size", "2", "--updates", "9999", "--eval-streams", "2", "--checkpoint-every", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "train", *long, "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while process.poll() is None and not list(tmp_path.glob("checkpoint-*")):
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "stopped; what was finished is kept" in told
    assert "Traceback" not in told
    assert list(tmp_path.glob("checkpoint-*"))
