"""Rows of published files, read one at a time: what a loader decodes into streams.

* `Row` - one record, with access that says file, row and field where it is not as expected.
* `Rows` - a numbered collection of them: `JsonRows`, `ParquetRows`, `GivenRows`, `ChainedRows`.

No collection holds more than one record in memory, so that the 800k-token contexts can be gone through on a small machine.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from memenvs.errors import DataError

_SHOWN = 120
# A JSON string, or one of the signs that give a document its structure. Possessive, so that a string of megabytes costs no stack.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.S)
_OPENING = re.compile(rb"\xef\xbb\xbf|\s+")
_ARRAY = re.compile(rb'\s*\[|\s*\{\s*"samples"\s*:\s*\[')


class Row:
    """One record of a published file.

    Args:
        file: where it is from, for messages.
        number: 0-based row in that file.
        fields: the decoded record.

    Raises:
        DataError: it is not an object with fields.
    """

    __slots__ = ("_fields", "file", "number")

    def __init__(self, file: str, number: int, fields: Any) -> None:
        self.file, self.number = file, number
        if not isinstance(fields, dict):
            raise DataError(f"{file}, row {number}: expected an object with fields, got {str(fields)[:_SHOWN]!r}")
        self._fields: dict[str, Any] = fields

    def __contains__(self, field: str) -> bool:
        return self._fields.get(field) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that the record has."""
        return tuple(self._fields)

    def canonical(self) -> bytes:
        """The record as JSON with sorted keys: equal content, equal bytes, whatever the file's format."""
        return json.dumps(self._fields, sort_keys=True, default=str).encode()

    def fault(self, field: str, expected: str, got: Any) -> DataError:
        """The error that says that ``field`` is not as expected."""
        return DataError(
            f"{self.file}, row {self.number}, field {field}: expected {expected}, got {str(got)[:_SHOWN]!r}"
        )

    def get(self, field: str) -> Any:
        """The value of a field as it is; None where it is absent."""
        return self._fields.get(field)

    def text(self, field: str) -> str:
        """A field that must be a string.

        Raises:
            DataError: it is absent or something else.
        """
        return self.string(field, self._fields.get(field))

    def string(self, field: str, value: Any) -> str:
        """``value`` of (or in) a field, which must be a string that can be written as UTF-8.

        Raises:
            DataError: it is not.
        """
        if not isinstance(value, str):
            raise self.fault(field, "a string", value)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.fault(field, f"text that UTF-8 can hold ({error.reason})", ascii(value)) from error
        return value

    def items(self, field: str, least: int = 0) -> list[Any]:
        """A field that must be a list of at least ``least`` entries.

        Raises:
            DataError: it is absent, something else, or too short.
        """
        value = self._fields.get(field)
        if not isinstance(value, list) or len(value) < least:
            raise self.fault(field, "a list" + (f" of at least {least}" if least else ""), value)
        return value

    def object(self, field: str) -> dict[str, Any]:
        """A field that must be an object.

        Raises:
            DataError: it is absent or something else.
        """
        value = self._fields.get(field)
        if not isinstance(value, dict):
            raise self.fault(field, "an object", value)
        return value

    def answers(self, field: str, value: Any) -> tuple[str, ...]:
        """Acceptable answers: a string, a number, or a non-empty list of these.

        Raises:
            DataError: it is something else, for instance null.
        """
        listed = value if isinstance(value, list) else [value]
        if not listed or not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in listed):
            raise self.fault(field, "an answer: a string, a number or a non-empty list of these", value)
        return tuple(self.string(field, str(one)) for one in listed)


class Rows(Protocol):
    """A numbered collection of rows."""

    @property
    def name(self) -> str:
        """File name or hub id."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Row: ...


class JsonRows:
    """The objects of a JSON array, or of the array ``"samples"`` in an object.

    The file is scanned once for the places of its entries; an entry is decoded when it is asked for.

    Raises:
        DataError: the file cannot be read or is no such array.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                self._spans = list(_entries(content, path.name))
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise DataError(f"{path} cannot be read as JSON: {error}") from error

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, number: int) -> Row:
        start, end = self._spans[number]
        with self._path.open("rb") as file:
            file.seek(start)
            entry = file.read(end - start)
        try:
            fields = json.loads(entry)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.name}, row {number}: not JSON: {error}") from error
        return Row(self.name, number, fields)


