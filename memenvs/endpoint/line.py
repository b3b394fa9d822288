"""The line to one server: what all who ask the same model in this process share.

Client, concurrency, rate limits, cache, requests under way, and how long the server has been out of reach. The environments of a
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
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from memenvs.endpoint.exchange import Fault, connect, exchange, models
from memenvs.endpoint.limits import Clock, RateLimit
from memenvs.endpoint.replies import EndpointError, Failure, Message, Reply, ReplyCache, request_key
from memenvs.endpoint.settings import ChatSettings
from memenvs.endpoint.usage import Usage
from memenvs.errors import SettingsError

REMEMBERED = 65_536
"""Replies kept in memory."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds of exponential back-off: before the first retry, and at most."""

NAMING_PATIENCE = 10.0
"""Longest patience where the server is asked for its models."""

T = TypeVar("T")


class Line:
    """See the module's docstring; made by `line_to`."""

    def __init__(self, settings: ChatSettings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.cache = None if settings.cache is None else ReplyCache(settings.cache)
        self._client = None if settings.replay else connect(settings)
        self._slots = threading.BoundedSemaphore(settings.concurrency)
        self._limit = RateLimit(settings.requests_per_minute, settings.tokens_per_minute, clock)
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Reply | Failure]] = {}
        self._memory: OrderedDict[str, Reply] = OrderedDict()
        self._down_since: float | None = None
        self._model = settings.model
        # For waiting times alone, never for results.
        self._jitter = random.Random()

    def model(self, stop: threading.Event) -> str:
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
        found = self._patiently(lambda: models(self._client, self.settings.timeout), lambda: None, stop, patience)
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

    def ask(self, messages: Sequence[Message], usage: Usage, stop: threading.Event) -> Reply | Failure:
        """The reply to one request: remembered, waited for where it is under way already, or fetched."""
        try:
            model = self.model(stop)
        except EndpointError as error:
            return self._counted(Failure("connection", str(error)), usage)
        key = request_key(model, self.settings.parameters, messages, self.settings.sample)
        with self._lock:
            known = self._memory.get(key)
            if known is None:
                shared = self._under_way.get(key)
                if shared is None:
                    mine = self._under_way[key] = Future()
            else:
                self._memory.move_to_end(key)
        if known is not None:
            return self._counted(known, usage, cached=True)
        if shared is not None:
            return self._counted(shared.result(), usage, cached=True)
        try:
            outcome, cached = self._find(key, model, messages, usage, stop)
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._under_way[key]
            if isinstance(outcome, Reply):
                self._memory[key] = outcome
                if len(self._memory) > REMEMBERED:
                    self._memory.popitem(last=False)
        mine.set_result(outcome)
        return self._counted(outcome, usage, cached)

    @staticmethod
    def _counted(outcome: Reply | Failure, usage: Usage, cached: bool = False) -> Reply | Failure:
        usage.count(outcome, cached)
        return outcome

    def _find(
        self, key: str, model: str, messages: Sequence[Message], usage: Usage, stop: threading.Event
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

        def attempt() -> Reply | Fault:
            slot = self._limit.begin(estimate, stop)
            with self._slots:
                outcome = exchange(self._client, model, settings.parameters, messages, settings.timeout)
            if isinstance(outcome, Reply) and outcome.prompt_tokens is not None:
                self._limit.settle(slot, outcome.prompt_tokens + (outcome.completion_tokens or 0))
            return outcome

        outcome = self._patiently(attempt, usage.retried, stop, settings.patience)
        if isinstance(outcome, Failure):
            return replace(outcome, key=key), False
        if self.cache is not None:
            kept = self.cache.put(key, model, outcome)
            # What was paid for is counted as reported, whoever's text stays.
            outcome = replace(outcome, text=kept.text, finish_reason=kept.finish_reason)
        return outcome, False

    def _patiently(
        self, attempt: Callable[[], T | Fault], again: Callable[[], None], stop: threading.Event, patience: float
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
            if outcome.kind == "connection":
                # Out of reach: patience decides, and all who share this line share it. A server that is gone is found gone once.
                since = self._down_since = now if self._down_since is None else self._down_since
                first_down = now if first_down is None else first_down
                over = now - min(since, first_down) >= patience
            else:
                self._down_since = None
                wrong += 1
                over = wrong > settings.max_retries
            wait = min(FIRST_WAIT * 2.0 ** min(tries - 1, 16), LONGEST_WAIT) * (0.5 + 0.5 * self._jitter.random())
            if outcome.retry_after is not None:
                wait = outcome.retry_after
                over = over or wait > patience
            if over or not outcome.again:
                asked = "" if outcome.retry_after is None else f"; it asks to wait {outcome.retry_after:g} s"
                tried = "1 try" if tries == 1 else f"{tries} tries"
                said = f"{outcome.message} ({tried} at {settings.base_url}{asked})"
                return Failure(outcome.kind, said, "", outcome.prompt_tokens, outcome.completion_tokens)
            if outcome.retry_after is not None:
                self._limit.pause(wait)
            self.clock.wait(wait, stop)
            if stop.is_set():
                return Failure(outcome.kind, f"{outcome.message} (given up: interrupted)")
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
