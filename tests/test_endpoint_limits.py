"""Requests and tokens per minute, and requests at a time."""

from __future__ import annotations

import threading

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from memenvs.endpoint.limits import RateLimit

GO = threading.Event()


def begun(limit: RateLimit, clock: FakeClock, tokens: list[int]) -> list[float]:
    """When each request began."""
    return [limit.begin(count, GO).at for count in tokens]


def test_the_third_of_two_requests_a_minute_waits_for_the_first_to_be_a_minute_old():
    clock = FakeClock()
    limit = RateLimit(2, None, clock)
    start = clock.time
    assert begun(limit, clock, [1, 1, 1, 1, 1]) == [start, start, start + 60, start + 60, start + 120]


def test_a_minute_is_sixty_seconds_and_no_less():
    clock = FakeClock()
    limit = RateLimit(1, None, clock)
    start = limit.begin(1, GO).at
    clock.time = start + 59.5
    assert limit.begin(1, GO).at == start + 60
    clock.time = start + 120
    assert limit.begin(1, GO).at == start + 120


def test_tokens_wait_until_enough_of_them_are_a_minute_old():
    clock = FakeClock()
    limit = RateLimit(None, 100, clock)
    start = clock.time
    assert begun(limit, clock, [60, 40, 1]) == [start, start, start + 60]


def test_what_was_reported_replaces_the_estimate():
    clock = FakeClock()
    limit = RateLimit(None, 100, clock)
    slot = limit.begin(100, GO)
    limit.settle(slot, 10)
    assert limit.begin(90, GO).at == slot.at
    assert limit.begin(1, GO).at == slot.at + 60


def test_a_request_larger_than_the_limit_goes_alone():
    clock = FakeClock()
    limit = RateLimit(None, 100, clock)
    start = clock.time
    assert begun(limit, clock, [5, 500, 5]) == [start, start + 60, start + 120]


def test_a_pause_holds_everybody():
    clock = FakeClock()
    limit = RateLimit(None, None, clock)
    limit.pause(30)
    assert limit.begin(1, GO).at == 1030


@given(
    st.integers(1, 5),
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 90), st.floats(0, 100)), max_size=30),
)
def test_no_window_of_a_minute_holds_more_than_allowed(requests, tokens, asked):
    clock = FakeClock()
    limit = RateLimit(requests, tokens, clock)
    slots = []
    for estimate, used, pause in asked:
        slot = limit.begin(estimate, GO)
        limit.settle(slot, min(used, estimate))
        slots.append((slot.at, min(used, estimate), estimate))
        clock.time += pause
    for at, _, _ in slots:
        window = [slot for slot in slots if at <= slot[0] < at + 60]
        assert len(window) <= requests
        # The last to begin found room for its estimate beside what the others used; alone it may be larger.
        assert len(window) == 1 or sum(used for _, used, _ in window) <= tokens


def test_an_endpoint_keeps_to_its_limits():
    pytest.importorskip("openai")
    from endpoint_server import EndpointServer

    from memenvs.endpoint import ChatEndpoint, ChatSettings

    clock = FakeClock()
    with EndpointServer() as server:
        model = ChatEndpoint(ChatSettings(server.address, "rules", requests_per_minute=4, concurrency=2), clock)
        server.faults = ["500"]
        model.complete([[{"role": "user", "content": str(n)}] for n in range(9)])
    # Ten requests, the retry among them: two full minutes are waited for.
    assert len(server.requests) == 10
    assert clock.time - 1000 >= 120


def test_an_endpoint_counts_the_tokens_that_the_server_reports():
    pytest.importorskip("openai")
    from endpoint_server import EndpointServer

    from memenvs.endpoint import ChatEndpoint, ChatSettings

    clock = FakeClock()
    settings = {"tokens_per_minute": 250, "max_tokens": 100, "concurrency": 1}
    with EndpointServer() as server:
        model = ChatEndpoint(ChatSettings(server.address, "rules", **settings), clock)
        # Each is taken for more than 100 tokens before its reply, and for 13 after it.
        model.complete([[{"role": "user", "content": str(n)}] for n in range(10)])
        assert clock.waits == []
        model.complete([[{"role": "user", "content": str(n)}] for n in range(10, 20)])
    assert clock.waits == [60]


def test_no_more_requests_than_allowed_are_under_way_over_all_who_ask():
    pytest.importorskip("openai")
    from concurrent.futures import ThreadPoolExecutor

    from endpoint_server import EndpointServer

    from memenvs.endpoint import ChatEndpoint, ChatSettings

    with EndpointServer() as server:
        server.gate.clear()
        settings = ChatSettings(server.address, "rules", concurrency=3)
        with ThreadPoolExecutor(4) as pool:
            for first in range(4):
                batch = [[{"role": "user", "content": f"{first} {n}"}] for n in range(10)]
                pool.submit(ChatEndpoint(settings).complete, batch)
            while len(server.requests) < 3:
                threading.Event().wait(0.01)
            server.gate.set()
        assert len(server.requests) == 40
        assert server.most_at_once == 3
