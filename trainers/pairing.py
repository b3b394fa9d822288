"""Two agents over the same streams and questions: paired scores and the interval of their difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memenvs.errors import DataError
from memenvs.record import EpisodeRecord, ReadingRecord
from trainers.rescoring import ALL
from trainers.saved import facts_of
from trainers.statistics import paired_bootstrap, paired_differences, tally

OWN_TO_EPISODE = {"dataset", "stream_index", "costs", "budget", "memory_of", "not_asked"}
"""Settings that differ from episode to episode; the data set is compared by `pair`."""
Key = tuple[str | None, str]
"""(fingerprint of the data set, id of the stream)."""
Table = NDArray[np.float64]
"""(seeds, streams or questions) scores, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The streams that two sides share."""

    streams: tuple[tuple[tuple[EpisodeRecord, ...], tuple[EpisodeRecord, ...]], ...]
    """Per stream the episodes of A and those of B, one per seed."""
    only_a: tuple[str, ...]
    """Ids of streams that only A played."""
    only_b: tuple[str, ...]
    """Ids of streams that only B played."""


def pair(a: Iterable[EpisodeRecord], b: Iterable[EpisodeRecord], names: tuple[str, str] = ("A", "B")) -> Paired:
    """Pair episodes by data set and stream.

    Args:
        a: episodes of one side; several of one stream are its seeds.
        b: episodes of the other.
        names: of the sides, for messages.

    Raises:
        DataError: no stream in common, or a stream of the same name with other chunks, other questions, or under another scoring
            profile.
    """
    sides = [_by_stream(a), _by_stream(b)]
    shared = [key for key in sides[0] if key in sides[1]]
    if not shared:
        told = "; ".join(f"{name}: {_what(side)}" for name, side in zip(names, sides, strict=True))
        raise DataError(
            f"no stream in common, so nothing can be compared. {told}. Evaluate both on the same data and split."
        )
    for key in shared:
        _check(key[1], [record for side in sides for record in side[key]], names)
    only = [tuple(key[1] for key in one if key not in other) for one, other in (sides, sides[::-1])]
    return Paired(tuple((tuple(sides[0][key]), tuple(sides[1][key])) for key in shared), *only)


def _by_stream(records: Iterable[EpisodeRecord]) -> dict[Key, list[EpisodeRecord]]:
    found: dict[Key, list[EpisodeRecord]] = {}
    for record in records:
        found.setdefault((record.settings.get("dataset"), record.stream_id), []).append(record)
    return found


def _what(side: Mapping[Key, object]) -> str:
    datasets = sorted({str(dataset) for dataset, _ in side})
    return f"data set {', '.join(datasets)}, {len(side)} streams, first {next(iter(side))[1]!r}"


def _check(stream: str, records: Sequence[EpisodeRecord], names: tuple[str, str]) -> None:
    """All episodes of a stream read the same chunks, answered the same questions and were scored by the same rules."""
    sides = f"{names[0]} and {names[1]}"
    if len(found := {record.fingerprint for record in records}) > 1:
        raise DataError(f"stream {stream!r} is not the same in {sides}: fingerprints {', '.join(sorted(found))}")
    asked = [[(q.question, q.references, q.source) for q in record.questions] for record in records]
    for other in asked[1:]:
        if len(other) != len(asked[0]):
            raise DataError(
                f"stream {stream!r} was asked {len(asked[0])} and {len(other)} questions in {sides}; "
                "evaluate both with the same families"
            )
        for number, (one, two) in enumerate(zip(asked[0], other, strict=True), 1):
            if one != two:
                raise DataError(f"question {number} of stream {stream!r} differs in {sides}: {one} and {two}")
    if len(profiles := facts_of(records, "profile")) > 1:
        raise DataError(
            f"stream {stream!r} was scored under {' and '.join(profiles)} in {sides}; score both alike with --profile"
        )


def rows(paired: Paired) -> list[dict[str, Any]]:
    """Lines of a table: r_global and every question source.

    Returns:
        Per line the mean of ``a`` and of ``b`` over the streams that count on both sides; the mean ``difference`` a - b with its
        interval ``low``, ``high`` (`trainers.statistics.paired_bootstrap`; NaN for fewer than two streams); the number of
        ``streams`` that count and of those ``left_out``; how many streams and how many questions A has won, tied and lost. A
        failed episode counts nowhere; r_global needs a score of every question of the stream, a source one of every question of
        that source.
    """
    sources = sorted({q.source for a, _ in paired.streams for q in a[0].questions})
    return [_row(paired, name, None if name == ALL else name) for name in (ALL, *sources)]


def _row(paired: Paired, name: str, source: str | None) -> dict[str, Any]:
    def asked(question: ReadingRecord) -> bool:
        return source is None or question.source == source

    having = [(a, b) for a, b in paired.streams if any(map(asked, a[0].questions))]
    sides = [[_scores(stream[side], asked) for stream in having] for side in (0, 1)]
    a, b = (_side_by_side([table.mean(1, keepdims=True) for table in side]) for side in sides)
    differences = paired_differences(a, b)
    counts = ~np.isnan(differences)
    interval = paired_bootstrap(a, b)
    # One stream says nothing of other streams: no interval, rather than one without width.
    low, high = (interval.low, interval.high) if counts.sum() > 1 else (np.nan, np.nan)
    questions = paired_differences(*(_side_by_side(side) for side in sides))
    return {
        "source": name,
        "a": _mean_of(a[:, counts]),
        "b": _mean_of(b[:, counts]),
        "difference": interval.mean,
        "low": float(low),
        "high": float(high),
        "streams": int(counts.sum()),
        "left_out": int((~counts).sum()),
        **tally(differences)._asdict(),
        **{f"question_{name}": number for name, number in tally(questions)._asdict().items()},
    }


def _scores(records: Sequence[EpisodeRecord], asked: Callable[[ReadingRecord], bool]) -> Table:
    """(seeds, questions) scores of one stream; a failed episode has none."""
    return np.array(
        [
            [np.nan if q.score is None or record.failure else q.score for q in record.questions if asked(q)]
            for record in records
        ],
        np.float64,
    )


def _side_by_side(tables: Sequence[Table]) -> Table:
    """Tables of (seeds, n) next to each other; where one has fewer seeds than another, NaN."""
    seeds = max(len(table) for table in tables)
    return np.hstack([np.pad(t, ((0, seeds - len(t)), (0, 0)), constant_values=np.nan) for t in tables])


def _mean_of(table: Table) -> float:
    """Mean over streams of the mean over seeds; NaN without streams."""
    return float(np.nanmean(table, 0).mean()) if table.size else float("nan")


def differing_settings(a: Iterable[EpisodeRecord], b: Iterable[EpisodeRecord]) -> dict[str, dict[str, list[str]]]:
    """What the sides' records say differently about how they were made: name -> {"a": values, "b": values}.

    What belongs to single episodes is left out, and what `pair` compares.
    """
    sides = [list(a), list(b)]
    names = sorted({name for side in sides for record in side for name in record.settings} - OWN_TO_EPISODE)
    found = {name: [facts_of(side, name) for side in sides] for name in names}
    return {name: {"a": one, "b": two} for name, (one, two) in found.items() if one != two}
