"""Connections to a server, one request at a time on each, that another thread may cut.

A read that waits for bytes goes on when another thread closes its socket, or the client around it; it ends when the socket is shut
down. The transport tells which sockets it opens (its ``trace`` extension, www.python-httpx.org/advanced/extensions), but not which
of them a request uses; so each client here has one connection.

* `Stop` - nobody wants the replies any more.
* `Wire`, `Try` - one connection, and the request on it.
* `Wires` - as many as requests may be under way.
* `transport` - what is under the client.
"""

from __future__ import annotations

import importlib
import importlib.util
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from memenvs.endpoint.key import read_key, without_key
from memenvs.endpoint.settings import ChatSettings
from memenvs.errors import SettingsError

CONNECT_SECONDS = 10.0
"""Longest wait for a connection to be made."""


class Stop(threading.Event):
    """Set when an asker gives up: ends its waiting, and cuts its requests under way."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Callable[[], None]] = []
        self._guard = threading.Lock()

    def set(self) -> None:
        """Give up."""
        super().set()
        with self._guard:
            calls = list(self._calls)
        for call in calls:
            call()

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Within this block, giving up calls ``call``, from the thread that gives up; at once where that was before."""
        with self._guard:
            self._calls.append(call)
        try:
            if self.is_set():
                call()
            yield
        finally:
            with self._guard:
                self._calls.remove(call)


@dataclass(slots=True)
class Try:
    """What is known of one request while it is under way."""

    cut: bool = False
    """Whether its connection was cut here: its time was over, or its asker gave up."""
    response: Any = None
    """The response, once its status and headers have come."""


class Wire:
    """A client with at most one connection.

    Args:
        settings: where, and how long to wait.
        key: sent, and shown in no message.
        verify: TLS context.
    """

    def __init__(self, settings: ChatSettings, key: str, verify: Any) -> None:
        import openai

        self._key = key
        self._lock = threading.Lock()
        self._now: Try | None = None
        self._sockets: list[socket.socket] = []
        hooks: Any = {"request": [self._begins], "response": [self._answered]}
        limits = transport().Limits(max_connections=1, max_keepalive_connections=1)
        self.client: Any = openai.OpenAI(
            base_url=settings.base_url,
            api_key=key or "none",
            max_retries=0,
            timeout=openai.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout)),
            http_client=openai.DefaultHttpxClient(verify=verify, limits=limits, event_hooks=hooks),
        )
        """What requests are sent with."""

    def shown(self, text: str, most: int) -> str:
        """The beginning of a text that came from outside, at most so many characters, without the key."""
        return without_key(text, self._key)[:most]

    @contextmanager
    def within(self, seconds: float, stop: Stop) -> Iterator[Try]:
        """One request, whose connection is cut after ``seconds`` or by ``stop``: then reading from it fails or finds its end."""
        now = Try()

        def cut() -> None:
            with self._lock:
                if self._now is now:
                    now.cut = True
                    self._shut()

        with self._lock:
            self._now = now
        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            with stop.calling(cut):
                yield now
        finally:
            timer.cancel()
            with self._lock:
                self._now = None

    def _begins(self, request: Any) -> None:
        request.extensions["trace"] = self._trace

    def _answered(self, response: Any) -> None:
        # The client decodes the text of an error as its Content-Type says, which may name no encoding of text.
        response.encoding = "utf-8"
        if self._now is not None and not response.has_redirect_location:
            self._now.response = response

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Remember each socket, also the one that TLS makes of another."""
        stream: Any = info.get("return_value")
        if not hasattr(stream, "get_extra_info"):
            return
        with self._lock:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0]
            self._sockets.append(stream.get_extra_info("socket"))
            if self._now is not None and self._now.cut:
                self._shut()

    def _shut(self) -> None:
        for known in self._sockets:
            with suppress(OSError):  # closed already
                # Not the method of a TLS socket, which also takes its state from under the thread that reads.
                socket.socket.shutdown(known, socket.SHUT_RDWR)


class Wires:
    """Connections to one server, made when they are needed; at most ``settings.concurrency``.

    Raises:
        SettingsError: the client is not installed; or the address, the key, a proxy or the certificates of the environment cannot
            be used.
    """

    def __init__(self, settings: ChatSettings) -> None:
        if importlib.util.find_spec("openai") is None:
            raise SettingsError("asking an endpoint needs the openai client: pip install -e '.[endpoint]'")
        self._settings, self._key = settings, read_key(settings.api_key_env)
        try:
            transport().URL(settings.base_url)
        except transport().InvalidURL as error:
            raise SettingsError(f"base_url must be an address, got {settings.base_url!r}: {error}") from error
        try:
            self._verify = transport().create_ssl_context()
            first = Wire(settings, self._key, self._verify)
        # The text of a proxy's error may quote the password in its address.
        except (ValueError, transport().InvalidURL) as error:
            raise SettingsError(
                f"the proxy of the environment cannot be used ({type(error).__name__}): HTTP_PROXY, HTTPS_PROXY and ALL_PROXY must "
                "be addresses such as http://host:8080, NO_PROXY a list of hosts"
            ) from None
        except ImportError as error:
            raise SettingsError(f"the proxy in ALL_PROXY, HTTP_PROXY or HTTPS_PROXY cannot be used: {error}") from error
        except OSError as error:
            raise SettingsError(
                f"the certificates cannot be read ({type(error).__name__}: {error}); see SSL_CERT_FILE and SSL_CERT_DIR"
            ) from error
        self._made = [first]
        self._free = [first]
        self._freed = threading.Condition()
        weakref.finalize(self, _close, self._made).atexit = False

    @contextmanager
    def one(self, stop: Stop) -> Iterator[Wire | None]:
        """A connection that nobody else uses meanwhile; None where ``stop`` ended the waiting for one."""
        with stop.calling(self._wake), self._freed:
            self._freed.wait_for(lambda: self._free or len(self._made) < self._settings.concurrency or stop.is_set())
            wire = None if stop.is_set() else self._taken()
        try:
            yield wire
        finally:
            if wire is not None:
                with self._freed:
                    self._free.append(wire)
                    self._freed.notify()

    def _taken(self) -> Wire:
        if self._free:
            return self._free.pop()  # the last that was used: its connection is the likeliest to be open
        self._made.append(Wire(self._settings, self._key, self._verify))
        return self._made[-1]

    def _wake(self) -> None:
        with self._freed:
            self._freed.notify_all()


def _close(wires: list[Wire]) -> None:
    for wire in wires:
        wire.client.close()


def transport() -> Any:
    """The package that the client sends with: httpx, or its successor, as the client's version has it."""
    import openai

    return importlib.import_module(openai.DefaultHttpxClient.__base__.__module__.partition(".")[0])
