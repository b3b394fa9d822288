"""PublishedStreams: a data set over the rows of a published benchmark.

* `Format` - what a loader says about its benchmark and how a row becomes a stream.
* `PublishedStreams` - the `StreamDataset`: lazy rows, choice of families, rows that are skipped when asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.streams.rows import Row, Rows
from memenvs.streams.types import Stream

ON_ERROR = ("raise", "skip")
"""What can be done about a malformed row."""


class Outline(NamedTuple):
    """What is known of a row without making its stream."""

    sources: frozenset[str]
    """Sources of its questions."""
    steps: int
    """An upper bound of T."""


class Skipped(NamedTuple):
    """A row that was left out because it is malformed."""

    file: str
    """Name of the file or hub id."""
    row: int
    """0-based number in it."""
    reason: str
    """The error's message: file, row, field, what was expected and what came."""


@dataclass(frozen=True)
class Format:
    """One published format with the settings it is read with."""

    name: str
    """The benchmark's name."""
    licence: str
    """Licence of the published content."""
    read: Callable[[Row], Stream]
    """Makes a row's stream; raises DataError for a malformed row."""
    outline: Callable[[Row], Outline]
    """The same, quick and without checks that need the whole row."""
    contamination: str = ""
    """What is known of test questions that stand in published training data or can be answered without memory; "" for nothing."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name of a group of families -> their sources (or how these begin)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What streams depend on beside the rows; part of the fingerprint."""
    version: int = 1
    """Raised whenever equal rows and settings would give other streams."""


class PublishedStreams:
    """A `StreamDataset` over a benchmark's rows; a row is decoded when its stream is asked for.

    Args:
        rows: the records.
        form: how they become streams.
        source: the data set's name in results.
        split: name of the split.
        families: sources of questions (or how they begin, or names of the format's groups); other questions are left out, and
            streams without any left. None for all.
        on_error: ``"raise"``, or ``"skip"`` to leave malformed rows out, which decodes every row once.
        revision: the commit that the rows are of, if they come from a hub.

    Attributes:
        revision: the commit (40 hex digits) that it was taken at from a hub; None for files given by path.
        skipped: the rows that were left out, with reasons.
        known_families: the sources of the questions of all rows.

    Raises:
        DataError: there is no row, or (with ``"raise"``) one is plainly malformed; others raise when they are asked for.
        SettingsError: unknown ``on_error`` or family.
    """

    def __init__(
        self,
        rows: Rows,
        form: Format,
        source: str,
        split: str,
        families: Iterable[str] | None = None,
        on_error: str = "raise",
        revision: str | None = None,
    ) -> None:
        if on_error not in ON_ERROR:
            raise SettingsError(f"on_error must be one of {', '.join(ON_ERROR)}, got {on_error!r}")
        if isinstance(families, str):
            raise SettingsError(f"families must be a list of names, got the string {families!r}")
        if not len(rows):
            raise DataError(f"{source}: expected at least one {form.name} row, got none")
        self.source, self.split, self.revision = source, split, revision
        self.licence, self.contamination = form.licence, form.contamination
        self._rows, self._form = rows, form
        self._families = None if families is None else tuple(families)
        outlines, self.skipped, self._digest = _look_through(rows, form, on_error)
        self.known_families = tuple(sorted({name for outline in outlines.values() for name in outline.sources}))
        self._wanted = _wanted(self._families, self.known_families, form.groups, source)
        self._numbers = [number for number, outline in outlines.items() if outline.sources & self._wanted]
        if not self._numbers:
            reasons = "; ".join(one.reason for one in self.skipped[:3])
            raise DataError(f"{source}: no row is left; {len(self.skipped)} were skipped: {reasons}")
        self.max_steps = max(outlines[number].steps for number in self._numbers)
        self._last: tuple[int, Stream] | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the rows' content, the rows in use and the settings."""
        form = self._form
        parts = [form.name, form.version, dict(form.settings), sorted(self._wanted), self._numbers, self._digest]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stream:
        """Stream ``index``.

        Raises:
            IndexError: out of range.
            DataError: the row is malformed; says file, row and field.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"stream {index} is out of range: {self.source} has {len(self)}")
        # The rollouts of a group ask for one stream after the other's reset: the last one is kept.
        if self._last is None or self._last[0] != index:
            self._last = None  # not two streams of a million tokens at a time
            self._last = index, self._chosen(self._form.read(self._rows[self._numbers[index]]))
        return self._last[1]

    def _chosen(self, stream: Stream) -> Stream:
        """The stream with the wanted questions; metadata that has one entry per question is cut alike."""
        if self._families is None:
            return stream
        kept = [i for i, question in enumerate(stream.questions) if question.source in self._wanted]
        if len(kept) == len(stream.questions):
            return stream
        extras = dict(stream.metadata)
        for name, value in extras.items():
            if name in PER_QUESTION and isinstance(value, list) and len(value) == len(stream.questions):
                extras[name] = [value[i] for i in kept]
        return replace(stream, questions=tuple(stream.questions[i] for i in kept), metadata=extras)


PER_QUESTION = ("question_ids", "question_types", "question_dates", "qa_pair_ids", "adversarial_answers")
"""Entries of a stream's metadata that are lists with one entry per global question."""


def _look_through(rows: Rows, form: Format, on_error: str) -> tuple[dict[int, Outline], tuple[Skipped, ...], str]:
    """Outline of each row that can be used, by number; the rows that cannot; SHA-256 of the content."""
    found: dict[int, Outline] = {}
    skipped: list[Skipped] = []
    digest = hashlib.sha256()
    for number in range(len(rows)):
        try:
            row = rows[number]
            digest.update(row.canonical() + b"\n")
            found[number] = form.outline(row)
            if not found[number].sources:
                raise row.fault("questions", "at least one question", "none")
            if on_error == "skip":
                form.read(row)
        except DataError as error:
            if on_error == "raise":
                raise
            found.pop(number, None)
            skipped.append(Skipped(rows.name, number, str(error)))
    return found, tuple(skipped), digest.hexdigest()


def _wanted(
    families: tuple[str, ...] | None, known: Sequence[str], groups: Mapping[str, Sequence[str]], source: str
) -> frozenset[str]:
    """The sources that the names in ``families`` stand for."""
    if families is None:
        return frozenset(known)
    wanted: set[str] = set()
    for family in families:
        starts = tuple(groups.get(family, (family,)))
        found = {name for name in known if isinstance(family, str) and family and name.startswith(starts)}
        if not found:
            raise SettingsError(
                f"{source} has no questions of the family {family!r}; it has {', '.join(known)}"
                f"{did_you_mean(str(family), [*known, *groups])}"
            )
        wanted |= found
    return frozenset(wanted)
