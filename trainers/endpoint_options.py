"""Options for a reader behind an address: what a person sets about it on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypedDict

from memenvs.errors import SettingsError


class EndpointOptions(TypedDict, total=False):
    """Of a reader at an address; what is left out is as in `memenvs.endpoint.ChatSettings`."""

    temperature: float
    """Of a reader at an address: of sampling (0 if not given)."""
    max_tokens: int
    """Of a reader at an address: longest reply."""
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
    """Of a reader at an address: our own prompts, or MemoryAgentBench's query templates."""


def reader_arguments(reader: str, options: EndpointOptions, folder: Path) -> dict[str, Any]:
    """Arguments of `memenvs.reading.make_reader` beside the reader.

    Raises:
        SettingsError: options for a reader that is at no address.
    """
    if reader.startswith(("http://", "https://")):
        replay = {"replay": options["replay"] == "on"} if "replay" in options else {}
        return {"cache": folder / "replies.sqlite", **options, **replay}
    if options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise SettingsError(
            f"{named}: only a reader at an address (http://host:port/v1#model) takes it, not {reader!r}"
        )
    return {}
