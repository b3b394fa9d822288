"""Addresses, keys, proxies and certificates that cannot work are refused before anybody is asked; no message shows a secret."""

from __future__ import annotations

import pytest

pytest.importorskip("openai")

from endpoint_server import asked, echo
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure, Reply, ReplyCache
from memenvs.endpoint.key import without_key
from memenvs.errors import SettingsError

SECRET = "sk-SECRET-0123456789"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:8000", "ftp://127.0.0.1/v1", "http:///v1", "http://:80/v1", "http://a:b/v1", "http://[::1/v1"),
        *("http://a b/v1", "http://a/v 1", "http://a\n/v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1:0/v1"),
    ],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(SettingsError, match=r"base_url must be an address such as .*, got "):
        ChatSettings(address, "m")


@pytest.mark.parametrize("address", ["http://127.0.0.1/v1", "https://[::1]:8000/v1/", "http://my_host.local:8000"])
def test_an_address_may_have_any_host(address):
    assert ChatSettings(address, "m").base_url == address


@pytest.mark.parametrize("user", ["user:SECRET@", "SECRET@", "user:p:SECRET@", "user:SECRET@host:"])
def test_a_password_in_the_address_is_refused_and_not_shown(user):
    with pytest.raises(SettingsError, match="base_url must be an address") as caught:
        ChatSettings(f"http://{user}127.0.0.1:8000/v1", "m")
    assert "SECRET" not in str(caught.value)


def test_a_password_in_the_address_is_told_where_it_belongs():
    with pytest.raises(SettingsError, match="Put the key into OPENAI_API_KEY"):
        ChatSettings("http://user:pw@127.0.0.1:8000/v1", "m")


@pytest.mark.parametrize("more", ["?api-version=3", "#model", "?key=SECRET"])
def test_a_query_in_the_address_is_refused_and_not_shown(more):
    with pytest.raises(SettingsError, match=r"without a query or fragment, got http://127.0.0.1/v1 with one") as caught:
        ChatSettings(f"http://127.0.0.1/v1{more}", "m")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("text", ["{}\n", " {} \r\n", "{}"])
def test_blanks_around_a_key_are_no_part_of_it(server, monkeypatch, text):
    monkeypatch.setenv("OPENAI_API_KEY", text.format(SECRET))
    sent = []
    handle = server._handle
    monkeypatch.setattr(
        server, "_handle", lambda handler, *rest: (sent.append(handler.headers), handle(handler, *rest))
    )
    assert isinstance(ChatEndpoint(ChatSettings(server.address, "m"), FakeClock()).complete([asked("q")])[0], Reply)
    assert [headers["Authorization"] for headers in sent] == [f"Bearer {SECRET}"]


@pytest.mark.parametrize(
    "key", [f"{SECRET}\nX-More: 1", f"{SECRET} {SECRET}", f"{SECRET}é", f"{SECRET}\x00"[:-1] + "\x7f"]
)
def test_what_can_be_no_key_is_refused_and_not_shown(server, monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(SettingsError, match="the key in MY_KEY must be of visible ASCII characters") as caught:
        ChatEndpoint(ChatSettings(server.address, "m", api_key_env="MY_KEY"), FakeClock())
    assert SECRET not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_and_not_shown():
    with pytest.raises(SettingsError, match="api_key_env must be the name of an environment variable") as caught:
        ChatSettings("http://127.0.0.1/v1", "m", api_key_env=SECRET)
    assert SECRET not in str(caught.value)


def test_a_variable_that_is_named_and_not_set_is_refused(server, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(SettingsError, match="api_key_env names the variable MY_KEY, which is not set"):
        ChatEndpoint(ChatSettings(server.address, "m", api_key_env="MY_KEY"), FakeClock())


def test_a_server_that_quotes_the_key_gets_it_into_no_failure(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.faults = ["echo 401"]
    (failure,) = ChatEndpoint(ChatSettings(server.address, "m"), FakeClock()).complete([asked("q")])
    assert isinstance(failure, Failure)
    assert failure.message.startswith('status 401, {"error": {"message": "wrong key Bearer ***  ')
    # Where the quotation ends it may end in the midst of the key.
    assert SECRET[:4] not in failure.message


@pytest.mark.parametrize("body", [{"error": SECRET}, {"choices": SECRET}, SECRET.encode(), [SECRET]])
def test_nor_does_a_body_that_is_no_completion(server, monkeypatch, body):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(server, "_handle", lambda handler, *_: handler.reply(200, body))
    (failure,) = ChatEndpoint(ChatSettings(server.address, "m", max_retries=0), FakeClock()).complete([asked("q")])
    assert "***" in failure.message
    assert SECRET not in failure.message


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        (f"%20{SECRET}x", SECRET, "%20***x"),
        ("expected a JSON body, got 'e'", "e", "expected a JSON body, got '***'"),
        ("Bearer EMPTY", "EMPTY", "Bearer ***"),
        ("none", "", "none"),
    ],
)
def test_a_short_key_is_no_part_of_a_word(text, key, shown):
    assert without_key(text, key) == shown


def test_a_header_that_cannot_be_sent_is_not_tried_again(server, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "two\nlines")
    model = ChatEndpoint(ChatSettings(server.address, "m"), FakeClock())
    (failure,) = model.complete([asked("q")])
    assert (failure.kind, model.usage.retries, server.requests) == ("connection", 0, [])
    assert "LocalProtocolError" in failure.message


@pytest.mark.parametrize("settings", [{"extra": {"stop": "\udc00"}}, {"model": "m\udc00"}, {}])
def test_what_cannot_be_written_is_a_failure_and_not_tried_again(server, monkeypatch, settings):
    if not settings:
        monkeypatch.setenv("OPENAI_ORG_ID", "é")
    model = ChatEndpoint(ChatSettings(server.address, **{"model": "m"} | settings), FakeClock())
    (failure,) = model.complete([asked("q")])
    assert (failure.kind, model.usage.retries, server.requests) == ("connection", 0, [])
    assert "cannot be written" in failure.message


def test_a_host_that_is_none_is_refused_before_it_is_asked():
    with pytest.raises(SettingsError, match=r"base_url must be an address, got 'http://ä..b/v1': Invalid IDNA"):
        ChatEndpoint(ChatSettings("http://ä..b/v1", "m"), FakeClock())


PROXIES = "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY must be addresses"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HTTP_PROXY", "foo:bar", PROXIES),
        ("HTTPS_PROXY", "http://user:SECRET:x@h:y", PROXIES),
        ("ALL_PROXY", "gopher://user:SECRET@h", PROXIES),
        ("SSL_CERT_FILE", "/nope", r"the certificates cannot be read \(FileNotFoundError.*see SSL_CERT_FILE"),
        ("SSL_CERT_FILE", __file__, r"the certificates cannot be read \(SSLError.*see SSL_CERT_FILE"),
    ],
)
def test_an_environment_that_cannot_work_is_named(server, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as caught:
        ChatEndpoint(ChatSettings(server.address, "m"), FakeClock())
    assert "SECRET" not in str(caught.value)


def test_zero_is_one_temperature_however_it_is_written(server, tmp_path):
    settings = {"model": "m", "cache": tmp_path / "replies.sqlite"}
    for temperature in (0, 0.0):
        (reply,) = ChatEndpoint(
            ChatSettings(server.address, temperature=temperature, **settings), FakeClock()
        ).complete([asked("q")])
        assert reply.text == echo(asked("q"))
    assert (len(server.requests), len(ReplyCache(settings["cache"]))) == (1, 1)
