"""Every way a server can fail, over a real server on loopback: typed, retried where that may help, counted once, never a text."""

from __future__ import annotations

import email.utils
import socket
import threading
from types import SimpleNamespace

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, asked, completion, echo, free_port
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure, Reply, exchange
from memenvs.endpoint.exchange import retry_after
from memenvs.endpoint.line import LONGEST_WAIT
from memenvs.errors import SettingsError


def endpoint(server: EndpointServer, **settings: object) -> ChatEndpoint:
    return ChatEndpoint(ChatSettings(server.address, "rules", **({"timeout": 20.0} | settings)), FakeClock())


@pytest.fixture(scope="module", autouse=True)
def client_is_loaded():
    """What the client does once, on its first request, falls into no request's time here."""
    with EndpointServer() as server:
        endpoint(server).complete([asked("q")])


LATE = 3.0
"""Seconds after which a hanging server is given up, and within which the others must answer on a busy machine."""
PASSING = {
    "429": "rate_limited",
    "429 7": "rate_limited",
    "500": "server_error",
    "503 2": "server_error",
    "408": "timeout",
    "drop": "connection",
    "cut": "bad_body",
    "cut 500": "server_error",
    "half": "bad_body",
    "html": "bad_body",
    "no choices": "bad_body",
    "error 200": "server_error",
    "hang": "timeout",
    "drip": "timeout",
    "drip head": "timeout",
    "drip 500": "server_error",
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again_and_answered_once(server, fault):
    late = fault[:4] in ("hang", "drip")
    model = endpoint(server, timeout=LATE if late else 20.0)
    server.faults = [fault] if late else [fault, fault]
    tries = len(server.faults) + 1
    (reply,) = model.complete([asked("q")])
    assert reply == Reply(echo(asked("q")), "stop", 10, 3)
    usage = model.usage
    assert (usage.requests, usage.answered, usage.retries, usage.failed.total()) == (1, 1, tries - 1, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (10, 3)
    assert len(server.requests) == tries


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_a_typed_failure_and_leaves_the_others_alone(server, fault):
    late = fault[:4] in ("hang", "drip")
    model = endpoint(
        server,
        timeout=LATE if late else 20.0,
        max_retries=0 if late else 1,
        patience=3.0 if fault != "429 7" else 7,
    )
    server.fault_of = lambda request: fault if request["messages"][0]["content"] == "bad" else ""
    good, bad, also_good = model.complete([asked("good"), asked("bad"), asked("also good")])
    assert [good.text, also_good.text] == [echo(asked("good")), echo(asked("also good"))]
    assert isinstance(bad, Failure)
    assert bad.kind == PASSING[fault]
    assert server.address in bad.message
    tries = sum(request["messages"][0]["content"] == "bad" for request in server.requests)
    assert ("1 try" if tries == 1 else f"{tries} tries") in bad.message
    if bad.kind != "connection" and fault != "503 2":  # then patience decides
        assert tries == (1 if late else 2)
    usage = model.usage
    assert (usage.answered, dict(usage.failed), usage.retries) == (2, {PASSING[fault]: 1}, tries - 1)


FINAL = {"400": "refused", "401": "refused", "404": "refused", "blank": "no_text", "none": "no_text"}


@pytest.mark.parametrize("fault", FINAL)
def test_what_will_not_pass_is_not_tried_again(server, fault):
    model = endpoint(server)
    server.faults = [fault]
    (failure,) = model.complete([asked("q")])
    assert isinstance(failure, Failure)
    assert failure.kind == FINAL[fault]
    assert len(server.requests) == 1
    # A completion without text was paid for.
    assert model.usage.prompt_tokens == (10 if failure.kind == "no_text" else 0)
    # A failure is not remembered: the next time it is asked again.
    assert model.complete([asked("q")]) == [Reply(echo(asked("q")), "stop", 10, 3)]


def test_an_exhausted_account_is_refused_at_once(server, monkeypatch):
    model = endpoint(server)
    body = {"error": {"message": "pay first", "code": "insufficient_quota"}}
    monkeypatch.setattr(server, "_handle", lambda handler, request, fault: handler.reply(429, body))
    (failure,) = model.complete([asked("q")])
    assert (failure.kind, len(server.requests)) == ("refused", 1)


@pytest.mark.parametrize(
    ("code", "kind", "tries"),
    [
        ("429", "rate_limited", 2),
        (429, "rate_limited", 2),
        ("502", "server_error", 2),
        (408, "timeout", 2),
        ("400", "refused", 1),
        ("rate", "server_error", 2),
        (None, "server_error", 2),
        (-400, "server_error", 2),
    ],
)
def test_an_error_in_a_good_body_counts_as_its_code(server, monkeypatch, code, kind, tries):
    body = {"error": {"message": "as told", "code": code}}
    monkeypatch.setattr(server, "_handle", lambda handler, request, fault: handler.reply(200, body))
    (failure,) = endpoint(server, max_retries=1).complete([asked("q")])
    assert (failure.kind, len(server.requests)) == (kind, tries)


def test_a_reply_that_was_cut_off_says_so(server):
    model = endpoint(server)
    server.faults = ["length"]
    (reply,) = model.complete([asked("q")])
    assert reply.truncated
    assert reply.finish_reason == "length"
    assert model.usage.truncated == 1


@pytest.mark.parametrize("report", [None, [1], "3", {"prompt_tokens": "10", "completion_tokens": -1}])
def test_tokens_that_a_server_does_not_report_are_counted_as_unreported(server, monkeypatch, report):
    model = endpoint(server)
    monkeypatch.setattr(
        server, "_handle", lambda handler, request, fault: handler.reply(200, completion("x", usage=report))
    )
    assert model.complete([asked("q")]) == [Reply("x", "stop", None, None)]
    assert (model.usage.unreported, model.usage.prompt_tokens) == (1, 0)


def test_what_the_server_asks_to_wait_is_waited(server):
    model = endpoint(server)
    server.faults = ["429 90", "503 1.25"]
    assert isinstance(model.complete([asked("q")])[0], Reply)
    assert model._clock.waits[0] == 90
    assert 1.25 in model._clock.waits


def test_all_wait_while_the_server_asks_to(server):
    class Busy(FakeClock):
        """While the first request waits, a second one comes."""

        def wait(self, seconds: float, stop: threading.Event) -> None:
            if not self.waits and len(server.requests) == 1:
                server.requests.append({})
                assert isinstance(model.complete([asked("second")])[0], Reply)
            super().wait(seconds, stop)

    model = ChatEndpoint(ChatSettings(server.address, "rules"), Busy())
    server.faults = ["429 90"]
    assert isinstance(model.complete([asked("first")])[0], Reply)
    assert model._clock.waits == [90, 90]


def test_a_wait_beyond_patience_is_a_failure_at_once(server):
    model = endpoint(server, patience=60.0)
    server.faults = ["429 3600"]
    (failure,) = model.complete([asked("q")])
    assert failure.kind == "rate_limited"
    assert "asks to wait 3600 s" in failure.message
    assert model._clock.waits == []


def test_without_word_from_the_server_waits_double_up_to_a_bound(server):
    model = endpoint(server, max_retries=8)
    server.faults = ["500"] * 8
    assert isinstance(model.complete([asked("q")])[0], Reply)
    bounds = [min(0.5 * 2**n, LONGEST_WAIT) for n in range(8)]
    assert len(model._clock.waits) == 8
    for waited, bound in zip(model._clock.waits, bounds, strict=True):
        assert bound / 2 <= waited <= bound


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": email.utils.formatdate(0)}, 0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date(monkeypatch):
    monkeypatch.setattr(exchange, "time", SimpleNamespace(time=lambda: 1000.0))
    assert retry_after({"retry-after": email.utils.formatdate(1030, usegmt=True)}) == 30


def test_a_server_that_is_gone_is_found_gone_once_and_not_by_every_request():
    gone = f"http://127.0.0.1:{free_port()}/v1"
    model = ChatEndpoint(ChatSettings(gone, "rules", patience=30.0, concurrency=1), FakeClock())
    outcomes = model.complete([asked(str(n)) for n in range(20)])
    assert {outcome.kind for outcome in outcomes} == {"connection"}
    # The first request waits until patience is over, the others see that it is.
    assert 30 <= sum(model._clock.waits) < 30 + LONGEST_WAIT
    assert model.usage.failed == {"connection": 20}
    assert model.usage.retries == len(model._clock.waits)


def test_an_outage_of_an_hour_ago_is_forgotten(server):
    """One blip must be waited for like the first ever."""
    model = endpoint(server, patience=30.0)
    server.fault_of = lambda request: "drop"
    assert isinstance(model.complete([asked("q")])[0], Failure)
    model._clock.time += 3600
    server.fault_of, server.faults = None, ["drop"]
    assert isinstance(model.complete([asked("q")])[0], Reply)


def test_a_connection_that_is_never_accepted_is_out_of_reach():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        model = ChatEndpoint(
            ChatSettings(f"http://127.0.0.1:{port}/v1", "m", timeout=0.3, patience=0, max_retries=0), FakeClock()
        )
        (failure,) = model.complete([asked("q")])
        assert failure.kind == "connection"
        for filler in fillers:
            filler.close()


def test_the_only_model_of_a_server_needs_no_name(server):
    model = ChatEndpoint(ChatSettings(server.address), FakeClock())
    assert model.name == "rules"
    assert server.requests == []
    model.complete([asked("q")])
    assert server.requests[0]["model"] == "rules"


@pytest.mark.parametrize("models", [[], ["a", "b"]])
def test_of_none_or_several_models_one_must_be_named(server, models):
    server.models = models
    with pytest.raises(SettingsError, match=rf"lists {'2: a, b' if models else 'none'}; name one, as in .*#NAME"):
        ChatEndpoint(ChatSettings(server.address), FakeClock()).complete([asked("q")])


def test_the_request_holds_what_the_settings_say_and_nothing_else(server):
    extra = {"seed": 1, "chat_template_kwargs": {"enable_thinking": False}}
    endpoint(server, temperature=0.5, max_tokens=7, extra=extra).complete([asked("q")])
    endpoint(server, temperature=None, max_tokens=None).complete([asked("q")])
    common = {"model": "rules", "messages": asked("q")}
    assert server.requests == [common | {"temperature": 0.5, "max_tokens": 7} | extra, common]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout": 0}, "timeout must be a finite number above 0"),
        ({"patience": float("nan")}, "patience must be a finite number"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"requests_per_minute": 0}, "requests_per_minute must be at least 1 or None"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number"),
        ({"extra": {"n": 2}}, "extra must not hold n"),
        ({"extra": {"x": object()}}, "extra must be JSON-able"),
        ({"extra": {"x": float("nan")}}, "extra must be JSON-able"),
        ({"replay": True}, "name its file"),
        ({"replay": True, "cache": "x.sqlite", "model": ""}, "needs the model's name"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ChatSettings(**{"base_url": "http://127.0.0.1:1/v1", "model": "m"} | settings)


def test_half_a_character_in_a_prompt_fails_nothing(server):
    halves = asked("cut \ud83d here"), asked("\udc00")
    replies = endpoint(server).complete([*halves, asked("whole")])
    assert all(isinstance(reply, Reply) for reply in replies)
    assert {request["messages"][0]["content"] for request in server.requests} == {"cut ? here", "?", "whole"}


def test_text_in_parts_is_joined(server, monkeypatch):
    parts = [{"type": "text", "text": "Ro"}, {"type": "text", "text": "me"}, {"type": "image"}]
    monkeypatch.setattr(server, "_handle", lambda handler, request, fault: handler.reply(200, completion(parts)))
    assert endpoint(server).complete([asked("q")])[0].text == "Rome"


OTHER_SHAPES = (
    *([], 3, "x", None, {"choices": [None]}, {"choices": [{"message": "x"}]}),
    {"choices": [{"message": {"content": 3}}], "usage": [1]},
)


@pytest.mark.parametrize("body", OTHER_SHAPES)
def test_json_of_any_other_shape_is_a_failure(server, monkeypatch, body):
    monkeypatch.setattr(server, "_handle", lambda handler, request, fault: handler.reply(200, body))
    (failure,) = endpoint(server, max_retries=0).complete([asked("q")])
    assert failure.kind in ("bad_body", "no_text")
