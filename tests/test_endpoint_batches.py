"""Many requests of one call: the equal ones are sent once, and hold up no other."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, asked, echo
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure, Reply


def endpoint(server: EndpointServer, **settings: object) -> ChatEndpoint:
    return ChatEndpoint(ChatSettings(server.address, "rules", timeout=20.0, **settings), FakeClock())


def test_equal_requests_hold_no_place_while_others_could_be_sent(server):
    four = threading.Barrier(4)
    # Nobody is answered before four different requests are at the server.
    server.answer = lambda messages: (four.wait(100), echo(messages))[1]
    model = endpoint(server, concurrency=4, patience=0, max_retries=0)
    texts = ["a"] * 5 + ["b"] * 5 + ["c", "d", "a"]
    outcomes = model.complete([asked(text) for text in texts])
    assert outcomes == [Reply(echo(asked(text)), "stop", 10, 3) for text in texts]
    assert len(server.requests) == 4
    usage = model.usage
    assert (usage.answered, usage.cached, usage.prompt_tokens, usage.failed.total()) == (4, 9, 40, 0)


def test_equal_requests_that_fail_are_each_a_failure_and_cost_one_request(server):
    server.fault_of = lambda request: "none" if request["messages"][0]["content"] == "bad" else ""
    model = endpoint(server, concurrency=1)
    first, good, second = model.complete([asked("bad"), asked("good"), asked("bad")])
    assert isinstance(first, Failure)
    assert first == second
    assert isinstance(good, Reply)
    assert len(server.requests) == 2
    # What was spent on it is counted once.
    assert (model.usage.failed, model.usage.prompt_tokens) == ({"no_text": 2}, 20)


def test_nothing_is_asked_for_nothing(server):
    assert endpoint(server).complete([]) == []
