"""Reading: the frozen agent that answers questions from retrieved items.

* `Reader`, `Reading`, `Answer` - the contract.
* `ProbabilityReader` - a reader that also knows how likely it finds an answer.
* `CachedReader` - asks a reader once per question and evidence, and counts.
* `ExtractiveReader` - the embedded, deterministic default.
* `FactReader` - follows the newest of numbered facts.
* `EndpointReader` - a language model behind an OpenAI-compatible server.
* `LocalReader` - a language model within this process; it gives probabilities too.
* `make_reader` - a reader by name or address.
* `read` - what a reader answers, or how it failed.
"""

from collections.abc import Callable
from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.reading.asking import read
from memenvs.reading.base import Answer, ProbabilityReader, Reader, Reading
from memenvs.reading.cache import CachedReader
from memenvs.reading.endpoint import EndpointReader, endpoint_reader
from memenvs.reading.extractive import ExtractiveReader
from memenvs.reading.facts import FactReader
from memenvs.reading.local import LocalReader, local_reader
from memenvs.reading.local_settings import PREFIX

__all__ = [
    "Answer",
    "CachedReader",
    "EndpointReader",
    "ExtractiveReader",
    "FactReader",
    "LocalReader",
    "ProbabilityReader",
    "Reader",
    "Reading",
    "make_reader",
    "read",
]

_READERS: dict[str, Callable[[], Reader]] = {"extractive": ExtractiveReader, "facts": FactReader}


def make_reader(reader: "str | Reader", **settings: Any) -> Reader:
    """A reader by name or address, or the given one.

    Args:
        reader: ``"extractive"``, ``"facts"``, the address of an OpenAI-compatible server (``"http://127.0.0.1:8000/v1"``, or
            with a model ``"http://127.0.0.1:8000/v1#Qwen/Qwen3-32B"``), a model to load (``"local:FOLDER"``, ``"local:HUB_ID"``),
            or a reader.
        settings: ``templates`` and, of a reader at an address, the fields of `memenvs.endpoint.ChatSettings`; of a model to load
            those of `memenvs.reading.local_settings.LocalSettings`.

    Raises:
        SettingsError: no reader has this name, the object has no ``read``, or a setting is unknown or cannot work.
        DataError: there is no such model to load.
    """
    if isinstance(reader, str) and reader.startswith(("http://", "https://")):
        return endpoint_reader(reader, **settings)
    if isinstance(reader, str) and reader.startswith(PREFIX):
        return local_reader(reader, **settings)
    if settings:
        raise SettingsError(
            f"only a reader at an address takes settings, or local:MODEL; got {', '.join(settings)} for {reader!r}"
        )
    if isinstance(reader, str):
        if reader not in _READERS:
            known = ", ".join([*_READERS, "an address such as http://127.0.0.1:8000/v1", "local:FOLDER_OR_HUB_ID"])
            raise SettingsError(f"unknown reader {reader!r}; known: {known}.{did_you_mean(reader, _READERS)}")
        return _READERS[reader]()
    if not isinstance(reader, Reader):
        raise SettingsError(
            f"a reader needs a name and read(list[Reading]) -> list[Answer], got {type(reader).__name__}"
        )
    return reader
