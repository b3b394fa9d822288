"""One try of one request: sent, read to its end in time, and taken apart.

The `openai` client sends. Its own retries are off: it repeats a request by count alone, tells nobody how often, gives up where a
Retry-After exceeds two minutes (openai 3.54, ``_base_client.py``; other versions have other bounds), takes a body that is no
completion for one, and limits the silence between two bytes, not the time of a reply.

* `connect` - the client.
* `exchange` - one try.
* `Fault` - how a try failed, and whether another makes sense.
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memenvs.endpoint.replies import Message, Reply
from memenvs.endpoint.settings import ChatSettings
from memenvs.errors import SettingsError

CONNECT_SECONDS = 10.0
"""Longest wait for a connection to be made."""


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


def connect(settings: ChatSettings) -> Any:
    """An OpenAI client for a server.

    Raises:
        SettingsError: the client is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise SettingsError("asking an endpoint needs the openai client: pip install -e '.[endpoint]'") from error
    return openai.OpenAI(
        base_url=settings.base_url,
        api_key=os.environ.get(settings.api_key_env) or "none",
        max_retries=0,
        timeout=openai.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout)),
    )


def exchange(
    client: Any, model: str, parameters: Mapping[str, Any], messages: Sequence[Message], timeout: float
) -> Reply | Fault:
    """Send one request and read its reply."""
    call = client.chat.completions.with_streaming_response.create
    sent = [{name: _sendable(text) for name, text in message.items()} for message in messages]
    # What the client has no argument for goes along as it is.
    return _whole(lambda: call(model=model, messages=sent, extra_body=dict(parameters)), timeout, _reply)


def models(client: Any, timeout: float) -> list[str] | Fault:
    """Names of the models that the server lists."""
    return _whole(client.models.with_streaming_response.list, timeout, _names)


def _sendable(text: Any) -> Any:
    """Half a character, as a cut text may hold, is none in UTF-8: a question mark stands for it."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def _whole(send: Callable[[], Any], timeout: float, read: Callable[[Any], Any]) -> Any:
    """What ``read`` makes of the JSON that comes back, or a `Fault`."""
    import openai

    # The client raises the transport's own errors while a body is read; its name depends on the client's version.
    transports = tuple(sys.modules[name].HTTPError for name in ("httpx2", "httpx") if name in sys.modules)
    end = time.monotonic() + timeout
    parts: list[bytes] = []
    try:
        with send() as response:
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > end:
                    return Fault("timeout", f"the reply was not complete after {timeout:g} seconds", True)
    except openai.APIStatusError as error:
        return _status(error)
    except openai.APITimeoutError as error:
        if "ConnectTimeout" in type(error.__cause__).__name__:
            return Fault("connection", "no connection could be made in time", True)
        return Fault("timeout", f"nothing came for {timeout:g} seconds", True)
    except (openai.APIConnectionError, *transports) as error:
        if "Timeout" in type(error).__name__:
            return Fault("timeout", f"the reply stopped coming ({type(error).__name__})", True)
        cause = error.__cause__ or error
        return Fault("connection", f"{type(cause).__name__}: {cause}", True)
    body = b"".join(parts)
    try:
        return read(json.loads(body))
    except (ValueError, RecursionError):
        return Fault("bad_body", f"expected a JSON body, got {body[:120]!r}", True)


def _status(error: Any) -> Fault:
    # The body itself: the client quotes only bodies of OpenAI's own form.
    status = error.status_code
    said = f"status {status}, {error.response.text.strip()[:500] or 'without a text'}"
    if status == 429 and getattr(error, "code", None) != "insufficient_quota":
        return Fault("rate_limited", said, True, retry_after(error.response.headers))
    if status >= 500:
        return Fault("server_error", said, True, retry_after(error.response.headers))
    return Fault("timeout" if status == 408 else "refused", said, status in (408, 409, 425))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait, None where it does not: ``retry-after-ms``, or ``retry-after`` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _reply(body: Any) -> Reply | Fault:
    """The reply in a completion."""
    if isinstance(body, dict) and body.get("error"):
        # Some servers and routers send errors with status 200.
        error = body["error"]
        code = error.get("code") if isinstance(error, dict) else None
        if code == 429:
            return Fault("rate_limited", str(error)[:500], True)
        refused = isinstance(code, int) and 400 <= code < 500
        return Fault("refused" if refused else "server_error", str(error)[:500], not refused)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, reason = message.get("content"), choice.get("finish_reason") or "stop"
        spent = body.get("usage") or {}
        tokens = [spent.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError):
        return Fault("bad_body", f"expected a chat completion, got {str(body)[:120]!r}", True)
    prompt, completion = (n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None for n in tokens)
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


def _names(body: Any) -> list[str] | Fault:
    try:
        return [str(entry["id"]) for entry in body["data"]]
    except (KeyError, TypeError):
        return Fault("bad_body", f"expected a list of models, got {str(body)[:120]!r}", True)
