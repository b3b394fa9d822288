"""The file that keeps replies: SQLite, for several processes at once.

* `ReplyCache` - replies by key.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from memenvs.endpoint.replies import EndpointError, Reply
from memenvs.errors import SettingsError

LOCKED_SECONDS = 60.0
"""Longest wait for other processes that hold a cache's file."""

_COLUMNS = {"key", "model", "reply"}


class ReplyCache:
    """Replies by key in an SQLite file in WAL mode: threads and processes of one machine may share it.

    The first reply to a request stays: who comes later gets that one. Failures are not kept.

    Args:
        path: the file, made if it is not there. Not on a network drive: SQLite's WAL needs shared memory.
        read_only: the file must be there, and neither it nor its folder is written to.

    Raises:
        SettingsError: the file cannot be opened, is something else, or is to be read and is not there.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        self._lock = threading.Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None
        if read_only:
            if not path.is_file():
                raise SettingsError(
                    f"there is no cache of replies at {path}; replay answers from one that was filled before"
                )
            try:
                with closing(_opened_to_read(path)) as connection:
                    _check(connection, path, empty=False)
            except sqlite3.Error as error:
                raise _unusable(path, error) from error
        else:
            with self._using():
                pass

    def get(self, key: str) -> Reply | None:
        """The reply to a request, or None.

        Raises:
            EndpointError: the file, or the reply in it, cannot be read.
        """
        with self._using() as connection:
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else self._reply(key, row[0])

    def put(self, key: str, model: str, reply: Reply) -> Reply:
        """Keep a reply; gives the one that is kept, which is an earlier one where another process was first.

        Raises:
            EndpointError: it cannot be written, for instance because the disk is full.
        """
        kept = {name: getattr(reply, name) for name in Reply.__slots__}
        with self._using() as connection:
            with connection:
                connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", (key, model, json.dumps(kept)))
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return self._reply(key, row[0])

    def __len__(self) -> int:
        """Number of replies kept."""
        with self._using() as connection:
            return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])

    def _reply(self, key: str, kept: str) -> Reply:
        try:
            reply = Reply(**json.loads(kept))
            if not isinstance(reply.text, str) or not isinstance(reply.finish_reason, str):
                raise TypeError("its text is none")
        except (TypeError, ValueError) as error:
            raise EndpointError(
                f"the reply cache {self.path} holds a reply that cannot be read, key {key} ({type(error).__name__}: {error}); "
                f"delete that row (DELETE FROM replies WHERE key = '{key}') or name another file"
            ) from error
        return reply

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The connection of this process: one that was opened before a fork must not be used after it."""
        with self._lock:
            try:
                if self.read_only:
                    with closing(_opened_to_read(self.path)) as connection:
                        yield connection
                    return
                if self._open is None or self._open[0] != os.getpid():
                    self._open = os.getpid(), _opened(self.path)
                yield self._open[1]
            except sqlite3.Error as error:
                raise EndpointError(
                    f"the reply cache {self.path} failed: {type(error).__name__}: {error}; see whether the disk has room and the "
                    "file is whole, or name another file"
                ) from error


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, opened for each reading: without a log beside the file nobody writes to it just now."""
    # With a log it is read through shared memory, whose file is made if need be.
    log = path.with_name(path.name + "-wal").exists()
    address = f"{path.resolve().as_uri()}?mode=ro{'' if log else '&immutable=1'}"
    return sqlite3.connect(address, uri=True, timeout=LOCKED_SECONDS, check_same_thread=False)


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a cache, which is made where there is none."""
    end = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, check_same_thread=False)
            # Before anything is written: it may be somebody else's.
            _check(connection, path, empty=True)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL)"
            )
        except (sqlite3.Error, OSError) as error:
            # Processes that switch a new file to WAL at the same moment are told "locked" at once, whatever the time-out.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            locked = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if locked and time.monotonic() < end:
                threading.Event().wait(random.uniform(0.005, 0.05))
                continue
            raise _unusable(path, error) from error
        return connection


def _check(connection: sqlite3.Connection, path: Path, empty: bool) -> None:
    """That the file is a cache, or empty where it may be."""
    tables = {
        row[0]
        for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'")
    }
    columns = {row[1] for row in connection.execute("PRAGMA table_info(replies)")}
    if (tables, columns) != ({"replies"}, _COLUMNS) and not (empty and not tables):
        holds = f"an SQLite file that holds {', '.join(sorted(tables)) or 'nothing'}"
        raise SettingsError(f"{path}: expected a reply cache or a place for one, got {holds}; name another file")


def _unusable(path: Path, error: Exception) -> SettingsError:
    return SettingsError(
        f"{path}: expected a reply cache or a place for one ({type(error).__name__}: {error}); name another file"
    )
