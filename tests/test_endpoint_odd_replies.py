"""Replies that no server should send: each is a failure of its own request, and nothing else."""

from __future__ import annotations

import gzip
import json

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, asked, completion, echo
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure, Reply
from memenvs.endpoint.exchange import LARGEST
from memenvs.errors import SettingsError
from trainers.suites.costs import usage_of


def endpoint(server: EndpointServer, **settings: object) -> ChatEndpoint:
    return ChatEndpoint(ChatSettings(server.address, "rules", **({"timeout": 20.0} | settings)), FakeClock())


def replies(server, monkeypatch, status, body, headers=None):
    """All requests are answered like this."""
    monkeypatch.setattr(server, "_handle", lambda handler, request, fault: handler.reply(status, body, headers))


@pytest.mark.parametrize("charset", ["hex", "base64", "undefined", "idna", "punycode", "rot13", "utf-7", "no-such"])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_an_error_whose_text_has_no_encoding_is_an_error(server, monkeypatch, kind, charset):
    replies(server, monkeypatch, 500, b"\xff oops", {"Content-Type": f"{kind}; charset={charset}"})
    outcomes = endpoint(server, max_retries=0).complete([asked("x"), asked("y")])
    assert [outcome.kind for outcome in outcomes] == ["server_error"] * 2
    assert "\ufffd oops" in outcomes[0].message


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd"])
def test_what_cannot_be_unpacked_is_a_failure(server, monkeypatch, status, packing):
    replies(server, monkeypatch, status, b"not packed", {"Content-Encoding": packing})
    (failure,) = endpoint(server, max_retries=0).complete([asked("x")])
    assert failure.kind == {200: "bad_body", 500: "server_error"}[status]


@pytest.mark.parametrize("count", [10**400, 2**53 + 1], ids=["absurd", "one too many"])
def test_a_count_of_tokens_that_nobody_could_write_is_none(server, monkeypatch, count):
    for text, kind in (("x", Reply), (None, Failure)):
        usage = {"prompt_tokens": count, "completion_tokens": 2**53}
        replies(server, monkeypatch, 200, completion(text, usage=usage))
        model = endpoint(server)
        (outcome,) = model.complete([asked("x")])
        assert isinstance(outcome, kind)
        assert usage_of(model)["prompt_tokens"] == 0
        assert usage_of(model)["completion_tokens"] == 2**53
        assert model.usage.unreported == (kind is Reply)


@pytest.mark.parametrize("packed", [False, True])
def test_a_reply_of_any_size_is_read_to_a_bound_and_not_asked_for_again(server, monkeypatch, packed):
    body = json.dumps(completion("a" * LARGEST)).encode()
    headers = {"Content-Encoding": "gzip"} if packed else None
    replies(server, monkeypatch, 200, gzip.compress(body, 1) if packed else body, headers)
    model = endpoint(server)
    (failure,) = model.complete([asked("x")])
    assert (failure.kind, len(server.requests)) == ("bad_body", 1)
    assert "larger than 16 MB" in failure.message
    monkeypatch.undo()
    assert model.complete([asked("x")]) == [Reply(echo(asked("x")), "stop", 10, 3)]


def test_the_longest_time_that_may_be_set_can_be_waited_for(server):
    assert isinstance(endpoint(server, timeout=1e6, patience=1e6).complete([asked("x")])[0], Reply)
    for name in ("timeout", "patience"):
        with pytest.raises(SettingsError, match=f"{name} must be at most 1,000,000 seconds, got 1000001"):
            ChatSettings("http://127.0.0.1:1/v1", **{name: 1000001})
