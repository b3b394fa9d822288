"""One try of one request: sent, read to its end in time, and taken apart.

The `openai` client sends. Its own retries are off: it repeats a request by count alone, tells nobody how often, gives up where a
Retry-After exceeds two minutes (openai 3.54, ``_base_client.py``; other versions have other bounds), takes a body that is no
completion for one, and limits the silence between two bytes, not the time of a reply.

* `exchange`, `models` - one try.
* `Fault` - how a try failed, and whether another makes sense.
"""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memenvs.endpoint.replies import Message, Reply
from memenvs.endpoint.wire import Stop, Try, Wire, transport

INTERRUPTED = "given up: interrupted"
"""The message of a try that its asker ended."""
AWAY = frozenset({502, 503, 504})
"""What a server says while it loads its model, or a gateway whose server is gone: out of reach, for a time."""
LARGEST = 16 * 2**20
"""Bytes of a reply, unpacked: what is larger is none, and is not read to its end."""
MOST_TOKENS = 2**53
"""Of one request: a report of more is none, and cannot be added up exactly."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a try gave no reply."""

    kind: str
    """One of `memenvs.endpoint.replies.KINDS`."""
    message: str
    """What came."""
    again: bool
    """Whether the same request may do better."""
    retry_after: float | None = None
    """Seconds that the server asks to wait."""
    prompt_tokens: int = 0
    """Spent all the same, as `memenvs.endpoint.replies.Failure` has them."""
    completion_tokens: int = 0
    """The same."""
    away: bool = False
    """Whether the server is out of reach, so that patience decides and not a count of tries."""


def exchange(
    wire: Wire, model: str, parameters: Mapping[str, Any], messages: Sequence[Message], timeout: float, stop: Stop
) -> Reply | Fault:
    """Send one request and read its reply, in ``timeout`` seconds or until ``stop``."""
    call = wire.client.chat.completions.with_streaming_response.create
    sent = [{name: _sendable(text) for name, text in message.items()} for message in messages]
    # What the client has no argument for goes along as it is.
    return _whole(wire, lambda: call(model=model, messages=sent, extra_body=dict(parameters)), timeout, stop, _reply)


def models(wire: Wire, timeout: float, stop: Stop) -> list[str] | Fault:
    """Names of the models that the server lists."""
    return _whole(wire, wire.client.models.with_streaming_response.list, timeout, stop, _names)


