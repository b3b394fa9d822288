"""One command at a time in the folder of a run, a demo or an evaluation: two would write to the same files.

* `alone_in` - hold the folder.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from memenvs.errors import SettingsError

LOCK = ".lock"
"""File that is locked. It stays: who removed it could take it from under a command that has just opened it."""
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder.

    The lock ends with the process that holds it, also with SIGKILL. Where the system or the disk has no locks, a warning says so.

    Args:
        folder: made if it is not there.

    Raises:
        SettingsError: another command holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="ascii") as file:
        if not _locked(file):
            raise SettingsError(
                f"another command is writing to {folder} ({_holder(file)}): wait until it is done, stop it, or name another folder "
                "with --out"
            )
        _write(
            file,
            json.dumps(
                {"process": os.getpid(), "host": platform.node(), "since": datetime.now().isoformat(" ", "seconds")}
            ),
        )
        try:
            yield
        finally:
            _write(file, "")


def _locked(file: IO[str]) -> bool:
    """Whether this process has the file now."""
    try:
        import fcntl
    except ImportError:
        return _unsafe(file, "this system has no file locks")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        return _unsafe(file, f"no locks there ({error})")
    return True


def _unsafe(file: IO[str], why: str) -> bool:
    warnings.warn(f"{file.name}: {why}; see to it that no other command writes to the folder meanwhile", stacklevel=4)
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except json.JSONDecodeError:  # it has not written its name yet
        return "just begun"
    return f"process {found['process']} on {found['host']}, since {found['since']}"


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
