"""Reading: the frozen agent that answers questions from retrieved items.

* `Reader`, `Reading`, `Answer` - the contract.
* `ProbabilityReader` - a reader that also knows how likely it finds an answer.
* `CachedReader` - asks a reader once per question and evidence, and counts.
* `ExtractiveReader` - the embedded, deterministic default.
* `make_reader` - a reader by name.
* `read` - what a reader answers, or how it failed.
"""

from memenvs.errors import SettingsError, did_you_mean
from memenvs.reading.asking import read
from memenvs.reading.base import Answer, ProbabilityReader, Reader, Reading
from memenvs.reading.cache import CachedReader
from memenvs.reading.extractive import ExtractiveReader

__all__ = [
    "Answer",
    "CachedReader",
    "ExtractiveReader",
    "ProbabilityReader",
    "Reader",
    "Reading",
    "make_reader",
    "read",
]

_READERS = {"extractive": ExtractiveReader}


def make_reader(reader: "str | Reader") -> Reader:
    """A reader by name, or the given one.

    Raises:
        SettingsError: no reader has this name, or the object has no ``read``.
    """
    if isinstance(reader, str):
        if reader not in _READERS:
            known = ", ".join(_READERS)
            raise SettingsError(f"unknown reader {reader!r}; known: {known}.{did_you_mean(reader, _READERS)}")
        return _READERS[reader]()
    if not isinstance(reader, Reader):
        raise SettingsError(
            f"a reader needs a name and read(list[Reading]) -> list[Answer], got {type(reader).__name__}"
        )
    return reader
