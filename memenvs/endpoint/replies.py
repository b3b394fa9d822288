"""Replies and failures.

* `Reply`, `Failure` - the two things a request comes to; `EndpointError` - none could be made.
* `request_key` - what makes two requests the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memenvs.errors import MemenvsError

Message = Mapping[str, str]
"""``{"role": "user", "content": "..."}``."""

KINDS = (
    "rate_limited",
    "server_error",
    "timeout",
    "connection",
    "bad_body",
    "no_text",
    "refused",
    "not_in_cache",
)
"""Kinds of failure: 429; 5xx; no whole reply in time; out of reach or connection broken; a body that is no completion; a completion
without text; a request that the server will not take (4xx); a miss in replay mode."""


class EndpointError(MemenvsError):
    """Nobody could be asked at all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote."""

    text: str
    """Never blank."""
    finish_reason: str = "stop"
    """As the server says; "length" where the reply was cut off at its longest."""
    prompt_tokens: int | None = None
    """Tokens read, as the server reports them; None where it does not."""
    completion_tokens: int | None = None
    """Tokens written."""

    @property
    def truncated(self) -> bool:
        """Whether the reply was cut off."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply."""

    kind: str
    """One of `KINDS`."""
    message: str
    """For people: what came, and what was tried."""
    key: str = ""
    """The request's key in a cache."""
    prompt_tokens: int = 0
    """Tokens that were read, and paid for, all the same: by a completion without text."""
    completion_tokens: int = 0
    """Tokens that were written all the same, for instance as thoughts."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def request_key(model: str, parameters: Mapping[str, Any], messages: Sequence[Message], sample: int = 0) -> str:
    """SHA-256 (64 hex digits) over the canonical JSON of a request. Address, key and patience are no part of it."""
    asked = {"model": model, "parameters": dict(parameters), "messages": [dict(m) for m in messages], "sample": sample}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
