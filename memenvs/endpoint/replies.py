"""Replies, failures, and the file that keeps replies.

* `Reply`, `Failure` - the two things a request comes to; `EndpointError` - none could be made.
* `request_key` - what makes two requests the same.
* `ReplyCache` - replies by key in SQLite, for several processes at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memenvs.errors import MemenvsError, SettingsError

Message = Mapping[str, str]
"""``{"role": "user", "content": "..."}``."""

KINDS = (
    "rate_limited",
    "server_error",
    "timeout",
    "connection",
    "bad_body",
    "no_text",
    "refused",
    "not_in_cache",
)
"""Kinds of failure: 429; 5xx; no whole reply in time; out of reach or connection broken; a body that is no completion; a completion
without text; a request that the server will not take (4xx); a miss in replay mode."""


LOCKED_SECONDS = 60.0
"""Longest wait for other processes that hold a cache's file."""


class EndpointError(MemenvsError):
    """Nobody could be asked at all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote."""

    text: str
    """Never blank."""
    finish_reason: str = "stop"
    """As the server says; "length" where the reply was cut off at its longest."""
    prompt_tokens: int | None = None
    """Tokens read, as the server reports them; None where it does not."""
    completion_tokens: int | None = None
    """Tokens written."""

    @property
    def truncated(self) -> bool:
        """Whether the reply was cut off."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply."""

    kind: str
    """One of `KINDS`."""
    message: str
    """For people: what came, and what was tried."""
    key: str = ""
    """The request's key in a cache."""
    prompt_tokens: int = 0
    """Tokens that were read, and paid for, all the same: by a completion without text."""
    completion_tokens: int = 0
    """Tokens that were written all the same, for instance as thoughts."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def request_key(model: str, parameters: Mapping[str, Any], messages: Sequence[Message], sample: int = 0) -> str:
    """SHA-256 (64 hex digits) over the canonical JSON of a request. Address, key and patience are no part of it."""
    asked = {"model": model, "parameters": dict(parameters), "messages": [dict(m) for m in messages], "sample": sample}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ReplyCache:
    """Replies by key in an SQLite file in WAL mode: threads and processes of one machine may share it.

    The first reply to a request stays: who comes later gets that one. Failures are not kept.

    Args:
        path: the file, made if it is not there. Not on a network drive: SQLite's WAL needs shared memory.

    Raises:
        SettingsError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None
        with self._using():
            pass

    def get(self, key: str) -> Reply | None:
        """The reply to a request, or None.

        Raises:
            EndpointError: the file cannot be read any more.
        """
        with self._using() as connection:
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else Reply(**json.loads(row[0]))

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
        return Reply(**json.loads(row[0]))

    def __len__(self) -> int:
        """Number of replies kept."""
        with self._using() as connection:
            return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The connection of this process: one that was opened before a fork must not be used after it."""
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = os.getpid(), _opened(self.path)
            try:
                yield self._open[1]
            except sqlite3.Error as error:
                raise EndpointError(f"the reply cache {self.path} failed: {type(error).__name__}: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a cache, which is made where there is none."""
    end = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL)"
            )
            connection.execute("SELECT key, model, reply FROM replies LIMIT 1")
        except (sqlite3.Error, OSError) as error:
            # Processes that switch a new file to WAL at the same moment are told "locked" at once, whatever the time-out.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            locked = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if locked and time.monotonic() < end:
                threading.Event().wait(random.uniform(0.005, 0.05))
                continue
            raise SettingsError(
                f"{path}: expected a reply cache or a place for one ({type(error).__name__}: {error}); name another file"
            ) from error
        return connection
