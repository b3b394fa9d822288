"""EndpointReader: a model behind an OpenAI-compatible server answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from memenvs.endpoint import ChatEndpoint, EndpointError, Failure, Message, Reply, Usage, chat_settings
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading.base import Answer, Reading
from memenvs.reading.prompts import check_templates, conversation
from memenvs.reading.replies import understand_reply


class ChatModel(Protocol):
    """Who can be asked: `memenvs.endpoint.ChatEndpoint`, or a model within the process."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def usage(self) -> Usage:
        """What asking cost so far."""
        ...

    def complete(self, conversations: Sequence[Sequence[Message]]) -> list[Reply | Failure]:
        """One reply, or the reason why there is none, per conversation."""
        ...


class EndpointReader:
    """A frozen language model as reader, with what it cites.

    Readings of one call are sent at once, as many at a time as the endpoint allows. A reading whose request fails gets an `Answer`
    with a ``failure``; the others count. Items are never cut: what a server finds too long it refuses, and that is such a failure.

    Args:
        endpoint: who is asked. Without a model's name in its settings the server is asked for it here, so it must be up.
        templates: ``"own"``, or ``"mab"`` for MemoryAgentBench's templates, see `memenvs.reading.prompts`.

    Raises:
        SettingsError: the model cannot be named, or a setting cannot work.
    """

    def __init__(self, endpoint: ChatModel, templates: str = "own") -> None:
        check_templates(templates)
        self.endpoint, self.templates = endpoint, templates
        try:
            model = endpoint.name
        except EndpointError as error:
            raise SettingsError(f"{error}. Start the server, or name the model") from error
        self.name = model if templates == "own" else f"{model} ({templates})"
        """The model, and whose templates if not our own."""
        self.uncited = 0
        """Answers from at least one item that named none of them. Attribution then falls back as its settings say."""
        self.unstructured = 0
        """Answers that came as plain text and not as the JSON that was asked for."""
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What asking cost so far."""
        return self.endpoint.usage

    def __reduce__(self) -> Any:
        return type(self), (self.endpoint, self.templates)

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """See `memenvs.reading.Reader.read`.

        Raises:
            ReaderError: nobody could be asked: the client is not installed, or there is no template for a source.
        """
        try:
            replies = self.endpoint.complete([conversation(reading, self.templates) for reading in readings])
        except (SettingsError, EndpointError) as error:
            raise ReaderError(f"the reader {self.name!r} cannot ask: {error}") from error
        return [self._answer(reading, reply) for reading, reply in zip(readings, replies, strict=True)]

    def _answer(self, reading: Reading, reply: Reply | Failure) -> Answer:
        if isinstance(reply, Failure):
            return Answer("", failure=str(reply))
        understood = understand_reply(reply.text, len(reading.items), reading.question, reading.source)
        if understood.text is None:
            way_out = "; raise max_tokens" if reply.truncated else ""
            return Answer("", failure=f"no_text: the reply holds thoughts and no answer{way_out}")
        with self._lock:
            self.uncited += bool(reading.items) and not understood.places
            self.unstructured += not understood.structured
        return Answer(understood.text, tuple(reading.items[place][0] for place in understood.places))


def endpoint_reader(address: str, templates: str = "own", **settings: Any) -> EndpointReader:
    """A reader from an address.

    Args:
        address: ``"http://host:port/v1"``, or with a model ``"http://host:port/v1#model"``.
        templates: see `EndpointReader`.
        settings: fields of `ChatSettings`.

    Raises:
        SettingsError: a setting is unknown or cannot work, or the model cannot be named.
    """
    return EndpointReader(ChatEndpoint(chat_settings(address, **settings)), templates)