def _sendable(text: Any) -> Any:
    """Half a character, as a cut text may hold, is none in UTF-8: a question mark stands for it."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Shown = Callable[[str, int], str]
"""`Wire.shown`."""


def _whole(wire: Wire, send: Callable[[], Any], timeout: float, stop: Stop, read: Callable[[Any, Shown], Any]) -> Any:
    """What ``read`` makes of the JSON that comes back, or a `Fault`."""
    import openai

    fault, body = None, bytearray()
    with wire.within(timeout, stop) as now:
        try:
            with send() as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        return Fault("bad_body", f"the reply is larger than {LARGEST >> 20} MB", False)
        except openai.APIStatusError as error:
            if not now.cut:
                text = wire.shown(error.response.text.strip(), 500) or "without a text"
                fault = _status(error.status_code, text, error.response.headers, error.code)
        except UnicodeEncodeError as error:
            places = "the model's name, extra, OPENAI_ORG_ID and OPENAI_PROJECT_ID"
            return Fault("connection", f"the request cannot be written ({error.reason}); see {places}", False)
        except Exception as error:
            # While a body is read the transport's own errors come through, and whatever else the client stumbles over in it.
            if now.response is None and not isinstance(error, (openai.APIConnectionError, transport().HTTPError)):
                raise
            if "ConnectTimeout" in type(error.__cause__).__name__ and not stop.is_set():
                # Its time may be that of the whole try.
                return Fault("connection", "no connection could be made in time", True)
            fault = None if now.cut else _broken(error, now, timeout, wire.shown)
    if now.cut:
        # A cut may also look like the end of a body.
        return _cut(now, timeout, stop)
    if fault is not None:
        return fault
    try:
        return read(json.loads(body), wire.shown)
    except (ValueError, RecursionError):
        shown = wire.shown(body.decode("utf-8", "replace"), 120)
        return Fault("bad_body", f"expected a JSON body, got {shown!r}", True)


def _cut(now: Try, timeout: float, stop: Stop) -> Fault:
    if stop.is_set():
        return Fault("connection", INTERRUPTED, False)
    response = now.response
    if response is not None and response.status_code >= 400:
        return _status(response.status_code, f"its text was not complete after {timeout:g} seconds", response.headers)
    return Fault("timeout", f"the reply was not complete after {timeout:g} seconds", True)


def _broken(error: Exception, now: Try, timeout: float, shown: Shown) -> Fault:
    """The connection failed; what that means depends on how far it had come."""
    cause = error.__cause__ or error
    said = f"{type(cause).__name__}: {shown(str(cause), 500)}"
    if now.response is not None:
        if "Timeout" in type(cause).__name__:
            return _cut(now, timeout, Stop())
        if now.response.status_code >= 400:
            return _status(now.response.status_code, f"its text broke off ({said})", now.response.headers)
        # The server is there: retries are bounded by their count.
        return Fault("bad_body", f"the reply broke off ({said})", True)
    if "Timeout" in type(cause).__name__:
        return Fault("timeout", f"nothing came for {timeout:g} seconds", True)
    # What cannot be sent today cannot be sent tomorrow.
    lasting = (transport().LocalProtocolError, transport().UnsupportedProtocol)
    return Fault("connection", said, isinstance(cause, transport().TransportError) and not isinstance(cause, lasting))


def _status(status: int, text: str, headers: Mapping[str, str], code: Any = None) -> Fault:
    """What an error's status means; ``code`` is the one within its body."""
    said = f"status {status}, {text}"
    if status == 429 and code != "insufficient_quota":
        return Fault("rate_limited", said, True, retry_after(headers))
    if status >= 500:
        return Fault("server_error", said, True, retry_after(headers), away=status in AWAY)
    return Fault("timeout" if status == 408 else "refused", said, status in (408, 409, 425))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait, None where it does not: ``retry-after-ms``, or ``retry-after`` (seconds or a date).

    A date counts from the response's own ``date``, for the server's clock may go otherwise than ours; without one from now.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    then = _date(headers.get("retry-after", ""))
    now = _date(headers.get("date", ""))
    return None if then is None else max(0.0, then - (time.time() if now is None else now))


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _reply(body: Any, shown: Shown) -> Reply | Fault:
    """The reply in a completion."""
    if isinstance(body, dict) and body.get("error"):
        # Some servers and routers send errors with status 200, and their codes as numbers or as digits.
        error = body["error"]
        code = error.get("code") if isinstance(error, dict) else None
        status = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) == 3 else 0
        text = f"within a body of status 200: {shown(str(error), 500)}"
        if 400 <= status < 600:
            return replace(_status(status, text, {}), away=False)  # who answers is in reach
        return Fault("server_error", f"an error {text}", True)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, reason = message.get("content"), choice.get("finish_reason") or "stop"
    except (KeyError, IndexError, TypeError, AttributeError):
        return Fault("bad_body", f"expected a chat completion, got {shown(str(body), 120)!r}", True)
    # A report that is none makes the reply no worse.
    spent = body["usage"] if isinstance(body.get("usage"), dict) else {}
    tokens = [spent.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (
        n if isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST_TOKENS else None for n in tokens
    )
    if isinstance(text, list):
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    if isinstance(message.get("tool_calls"), list) and message["tool_calls"]:
        # Who handed over tools reads calls; what is said beside them is talk.
        text = json.dumps({"tool_calls": message["tool_calls"]}, ensure_ascii=False)
    if not isinstance(text, str) or not text.strip():
        way_out = "; raise max_tokens" if reason == "length" else ""
        said = f"the completion holds no text (finish_reason {reason!r}){way_out}"
        return Fault("no_text", said, False, None, prompt or 0, completion or 0)
    return Reply(text, str(reason), prompt, completion)


def _names(body: Any, shown: Shown) -> list[str] | Fault:
    try:
        return [str(entry["id"]) for entry in body["data"]]
    except (KeyError, TypeError):
        return Fault("bad_body", f"expected a list of models, got {shown(str(body), 120)!r}", True)
