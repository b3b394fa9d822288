"""Options for a reader that is a language model: what a person sets about it on the command line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, TypedDict

from memenvs.errors import SettingsError
from memenvs.reading.local_settings import PREFIX


class EndpointOptions(TypedDict, total=False):
    """Of a reader at an address or a ``local:`` one.

    What is left out is as in `memenvs.endpoint.ChatSettings` and `memenvs.reading.local_settings.LocalSettings`.
    """

    temperature: float
    """Of a reader at an address: of sampling (0 if not given)."""
    max_tokens: int
    """Of a reader at an address or a local: one: longest reply."""
    extra: str
    """Of a reader at an address: more parameters of its requests, a JSON object such as
    {"chat_template_kwargs": {"enable_thinking": false}}; null leaves temperature or max_tokens out, for models that refuse them. Of
    a local: one chat_template_kwargs alone."""
    concurrency: int
    """Of a reader at an address: requests under way at a time (8 if not given)."""
    timeout: float
    """Of a reader at an address: seconds for one try."""
    patience: float
    """Of a reader at an address: seconds that the server may be out of reach before questions fail."""
    requests_per_minute: int
    """Of a reader at an address: most requests begun in a minute."""
    tokens_per_minute: int
    """Of a reader at an address: most tokens in a minute."""
    price_in: float
    """Of a reader at an address: price of a million tokens read."""
    price_out: float
    """Of a reader at an address: price of a million tokens written."""
    cache: Path
    """Of a reader at an address: file that keeps its replies; replies.sqlite in the folder if not given."""
    replay: Literal["on", "off"]
    """Of a reader at an address: "on" answers from ``cache`` alone, without a server."""
    templates: Literal["own", "mab"]
    """Of a reader at an address or a local: one: our own prompts, or MemoryAgentBench's query templates."""
    dtype: Literal["float32", "bfloat16", "float16", "auto"]
    """Of a local: reader: of its weights (float32 if not given)."""
    device: str
    """Of a local: reader: for instance cuda:1 (the first GPU, else the CPU, if not given)."""
    batch: int
    """Of a local: reader: most readings that go through the model together (16 if not given)."""


_BOTH = frozenset({"max_tokens", "extra", "templates"})
_LOCAL = _BOTH | {"dtype", "device", "batch"}
_SERVED = frozenset(EndpointOptions.__annotations__) - _LOCAL | _BOTH


def is_served(reader: str) -> bool:
    """Whether a reader is a model at an address."""
    return reader.startswith(("http://", "https://"))


def check_options(reader: str, options: Collection[str], prefix: str = "") -> None:
    """See that options are for this kind of reader.

    Args:
        reader: name or address.
        options: names of those that were given.
        prefix: of their flags.

    Raises:
        SettingsError: one is for another kind.
    """
    taken = _SERVED if is_served(reader) else _LOCAL if reader.startswith(PREFIX) else frozenset[str]()
    for kind, known in (("a reader at an address (http://host:port/v1#model)", _SERVED), ("a local: reader", _LOCAL)):
        if strange := [name for name in options if name in known - taken]:
            named = ", ".join(f"--{prefix}{name.replace('_', '-')}" for name in strange)
            raise SettingsError(f"{named}: only {kind} takes it, not {reader!r}")
