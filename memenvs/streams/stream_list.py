"""StreamList: given streams as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from memenvs.errors import DataError
from memenvs.streams.types import Stream


class StreamList:
    """Streams made by the caller, for ``MemoryEnv(data=StreamList([...]))``.

    Args:
        streams: at least one.
        source: shown in ``info`` and in results.
        split: shown in results.
        licence: of the content.

    Raises:
        DataError: there are no streams.
    """

    def __init__(
        self, streams: Iterable[Stream], source: str = "given", split: str = "all", licence: str = "unknown"
    ) -> None:
        self._streams = tuple(streams)
        if not self._streams:
            raise DataError("a StreamList needs at least one stream, got none")
        self.source, self.split, self.licence = source, split, licence
        self.max_steps = max(stream.T for stream in self._streams)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the streams' fingerprints."""
        return hashlib.sha256(" ".join(s.fingerprint for s in self._streams).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._streams)

    def __getitem__(self, index: int) -> Stream:
        return self._streams[index]
