"""ChatEndpoint: conversations in, replies or failures out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from memenvs.endpoint.limits import Clock
from memenvs.endpoint.line import Line, line_to
from memenvs.endpoint.replies import EndpointError, Failure, Message, Reply, request_key
from memenvs.endpoint.settings import ChatSettings
from memenvs.endpoint.usage import Usage
from memenvs.endpoint.wire import Stop

ENDING = 2.0
"""Longest wait for requests that were cut off to end."""


class ChatEndpoint:
    """A model behind an OpenAI-compatible server.

    Endpoints with equal settings share connections, limits, caches and requests under way within a process; each counts its own
    `usage`. It may be pickled and copied: a copy starts with an empty usage.

    Args:
        settings: where, which model, how patiently.
        clock: time for waiting; an endpoint with a clock of its own shares nothing.

    Raises:
        SettingsError: the cache's file cannot be used.
    """

    def __init__(self, settings: ChatSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.usage = Usage(settings.price_in, settings.price_out)
        """What was asked through this endpoint, and what it cost."""
        self._clock = clock
        self._made = os.getpid(), self._make()

    def _make(self) -> Line:
        return line_to(self.settings) if self._clock is None else Line(self.settings, self._clock)

    def __reduce__(self) -> Any:
        return type(self), (self.settings,)

    @property
    def _line(self) -> Line:
        if self._made[0] != os.getpid():
            self._made = os.getpid(), self._make()
        return self._made[1]

    @property
    def name(self) -> str:
        """The model's name; the server is asked for it where the settings do not say.

        Raises:
            SettingsError: the server lists none or several, or the client is not installed.
            EndpointError: the server cannot be asked.
        """
        return self._line.model(Stop())

    def with_own_usage(self) -> ChatEndpoint:
        """The same line to the server, counted apart: for one agent, one table row, one chunk."""
        other = ChatEndpoint.__new__(ChatEndpoint)
        other.settings, other._clock = self.settings, self._clock
        other.usage = Usage(self.settings.price_in, self.settings.price_out)
        other._made = os.getpid(), self._line
        return other

    def complete(self, conversations: Sequence[Sequence[Message]]) -> list[Reply | Failure]:
        """One reply, or the reason why there is none, per conversation and in their order.

        Equal conversations cost one request. A single failure raises nothing and leaves the others alone.

        Args:
            conversations: each a list of ``{"role": ..., "content": ...}``.

        Raises:
            SettingsError: no model is named, and the server lists none or several.
            EndpointError: the cache's file failed. What was answered is counted and remembered: the next call has it.
        """
        keys = [request_key("", {}, messages) for messages in conversations]
        # Each of them once: the rollouts of a group ask the same, and who waits for another's reply would hold a place in the pool.
        distinct: dict[str, Sequence[Message]] = {}
        for key, messages in zip(keys, conversations, strict=True):
            distinct.setdefault(key, messages)
        found = dict(zip(distinct, self._each(list(distinct.values())), strict=True))
        for key, times in Counter(keys).items():
            for _ in range(times - 1):
                self.usage.count(found[key], cached=True)
        return [found[key] for key in keys]

    def _each(self, conversations: Sequence[Sequence[Message]]) -> list[Reply | Failure]:
        """The outcomes of conversations that all differ."""
        if not conversations:
            return []
        line, stop = self._line, Stop()
        if len(conversations) == 1:
            return [line.ask(conversations[0], self.usage, stop)]
        # Not in a "with": it would wait for all that is under way before an interrupt gets out.
        pool = ThreadPoolExecutor(min(self.settings.concurrency, len(conversations)))
        asked: list[Future[Reply | Failure]] = []
        try:
            asked += [pool.submit(line.ask, messages, self.usage, stop) for messages in conversations]
            try:
                return [future.result() for future in asked]
            except EndpointError:
                # What is under way will be paid for, so it is waited for and remembered; what is not begun is not.
                pool.shutdown(cancel_futures=True)
                raise
        except BaseException:
            # Interrupted: what waits gives up, what is under way is cut off.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            wait([future for future in asked if not future.cancelled()], ENDING)
            raise
        finally:
            pool.shutdown(wait=False)
