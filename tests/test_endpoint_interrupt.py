"""Ctrl-C while requests wait or are under way: the caller hears it at once, nothing is sent after it, and the process can end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure
from memenvs.endpoint.limits import Clock, RateLimit
from memenvs.endpoint.line import Line
from memenvs.endpoint.usage import Usage
from memenvs.endpoint.wire import Stop

# Each wait in here is longer than a test may take: who does not hear Ctrl-C is killed, which fails the test.
ASKER = """
import json, signal, sys
from memenvs.endpoint import ChatEndpoint, ChatSettings
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background deaf to Ctrl-C
address, conversations, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
model = ChatEndpoint(ChatSettings(address, "m", patience=1000.0, timeout=1000.0, **settings))
print("asking", flush=True)
try:
    model.complete([[{"role": "user", "content": str(n)}] for n in range(conversations)])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupt(address: str, conversations: int, ready, **settings: object) -> None:
    """Start an asker, interrupt it once it is ``ready``, and see it end."""
    command = [sys.executable, "-c", ASKER, address, str(conversations), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "asking\n"
            while not ready():
                threading.Event().wait(0.02)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=120)[0] == "interrupted\n"
            assert process.returncode == 0
        finally:
            process.kill()


@pytest.mark.parametrize("conversations", [1, 20])
def test_while_it_waits_for_a_server_that_is_gone(conversations):
    with ExitStack() as up:
        server = up.enter_context(EndpointServer())
        server.fault_of = lambda request: "drop"

        def gone() -> bool:
            """Once it has been asked."""
            if server.requests:
                up.close()
            return bool(server.requests)

        interrupt(server.address, conversations, gone)


@pytest.mark.parametrize("conversations", [1, 12])
def test_while_requests_are_under_way(conversations):
    with EndpointServer() as server:
        server.fault_of = lambda request: "hang"
        under_way = min(conversations, 8)
        interrupt(server.address, conversations, lambda: len(server.requests) == under_way)
        assert len(server.requests) == under_way


def test_while_a_rate_limit_holds_the_others_back():
    with EndpointServer() as server:
        interrupt(server.address, 12, lambda: len(server.requests) == 2, requests_per_minute=2)
        assert len(server.requests) == 2


def test_who_gave_up_takes_no_place_in_the_window():
    limit, stop = RateLimit(1, None, FakeClock()), threading.Event()
    stop.set()
    assert limit.begin(1, stop) is None
    assert limit.begin(1, threading.Event()).at == 1000.0


def test_who_gave_up_sends_nothing_and_finds_no_server_gone():
    with EndpointServer() as server:
        line, stop = Line(ChatSettings(server.address, "m"), FakeClock()), Stop()
        stop.set()
        failure = line.ask([{"role": "user", "content": "q"}], Usage(), stop)
        assert isinstance(failure, Failure)
        assert "interrupted" in failure.message
        assert (server.requests, line._down_since) == ([], None)


def test_an_asker_that_gives_up_leaves_the_others_their_requests():
    with EndpointServer() as server:
        server.gate.clear()
        line, stop = Line(ChatSettings(server.address, "m", timeout=1000.0), Clock()), Stop()
        found: dict[str, object] = {}

        def ask(text: str, stop: Stop) -> None:
            found[text] = line.ask([{"role": "user", "content": text}], Usage(), stop)

        threads = [threading.Thread(target=ask, args=(text, own)) for text, own in (("mine", stop), ("theirs", Stop()))]
        for thread in threads:
            thread.start()
        while len(server.requests) < 2:
            threading.Event().wait(0.01)
        stop.set()
        threads[0].join(120)
        assert "interrupted" in found["mine"].message
        assert "theirs" not in found
        server.gate.set()
        threads[1].join(120)
        assert not isinstance(found["theirs"], Failure)


def test_who_shares_a_request_asks_again_where_the_other_gives_up():
    with EndpointServer() as server:
        server.gate.clear()
        line, stop = Line(ChatSettings(server.address, "m", timeout=1000.0), Clock()), Stop()
        found: dict[str, object] = {}

        def ask(name: str, stop: Stop) -> None:
            found[name] = line.ask([{"role": "user", "content": "q"}], Usage(), stop)

        threads = {name: threading.Thread(target=ask, args=(name, own)) for name, own in (("a", stop), ("b", Stop()))}
        threads["a"].start()
        while not server.requests:
            threading.Event().wait(0.01)
        (asked,) = line._under_way.values()
        threads["b"].start()
        while not asked._condition._waiters:  # b waits for what a asked
            threading.Event().wait(0.01)
        stop.set()
        threads["a"].join(120)
        server.gate.set()
        threads["b"].join(120)
    assert isinstance(found["a"], Failure)
    assert not isinstance(found["b"], Failure)
    assert len(server.requests) == 2


def test_who_waits_for_a_connection_may_give_up():
    with EndpointServer() as server:
        server.gate.clear()
        line, stop = Line(ChatSettings(server.address, "m", concurrency=1), Clock()), Stop()
        threads = [
            threading.Thread(target=line.ask, args=([{"role": "user", "content": text}], Usage(), own))
            for text, own in (("first", Stop()), ("second", stop))
        ]
        threads[0].start()
        while not server.requests:
            threading.Event().wait(0.01)
        threads[1].start()
        stop.set()
        threads[1].join(120)
        assert not threads[1].is_alive()
        server.gate.set()
        threads[0].join(120)
        assert len(server.requests) == 1


def test_a_place_in_the_window_is_taken_when_a_request_is_sent_and_not_when_it_queues_up():
    clock = FakeClock()
    sent: list[float] = []

    def answer(messages) -> str:
        sent.append(clock.time)
        if len(sent) == 1:
            threading.Event().wait(0.2)  # the others come
            clock.time += 59.0
        return "x"

    with EndpointServer(answer) as server:
        line = Line(ChatSettings(server.address, "m", concurrency=1, requests_per_minute=2), clock)
        threads = [
            threading.Thread(target=line.ask, args=([{"role": "user", "content": str(n)}], Usage(), Stop()))
            for n in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert len(sent) == 5
    assert all(sum(at <= other < at + 60 for other in sent) <= 2 for at in sent)


def test_a_request_on_the_same_connection_is_not_cut_by_an_earlier_ones_time(monkeypatch):
    timers = []

    class Kept(threading.Timer):
        def start(self) -> None:
            timers.append(self)
            super().start()

    def answer(messages) -> str:
        if len(server.requests) > 1:
            timers[0].function()  # the first one's time is over
        return "x"

    monkeypatch.setattr(threading, "Timer", Kept)
    with EndpointServer(answer) as server:
        model = ChatEndpoint(ChatSettings(server.address, "m", timeout=1000.0, concurrency=1), FakeClock())
        replies = model.complete([[{"role": "user", "content": str(n)}] for n in range(5)])
    assert [reply.text for reply in replies] == ["x"] * 5
    assert model.usage.retries == 0
    assert len(timers) == 5
