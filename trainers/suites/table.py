"""The table of a suite: one row per arm, the papers' rows beneath; as JSON, CSV and plain rows for the eye."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memenvs.version import __version__
from trainers.comparison import plain
from trainers.statistics import Interval
from trainers.suites.averages import averages
from trainers.suites.costs import added
from trainers.suites.published_results import PublishedRow
from trainers.suites.suite import Suite
from trainers.suites.summary import Cell, Summary

AVERAGES = {
    "of_subtasks": "mean of sub-tasks",
    "of_groups": "mean of groups",
    "of_units": "mean of {unit}s",
    "of_common": "mean of the sub-tasks that all rows have",
}
"""Key in a row -> heading."""
FACTS = ("suite", "data", "split", "dataset", "reader", "profile", "judge", "seed", "memory_counter")
"""In every line of the CSV; of a paper's row only what is known of it."""


def column_names(suite: Suite, every: Sequence[Sequence[Summary]]) -> list[str]:
    """The sub-tasks that were played, the published ones in the paper's order; of a table with published rows all its columns."""
    found = {name for summaries in every for summary in summaries for name in summary.cells}
    columns = (*suite.columns, *suite.also)
    ordered = [column.name for column in columns if suite.published or column.name in found]
    return ordered + sorted(found - set(ordered))


def arm_row(
    name: str, kind: str, summaries: Sequence[Summary], names: Sequence[str], suite: Suite, common: Sequence[str] = ()
) -> dict[str, Any]:
    """One line of the table.

    Args:
        name: of the arm.
        kind: "agent", "control", "baseline" or "oracle".
        summaries: its episodes.
        names: of the sub-tasks, as `column_names` gives them.
        suite: what the numbers mean.
        common: the sub-tasks that every row has, as `trainers.suites.coverage.common_subtasks` gives them.

    Returns:
        ``subtasks`` (name -> score, interval, numbers of questions, scored ones and those missing by reason), ``groups``, the
        averages of `AVERAGES`, ``memory_tokens`` and ``items`` (means over streams), ``refused`` operations a stream, ``costs``
        (sums), ``questions``, ``scored`` and ``missing``.
    """
    numbers = averages(summaries, names, suite, common=common)
    cells = {name: sum((s.cells[name] for s in summaries if name in s.cells), Cell()) for name in names}
    once = [cell for name, cell in cells.items() if not suite.is_also(name)]
    missing: Counter[str] = sum((cell.missing for cell in once), Counter())
    scored = sum(cell.scored for cell in once)
    return {
        "agent": name,
        "kind": kind,
        "published": False,
        "subtasks": {
            name: _interval(numbers.subtasks[name])
            | {
                "interval_over": numbers.drawn[name] or None,
                "streams": sum(name in s.cells for s in summaries),
                "questions": cell.scored + cell.missing.total(),
                "scored": cell.scored,
                "missing": dict(sorted(cell.missing.items())),
            }
            for name, cell in cells.items()
        },
        "groups": {name: _interval(value) for name, value in numbers.groups.items()},
        "of_subtasks": _interval(numbers.of_subtasks)
        | {"over": [n for n in names if suite.is_published(n) and cells[n].scored]},
        "of_groups": _interval(numbers.of_groups) | {"over": list(numbers.groups)},
        "of_units": _interval(numbers.of_units),
        "of_common": _interval(numbers.of_common) | {"over": list(common)},
        "memory_tokens": _mean([s.memory_tokens for s in summaries]),
        "items": _mean([s.items for s in summaries]),
        "refused": _mean([s.refused for s in summaries]),
        "costs": added(s.costs for s in summaries),
        "streams": len(summaries),
        "questions": scored + missing.total(),
        "scored": scored,
        "missing": dict(sorted(missing.items())),
    }


def published_row(row: PublishedRow, common: Sequence[str] = ()) -> dict[str, Any]:
    """A paper's row with the keys of `arm_row` that it has; ``common`` as there."""
    shared = [row.scores[name] for name in common if name in row.scores]
    return {
        "agent": row.name,
        "kind": "published",
        "published": True,
        "source": row.source,
        "profile": row.profile,
        "memory_counter": row.counter,
        "subtasks": {name: {"score": score} for name, score in row.scores.items()},
        "groups": {},
        "of_subtasks": {"score": row.mean_of_subtasks, "over": list(row.scores)},
        "of_common": {"score": _mean(shared) if shared else None, "over": list(common)},
        "printed_average": row.average,
        "memory_tokens": row.memory * 1000,
    }


def write_table(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], folder: Path) -> None:
    """``table.json`` (facts and rows) and ``table.csv`` (rows, with the facts that say what they mean)."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"memenvs": __version__, **facts, "rows": [plain(dict(row)) for row in rows]}
    (folder / "table.json").write_text(json.dumps(whole, indent=1, allow_nan=False), encoding="utf-8")
    told = {name: facts.get(name) for name in FACTS}
    lines = [_flat(row) | (_told_of(row, told) if row["published"] else told) for row in rows]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)


def _told_of(row: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a paper's row: our data, reader, rules and seed are not its own."""
    return {
        "suite": told["suite"],
        "source": row["source"],
        "profile": row["profile"],
        "memory_counter": row["memory_counter"],
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as one level; numbers that are not there are empty."""
    flat = {"agent": row["agent"], "kind": row["kind"]}
    flat |= {name: cell["score"] for name, cell in row["subtasks"].items()}
    for name in AVERAGES:
        found = row.get(name, {})
        flat |= {name: found.get("score"), f"{name}_low": found.get("low"), f"{name}_high": found.get("high")}
        flat[f"{name}_incomplete"] = ", ".join(found.get("incomplete", ()))
    flat |= {
        name: row.get(name)
        for name in ("printed_average", "memory_tokens", "items", "refused", "streams", "questions", "scored")
    }
    flat |= {f"missing_{reason}".replace(" ", "_"): number for reason, number in row.get("missing", {}).items()}
    flat |= row.get("costs", {})
    return {name: "" if value is None or value != value else value for name, value in flat.items()}


def _interval(value: Interval) -> dict[str, float]:
    return {"score": value.mean, "low": value.low, "high": value.high}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
