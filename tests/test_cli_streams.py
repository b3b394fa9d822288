"""Commands whose input or output somebody closed, and broken pipes that are none of the output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainers import commands
from trainers.cli import main

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_command_without_output_says_nothing(closed):
    line = f'exec "{sys.executable}" -m memenvs envs {closed}'
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such pipes")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_whose_reader_is_gone_says_nothing(unbuffered):
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "memenvs", "envs"], stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=600,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    finally:
        os.close(theirs)
    assert done.stderr == ""


def test_another_broken_pipe_is_told(monkeypatch, capfd):
    def broken():
        """What somebody wrote to is gone, and that was not the output."""
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setitem(commands.COMMANDS, "envs", broken)
    with pytest.raises(BrokenPipeError):
        main(["envs"])