def _entries(content: mmap.mmap, name: str) -> Iterator[tuple[int, int]]:
    """Start and end of each entry of the array."""
    mark = _OPENING.match(content)
    opening = _ARRAY.match(content, mark.end() if mark else 0)
    if not opening:
        raise DataError(f"{name}: expected a JSON array of objects, got {bytes(content[:40])!r}")
    depth, start = 0, opening.end()
    for token in _TOKEN.finditer(content, start):
        sign = content[token.start()]
        if sign in b"[{":
            depth += 1
        elif depth and sign in b"]}":
            depth -= 1
        elif not depth and sign in b",]}":
            if content[start : token.start()].strip():
                yield start, token.start()
            if sign != ord(","):
                return
            start = token.end()
    raise DataError(f"{name}: the JSON array is not closed; the file is cut off")


class ParquetRows:
    """The rows of a parquet file, decoded page by page.

    Args:
        path: the file.
        without: columns, or fields of columns ("metadata.haystack_sessions"), that are not read.

    Raises:
        DataError: pyarrow is not installed, or the file is not parquet.
    """

    def __init__(self, path: Path, without: tuple[str, ...] = ()) -> None:
        self._path = path
        self._arrow = _pyarrow()
        file = self._open()
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        self._leaves = [leaf for leaf in leaves if not f"{leaf}.".startswith(tuple(f"{name}." for name in without))]
        self.columns: tuple[str, ...] = tuple(file.schema_arrow.names)
        self._groups: list[int] = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._cursor: tuple[int, Iterator[Any]] | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def __len__(self) -> int:
        return sum(self._groups)

    def __getitem__(self, number: int) -> Row:
        # Going on from the row before costs one row; going back starts at the beginning of the row group.
        group, first = 0, 0
        while number >= first + self._groups[group]:
            first += self._groups[group]
            group += 1
        if self._cursor is None or not first <= self._cursor[0] <= number:
            self._cursor = first, self._open().iter_batches(1, [group], self._leaves)
        position, batches = self._cursor
        self._cursor = None
        try:
            for _ in range(position, number):
                next(batches)
            fields = next(batches).to_pylist()[0]
        except (self._arrow.ArrowException, OSError, StopIteration) as error:
            raise DataError(f"{self._path}, row {number}, is not readable: {error}") from error
        if number + 1 < first + self._groups[group]:
            self._cursor = number + 1, batches
        return Row(self.name, number, fields)

    def _open(self) -> Any:
        try:
            return self._arrow.parquet.ParquetFile(self._path, pre_buffer=False, buffer_size=1 << 16)
        except (self._arrow.ArrowException, OSError) as error:
            raise DataError(f"{self._path} is not a readable parquet file: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_arrow"} | {"_cursor": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _arrow=_pyarrow())


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("reading parquet needs pyarrow: pip install -e '.[data]'") from error
    return pyarrow


class GivenRows:
    """Records that are in memory already, for formats of one small file.

    Args:
        name: file name, for messages.
        records: one mapping per row.
    """

    def __init__(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        self.name, self._records = name, records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> Row:
        return Row(self.name, number, dict(self._records[number]))


class ChainedRows:
    """Several collections, one after the other.

    Args:
        name: what to call all of them.
        parts: the collections; a row keeps the name and number that it has in its own.
    """

    def __init__(self, name: str, parts: Sequence[Rows]) -> None:
        self.name, self._parts = name, parts

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the first part; () where it has none."""
        return tuple(getattr(self._parts[0], "columns", ()))

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, number: int) -> Row:
        for part in self._parts:
            if number < len(part):
                return part[number]
            number -= len(part)
        raise IndexError(number)
