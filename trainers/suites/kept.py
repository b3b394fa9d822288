"""A file of records that survives a kill: ``records/<arm>.jsonl``, one episode per line.

A line is on the disk before the next episode begins. A kill can tear only the last line, which is dropped when the file is opened
again; its episode is played again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from memenvs.errors import DataError
from memenvs.record import EpisodeRecord


class KeptRecords:
    """The records of one arm.

    Args:
        path: of the file; made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            _drop_torn_line(path)

    def __iter__(self) -> Iterator[EpisodeRecord]:
        """The records in the order in which they were made, one after the other.

        Raises:
            DataError: a line is no record, or two are of one stream.
        """
        if not self.path.is_file():
            return
        seen: set[int] = set()
        with self.path.open("rb") as file:
            for line in file:
                record = self._record(line)
                if (index := index_of(record)) in seen:
                    raise DataError(f"{self.path} has two records of stream {index}; an episode counts once")
                seen.add(index)
                yield record

    def _record(self, line: bytes) -> EpisodeRecord:
        try:
            return EpisodeRecord.from_json(line.decode("ascii"))
        except (DataError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self.path} has a line that is no record: {error}. --resume never starts the evaluation anew."
            ) from error

    def append(self, record: EpisodeRecord) -> None:
        """Add a record; it is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(record.to_json().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def replace(self, records: Iterable[EpisodeRecord]) -> None:
        """Put other records in place of all: after a kill the file holds either the old or the new ones."""
        beside = self.path.with_suffix(".tmp")
        try:
            with beside.open("wb") as file:
                for record in records:
                    file.write(record.to_json().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def drop_half_written(folder: Path) -> None:
    """Drop what a killed command left half written (``*.tmp``) in the folder of an evaluation; nobody else may be writing there."""
    for left in (path for name in ("records", "runs", "waiting") for path in (folder / name).glob("*.tmp")):
        left.unlink()


def index_of(record: EpisodeRecord) -> int:
    """The stream's index in its data set."""
    index = record.settings.get("stream_index")
    if not isinstance(index, int):
        raise DataError(f"the record of stream {record.stream_id!r} does not say which stream of the data it is")
    return index


def _drop_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        whole, step = end, 1 << 16
        while whole:
            start = max(0, whole - step)
            file.seek(start)
            at = file.read(whole - start).rfind(b"\n")
            if at >= 0:
                whole = start + at + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())
