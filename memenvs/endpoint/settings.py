"""Where a model is asked, and how patiently.

* `ChatSettings` - all of it.
* `chat_settings` - from an address.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memenvs.errors import SettingsError, did_you_mean, whole

LONGEST = 1e6
"""Most seconds of a time-out and of patience; sockets and locks cannot wait for ever."""


@dataclass(frozen=True)
class ChatSettings:
    """One model behind an OpenAI-compatible server.

    The key is no setting, so that it gets into no result: it is read from the environment variable that ``api_key_env`` names;
    local servers need none.
    """

    base_url: str
    """Base address, for instance http://127.0.0.1:8000/v1."""
    model: str = ""
    """Name of the model; "" for the only one that the server lists."""
    temperature: float | None = 0.0
    """Of sampling; None leaves it to the server. Above 0 a prompt still has one reply per ``sample``, kept like any other."""
    max_tokens: int | None = 1024
    """Longest reply in tokens; None leaves it to the server."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More parameters of the request, JSON-able, such as {"seed": 1} or {"chat_template_kwargs": {"enable_thinking": false}}."""
    sample: int = 0
    """Number of the sample: another number asks the same prompts anew."""
    timeout: float = 120.0
    """Seconds for one try, from sending to the last byte."""
    max_retries: int = 5
    """Further tries after a reply that was an error (429, 5xx but 502 to 504), late, or not what was asked for."""
    patience: float = 120.0
    """Seconds that a server may be out of reach, or say 502, 503 or 504, for instance while it restarts and loads its model, before
    requests to it fail. Also the longest Retry-After that is waited for."""
    concurrency: int = 8
    """Requests under way at a time, over all askers of this process."""
    requests_per_minute: int | None = None
    """Most requests begun in any 60 seconds, retries included; None for no limit."""
    tokens_per_minute: int | None = None
    """Most tokens, read and written, in any 60 seconds; None for no limit."""
    price_in: float | None = None
    """Price of a million tokens read."""
    price_out: float | None = None
    """Price of a million tokens written."""
    cache: Path | None = None
    """SQLite file that keeps replies beyond this process; None keeps them in memory only."""
    replay: bool = False
    """Answer from ``cache`` alone: no request is sent, and what the cache does not hold fails."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key."""

    def __post_init__(self) -> None:
        if isinstance(self.cache, str):
            object.__setattr__(self, "cache", Path(self.cache))
        _check_address(self.base_url)
        if re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env, re.ASCII) is None:
            raise SettingsError(
                "api_key_env must be the name of an environment variable, such as OPENAI_API_KEY; what came is none (and is not "
                "shown, in case it is the key itself)"
            )
        for name, least in (("max_retries", 0), ("concurrency", 1), ("sample", 0)):
            whole(name, getattr(self, name), least)
        for name in ("max_tokens", "requests_per_minute", "tokens_per_minute"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), 1, " or None")
        for name in ("timeout", "patience"):
            _number(name, getattr(self, name), above=name == "timeout")
            if getattr(self, name) > LONGEST:
                raise SettingsError(f"{name} must be at most {LONGEST:,.0f} seconds, got {getattr(self, name)!r}")
        for name in ("temperature", "price_in", "price_out"):
            if getattr(self, name) is not None:
                _number(name, getattr(self, name))
        if self.temperature is not None:
            # 0 and 0.0 are one temperature, and one key in the cache.
            object.__setattr__(self, "temperature", float(self.temperature))
        reserved = sorted({"model", "messages", "temperature", "max_tokens", "stream", "n"} & set(self.extra))
        if reserved:
            raise SettingsError(f"extra must not hold {', '.join(reserved)}: these are settings of their own or fixed")
        try:
            json.dumps(dict(self.extra), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"extra must be JSON-able, got {self.extra!r}: {error}") from error
        if self.replay and self.cache is None:
            raise SettingsError("replay=True answers from a cache; name its file with cache=...")
        if self.replay and not self.model:
            raise SettingsError(
                "replay=True asks no server, so it needs the model's name: model=... or http://...#model"
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """What a request holds beside model and messages."""
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in own.items() if value is not None} | dict(self.extra)

    def to_json(self) -> dict[str, Any]:
        """As JSON-able data, for results."""
        return asdict(self) | {"extra": dict(self.extra), "cache": None if self.cache is None else str(self.cache)}


def _check_address(address: str) -> None:
    expected = 'base_url must be an address such as "http://127.0.0.1:8000/v1"'
    try:
        parts = urlsplit(address)
        host, port, user = parts.hostname, parts.port, "@" in parts.netloc
    except ValueError as error:
        # A part that was taken for the port may be a password.
        shown = "" if "@" in address else f", got {address!r}: {error}"
        raise SettingsError(f"{expected}{shown}") from None
    if user:
        raise SettingsError(
            f"{expected}, without user or password before the host: addresses are written into results. Put the key into "
            "OPENAI_API_KEY, or into the variable that api_key_env names"
        )
    blank = re.search(r"[\s\x00-\x1f\x7f\\]", address)
    if parts.scheme not in ("http", "https") or not host or port == 0 or blank:
        raise SettingsError(f"{expected}, got {address!r}")
    if "?" in address or "#" in address:
        raise SettingsError(
            f"{expected}, without a query or fragment, got {parts.scheme}://{parts.netloc}{parts.path} with one"
        )


def _number(name: str, value: Any, above: bool = False) -> None:
    sound = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not sound or value < 0 or (above and value == 0):
        raise SettingsError(f"{name} must be a finite number {'above' if above else 'of at least'} 0, got {value!r}")


def chat_settings(address: str, **settings: Any) -> ChatSettings:
    """Settings from an address.

    Args:
        address: ``"http://host:port/v1"``, or with a model ``"http://host:port/v1#model"``.
        settings: further fields of `ChatSettings`.

    Raises:
        SettingsError: a setting is unknown or cannot work.
    """
    base_url, _, model = address.partition("#")
    known = [entry.name for entry in fields(ChatSettings) if entry.name != "base_url"]
    for name in settings:
        if name not in known:
            raise SettingsError(
                f"unknown setting {name!r} of an endpoint; known: {', '.join(known)}.{did_you_mean(name, known)}"
            )
    if model and settings.get("model", model) != model:
        raise SettingsError(f"the address names the model {model!r}, the settings {settings['model']!r}; name one")
    return ChatSettings(base_url, **({"model": model} | settings if model else settings))
