"""The line to one server: what all who ask the same model in this process share.

Connections, rate limits, cache, requests under way, and how long the server has been out of reach. The environments of a
group ask the same questions of the same evidence; because they share a line, each of those costs one call.
"""

from __future__ import annotations

import json
import os
import random
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from memenvs.endpoint.cache import ReplyCache
from memenvs.endpoint.exchange import INTERRUPTED, Fault, exchange, models
from memenvs.endpoint.limits import Clock, RateLimit
from memenvs.endpoint.replies import EndpointError, Failure, Message, Reply, request_key
from memenvs.endpoint.settings import ChatSettings
from memenvs.endpoint.usage import Usage
from memenvs.endpoint.wire import CONNECT_SECONDS, Stop, Wire, Wires
from memenvs.errors import SettingsError

REMEMBERED = 65_536
"""Replies kept in memory."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds of exponential back-off: before the first retry, and at most."""

NAMING_PATIENCE = 10.0
"""Longest patience where the server is asked for its models."""
QUIET = LONGEST_WAIT + CONNECT_SECONDS
"""Seconds between two tries of one outage, at most; after a longer silence, and one longer than patience, it is another outage."""

T = TypeVar("T")


class Line:
    """See the module's docstring; made by `line_to`."""

    def __init__(self, settings: ChatSettings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.cache = None if settings.cache is None else ReplyCache(settings.cache, settings.replay)
        self._wires = None if settings.replay else Wires(settings)
        self._limit = RateLimit(settings.requests_per_minute, settings.tokens_per_minute, clock)
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Reply | Failure]] = {}
        self._memory: OrderedDict[str, Reply] = OrderedDict()
        self._unwritten: dict[str, tuple[str, Reply]] = {}
        self._down_since: float | None = None
        self._last_down = 0.0
        self._model = settings.model
        # For waiting times alone, never for results.
        self._jitter = random.Random()

    def model(self, stop: Stop) -> str:
        """The model's name; asks the server for it where the settings do not say.

        Raises:
            SettingsError: the server lists none or several.
            EndpointError: it cannot be asked.
        """
        with self._lock:
            if self._model:
                return self._model
        # Not for long: a wrong address is likelier here than a server that restarts.
        patience = min(self.settings.patience, NAMING_PATIENCE)
        found = self._patiently(
            lambda: self._on_wire(stop, lambda wire: models(wire, self.settings.timeout, stop)),
            lambda: None,
            stop,
            patience,
        )
        if isinstance(found, Failure):
            raise EndpointError(f"{self.settings.base_url} could not be asked for its models; {found}")
        if len(found) != 1:
            shown = f"{len(found)}: {', '.join(found[:8])}" if found else "none"
            raise SettingsError(
                f"{self.settings.base_url} was expected to list one model, it lists {shown}; name one, as in "
                f'"{self.settings.base_url}#NAME"'
            )
        with self._lock:
            self._model = found[0]
            return self._model

    def ask(self, messages: Sequence[Message], usage: Usage, stop: Stop) -> Reply | Failure:
        """The reply to one request: remembered, waited for where it is under way already, or fetched.

        Raises:
            SettingsError: see `model`.
            EndpointError: the cache's file failed. A reply that was fetched is counted and remembered all the same.
        """
        try:
            model = self.model(stop)
        except EndpointError as error:
            return self._counted(Failure("connection", str(error)), usage)
        key = request_key(model, self.settings.parameters, messages, self.settings.sample)
        while True:
            with self._lock:
                known = self._memory.get(key)
                shared = self._under_way.get(key)
                if known is not None:
                    self._memory.move_to_end(key)
                elif shared is None:
                    mine = self._under_way[key] = Future()
            if known is not None:
                return self._counted(known, usage, cached=True)
            if shared is None:
                break
            with suppress(CancelledError):  # who asked was stopped: the next one asks
                return self._counted(shared.result(), usage, cached=True)
        try:
            outcome, cached = self._find(key, model, messages, usage, stop)
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        try:
            # What was paid for is counted before anything else can go wrong.
            self._counted(outcome, usage, cached)
            if isinstance(outcome, Reply) and not cached and self.cache is not None:
                outcome = self._kept(key, model, outcome)
        finally:
            with self._lock:
                del self._under_way[key]
                if isinstance(outcome, Reply):
                    self._memory[key] = outcome
                    if len(self._memory) > REMEMBERED:
                        self._memory.popitem(last=False)
            if isinstance(outcome, Failure) and stop.is_set():
                mine.cancel()
            else:
                mine.set_result(outcome)
        return outcome

    def _kept(self, key: str, model: str, reply: Reply) -> Reply:
        """Into the file; gives the reply as it stands there. What could not be written before is tried again."""
        kept = self._write(key, model, reply)
        while True:
            with self._lock:
                if not self._unwritten:
                    # Another process's text may stand there; what ours cost is what we were told.
                    return replace(reply, text=kept.text, finish_reason=kept.finish_reason)
                other, (written_by, what) = self._unwritten.popitem()
            self._write(other, written_by, what)

    def _write(self, key: str, model: str, reply: Reply) -> Reply:
        assert self.cache is not None
        try:
            return self.cache.put(key, model, reply)
        except EndpointError:
            with self._lock:
                self._unwritten[key] = model, reply
            raise

    @staticmethod
    def _counted(outcome: Reply | Failure, usage: Usage, cached: bool = False) -> Reply | Failure:
        usage.count(outcome, cached)
        return outcome

    def _find(
        self, key: str, model: str, messages: Sequence[Message], usage: Usage, stop: Stop
    ) -> tuple[Reply | Failure, bool]:
        """From the file or the server, and whether it was the file."""
        if self.cache is not None and (kept := self.cache.get(key)) is not None:
            return kept, True
        settings = self.settings
        if settings.replay:
            last = dict(messages[-1]).get("content", "")[-80:]
            return Failure("not_in_cache", f"{settings.cache} holds no reply for {key} (...{last!r})", key), False
        # Four characters a token is a guess; the server's report replaces it.
        estimate = len(json.dumps([dict(m) for m in messages])) // 4 + (settings.max_tokens or 0)

        def attempt(wire: Wire) -> Reply | Fault:
            # With a connection in hand: what begins is sent at once.
            slot = self._limit.begin(estimate, stop)
            if slot is None:
                return Fault("connection", INTERRUPTED, False)
            outcome = exchange(wire, model, settings.parameters, messages, settings.timeout, stop)
            if isinstance(outcome, Reply) and outcome.prompt_tokens is not None:
                self._limit.settle(slot, outcome.prompt_tokens + (outcome.completion_tokens or 0))
            return outcome

        outcome = self._patiently(lambda: self._on_wire(stop, attempt), usage.retried, stop, settings.patience)
        return (replace(outcome, key=key) if isinstance(outcome, Failure) else outcome), False

    def _on_wire(self, stop: Stop, attempt: Callable[[Wire], T | Fault]) -> T | Fault:
        assert self._wires is not None
        with self._wires.one(stop) as wire:
            return Fault("connection", INTERRUPTED, False) if wire is None else attempt(wire)

    def _patiently(
        self, attempt: Callable[[], T | Fault], again: Callable[[], None], stop: Stop, patience: float
    ) -> T | Failure:
        """Try until it works, retries are used up, or patience is over."""
        settings, tries, wrong, first_down = self.settings, 0, 0, None
        while True:
            outcome = attempt()
            tries += 1
            now = self.clock.now()
            if not isinstance(outcome, Fault):
                self._down_since = None
                return outcome
            if stop.is_set():
                # No fault of the server's.
                return Failure(outcome.kind, INTERRUPTED)
            if outcome.away or outcome.kind == "connection":
                # Out of reach: patience decides, and all who share this line share it. A server that is gone is found gone once.
                if now - self._last_down > max(QUIET, settings.patience):
                    self._down_since = None
                since = self._down_since = now if self._down_since is None else self._down_since
                self._last_down = now
                first_down = now if first_down is None else first_down
                over = now - min(since, first_down) >= patience
            else:
                self._down_since = None
                wrong += 1
                over = wrong > settings.max_retries
            wait = min(FIRST_WAIT * 2.0 ** min(tries - 1, 16), LONGEST_WAIT) * (0.5 + 0.5 * self._jitter.random())
            if outcome.retry_after is not None:
                # No sooner than without a word: one that says 0, or a time that is past, says nothing about the next try.
                wait = max(wait, outcome.retry_after)
                over = over or outcome.retry_after > patience
            if over or not outcome.again:
                asked = "" if outcome.retry_after is None else f"; it asks to wait {outcome.retry_after:g} s"
                tried = "1 try" if tries == 1 else f"{tries} tries"
                said = f"{outcome.message} ({tried} at {settings.base_url}{asked})"
                return Failure(outcome.kind, said, "", outcome.prompt_tokens, outcome.completion_tokens)
            if outcome.retry_after is not None:
                self._limit.pause(outcome.retry_after)
            self.clock.wait(wait, stop)
            if stop.is_set():
                return Failure(outcome.kind, f"{outcome.message} ({INTERRUPTED})")
            again()


_LINES: weakref.WeakValueDictionary[str, Line] = weakref.WeakValueDictionary()
_LINES_LOCK = threading.Lock()


def line_to(settings: ChatSettings) -> Line:
    """The line of this process for these settings; it lives as long as somebody holds it. A forked process makes its own."""
    key = f"{os.getpid()} {json.dumps(settings.to_json(), sort_keys=True)} {os.environ.get(settings.api_key_env)}"
    with _LINES_LOCK:
        line = _LINES.get(key)
        if line is None:
            line = _LINES[key] = Line(settings, Clock())
        return line
