"""Who answers in training, and how it is asked. Every field is an option of ``memenvs train``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from memenvs.reading.local_settings import PREFIX as LOCAL
from trainers.endpoint_options import EndpointOptions, check_options, is_served
from trainers.extra_parameters import canonical, with_extra

REPLIES = "replies.sqlite"
"""File of a run's folder: what its reader replied."""
_PREFIX = "reader_"
CHANGE_REPLIES = (
    "reader",
    "reader_temperature",
    "reader_max_tokens",
    "reader_extra",
    "reader_templates",
    "reader_dtype",
)
"""Fields that decide what is replied; the others say how and where it is asked."""


@dataclass(frozen=True)
class ReaderSettings:
    """The reader, and how it is asked; what is None is as in `memenvs.endpoint.ChatSettings` and `LocalSettings`.

    Raises:
        SettingsError: an option is for another kind of reader, or the extra parameters cannot be read or leave out what another
            option gives.
    """

    reader: str = "extractive"
    """Who answers: "extractive", a model behind a server, http://host:8000/v1#model, or one within this process, local:FOLDER."""
    reader_temperature: float | None = None
    """Of a reader at an address: of its sampling (0 if not given)."""
    reader_max_tokens: int | None = None
    """Of a reader at an address or a local: one: longest reply (1024 if not given)."""
    reader_extra: str | None = None
    """Of a reader at an address: more parameters of its requests, a JSON object such as
    {"chat_template_kwargs": {"enable_thinking": false}}; null leaves temperature or max_tokens out, for models that refuse them. Of
    a local: one chat_template_kwargs alone."""
    reader_concurrency: int | None = None
    """Of a reader at an address: requests under way at a time (8 if not given)."""
    reader_timeout: float | None = None
    """Of a reader at an address: seconds for one try (120 if not given)."""
    reader_patience: float | None = None
    """Of a reader at an address: seconds that the server may be out of reach before questions fail (120 if not given)."""
    reader_requests_per_minute: int | None = None
    """Of a reader at an address: most requests begun in a minute."""
    reader_tokens_per_minute: int | None = None
    """Of a reader at an address: most tokens in a minute."""
    reader_price_in: float | None = None
    """Of a reader at an address: price of a million tokens read."""
    reader_price_out: float | None = None
    """Of a reader at an address: price of a million tokens written."""
    reader_cache: str | None = None
    """Of a reader at an address: file that keeps its replies; in training replies.sqlite in the run's folder, if not given. On a
    cluster (--ray) there is none unless it is given, for it must be on a disk of each machine's own."""
    reader_replay: Literal["on", "off"] | None = None
    """Of a reader at an address: "on" answers from the file alone, without a server."""
    reader_templates: Literal["own", "mab"] | None = None
    """Of a reader at an address or a local: one: our own prompts, or MemoryAgentBench's query templates."""
    reader_dtype: Literal["float32", "bfloat16", "float16", "auto"] | None = None
    """Of a local: reader: of its weights (float32 if not given)."""
    reader_device: str | None = None
    """Of a local: reader: for instance cuda:1 (the first GPU, else the CPU, if not given)."""
    reader_batch: int | None = None
    """Of a local: reader: most readings that go through the model together (16 if not given)."""

    def __post_init__(self) -> None:
        check_options(self.reader, self._given, "reader-")
        if self.reader_extra is not None:
            object.__setattr__(self, "reader_extra", canonical(self.reader_extra, "reader"))
        _ = self.reader_arguments

    @property
    def _given(self) -> dict[str, Any]:
        """Name -> value of what was given beside the reader."""
        named = ((entry.name, getattr(self, entry.name)) for entry in fields(self) if entry.name.startswith(_PREFIX))
        return {name.removeprefix(_PREFIX): value for name, value in named if value is not None}

    @property
    def reader_arguments(self) -> dict[str, Any]:
        """Arguments of `memenvs.reading.make_reader` beside the reader."""
        given = with_extra(self._given, "reader", self.reader.startswith(LOCAL))
        return given | ({"replay": given["replay"] == "on"} if "replay" in given else {})

    def keeping_replies(self, folder: Path) -> Self:
        """The same, with `REPLIES` in a folder for a reader at an address that was given no file."""
        if not is_served(self.reader) or self.reader_cache is not None:
            return self
        return replace(self, reader_cache=str(folder / REPLIES))


def reader_fields(options: EndpointOptions) -> dict[str, Any]:
    """The fields of `ReaderSettings` for what was given on a command line."""
    return {f"{_PREFIX}{name}": str(value) if name == "cache" else value for name, value in options.items()}


def without_unseen(env: dict[str, Any]) -> dict[str, Any]:
    """Settings of an environment as plain data, without what changes no reply: where a named model is asked, and how patiently."""
    kept = {name: value for name, value in env.items() if not name.startswith("reader") or name in CHANGE_REPLIES}
    if kept.get("reader_extra") is None:  # runs of older versions know nothing of it
        kept.pop("reader_extra", None)
    address, _, model = env["reader"].partition("#")
    return kept | ({"reader": f"#{model}"} if is_served(address) and model else {})
