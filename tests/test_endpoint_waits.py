"""How long a server is waited for: one that loads its model, and one that says when to come again."""

from __future__ import annotations

import email.utils
import time

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, asked
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure, Reply
from memenvs.endpoint.exchange import retry_after


def endpoint(server: EndpointServer, **settings: object) -> ChatEndpoint:
    return ChatEndpoint(ChatSettings(server.address, "rules", timeout=20.0, **settings), FakeClock())


@pytest.mark.parametrize("status", ["502", "503", "504"])
def test_a_server_that_loads_its_model_is_waited_for_as_long_as_one_that_is_gone(server, status):
    model = endpoint(server, patience=120.0, max_retries=0)
    server.fault_of = lambda request: status if model._clock.time < 1100 else ""
    assert isinstance(model.complete([asked("q")])[0], Reply)
    assert model.usage.retries == len(server.requests) - 1


def test_a_server_that_loads_for_longer_than_patience_fails_every_request_once(server):
    model = endpoint(server, patience=30.0, concurrency=1)
    server.fault_of = lambda request: "503"
    outcomes = model.complete([asked(str(n)) for n in range(9)])
    assert {outcome.kind for outcome in outcomes} == {"server_error"}
    assert 30 <= sum(model._clock.waits) < 38
    assert len(server.requests) == len(model._clock.waits) + 9


def test_an_error_of_the_server_itself_is_tried_again_by_count(server):
    model = endpoint(server, patience=1000.0, max_retries=2)
    server.fault_of = lambda request: "500"
    assert isinstance(model.complete([asked("q")])[0], Failure)
    assert len(server.requests) == 3


def test_a_gateway_in_between_does_not_hide_an_outage(server):
    """Refused connections and 502 are one outage."""
    model = endpoint(server, patience=30.0, max_retries=0)
    server.fault_of = lambda request: "drop" if len(server.requests) % 2 else "502"
    assert isinstance(model.complete([asked("q")])[0], Failure)
    assert 30 <= sum(model._clock.waits) < 38


@pytest.mark.parametrize("after", ["0", "0.01", "-3", email.utils.formatdate(0, usegmt=True)])
def test_a_server_that_asks_for_no_wait_is_not_asked_again_at_once(server, after):
    model = endpoint(server, max_retries=4)
    server.faults = [f"429 {after}"] * 4
    assert isinstance(model.complete([asked("q")])[0], Reply)
    assert len(model._clock.waits) == 4
    for waited, bound in zip(model._clock.waits, (0.5, 1, 2, 4), strict=True):
        assert bound / 2 <= waited <= bound


def test_a_short_wait_that_is_asked_for_does_not_count_against_a_shorter_patience(server):
    model = endpoint(server, patience=0.02, max_retries=4)
    server.faults = ["429 0.01"] * 4
    assert isinstance(model.complete([asked("q")])[0], Reply)


def test_a_date_counts_from_the_servers_own_clock():
    sent, again = (email.utils.formatdate(when, usegmt=True) for when in (1000, 1030))
    assert retry_after({"retry-after": again, "date": sent}) == 30
    assert retry_after({"retry-after": sent, "date": again}) == 0
    ahead = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"retry-after": ahead, "date": "soon"}) <= 30
