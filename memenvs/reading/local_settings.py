"""Which model answers within this process, and how.

* `LocalSettings` - all of it.
* `local_settings` - from a name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from memenvs.errors import SettingsError, did_you_mean, whole

DTYPES = ("float32", "bfloat16", "float16", "auto")
"""Of the weights; "auto" as they were saved."""
PREFIX = "local:"
"""Before the name of a model that runs within the process."""


@dataclass(frozen=True)
class LocalSettings:
    """A causal language model of transformers."""

    model: str
    """A folder that ``save_pretrained`` wrote, or an id on the hub."""
    dtype: str = "float32"
    """One of `DTYPES`."""
    device: str | None = None
    """For instance "cuda:1"; None takes the first GPU if there is one, else the CPU."""
    max_tokens: int = 1024
    """Longest reply in tokens."""
    batch: int = 16
    """Most readings that go through the model together."""
    revision: str | None = None
    """Commit, branch or tag on the hub."""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of the chat template, JSON-able, such as {"enable_thinking": false}."""

    def __post_init__(self) -> None:
        if not self.model:
            raise SettingsError(
                'expected a model after "local:", a folder or an id on the hub, such as local:path/to/model'
            )
        if self.dtype not in DTYPES:
            hint = did_you_mean(str(self.dtype), DTYPES)
            raise SettingsError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}.{hint}")
        for name in ("max_tokens", "batch"):
            whole(name, getattr(self, name), 1)
        try:
            json.dumps(dict(self.chat_template_kwargs))
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"chat_template_kwargs must be JSON-able, got {self.chat_template_kwargs!r}: {error}"
            ) from error

    @property
    def parameters(self) -> dict[str, Any]:
        """What replies depend on beside the weights, for results."""
        own: dict[str, Any] = {"temperature": 0.0, "max_tokens": self.max_tokens, "dtype": self.dtype}
        if self.chat_template_kwargs:
            own["chat_template_kwargs"] = dict(self.chat_template_kwargs)
        return own | ({"revision": self.revision} if self.revision else {})

    @property
    def concurrency(self) -> int:
        """Readings that are answered at a time, as `memenvs.endpoint.ChatSettings` has it for a server."""
        return self.batch

    def to_json(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self) | {"chat_template_kwargs": dict(self.chat_template_kwargs)}


def local_settings(name: str, **settings: Any) -> LocalSettings:
    """Settings from a name.

    Args:
        name: ``"local:FOLDER"`` or ``"local:HUB_ID"``.
        settings: further fields of `LocalSettings`.

    Raises:
        SettingsError: a setting is unknown or cannot work.
    """
    known = [entry.name for entry in fields(LocalSettings) if entry.name != "model"]
    for given in settings:
        if given not in known:
            raise SettingsError(
                f"unknown setting {given!r} of a model within the process; known: {', '.join(known)}."
                f"{did_you_mean(given, known)}"
            )
    return LocalSettings(name.removeprefix(PREFIX), **settings)
