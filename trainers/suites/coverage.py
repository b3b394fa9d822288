"""What an average leaves out: questions without a score, streams that an arm did not play, sub-tasks that others have.

Averages over different questions do not stand beside each other. They are marked, and where sub-tasks differ a mean over those that
every row has is given too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainers.suites.published_results import PublishedRow
from trainers.suites.suite import Suite
from trainers.suites.summary import Summary

MARK = "*"
"""Beside a number that something is missing from."""
QUESTIONS, STREAMS, SUBTASKS = "questions", "streams", "sub-tasks"
"""What can be missing."""


def common_subtasks(
    every: Iterable[Sequence[Summary]], published: Iterable[PublishedRow], names: Sequence[str], suite: Suite
) -> list[str]:
    """The published sub-tasks that have a score in every row; rows without any sub-task aside.

    Args:
        every: per arm its episodes.
        published: the papers' rows.
        names: of the sub-tasks of the table.
        suite: says which of them are published.
    """
    of_arms = ({name for s in summaries for name, cell in s.cells.items() if cell.scored} for summaries in every)
    there = [found for found in (*of_arms, *(set(row.scores) for row in published)) if found]
    return [name for name in names if suite.is_published(name) and all(name in found for found in there)]


def mark_incomplete(rows: Sequence[dict[str, Any]], suite: Suite) -> None:
    """Give the numbers of every arm's row ``incomplete``: which of `QUESTIONS`, `STREAMS`, `SUBTASKS` they lack.

    Streams and sub-tasks are held against those of the other arms; a paper's rows are complete.

    Args:
        rows: as `trainers.suites.table.arm_row` makes them.
        suite: its groups have averages of their own.
    """
    ours = [row for row in rows if not row["published"]]
    most = {
        name: max(row["subtasks"][name]["streams"] for row in ours) for name in (ours[0]["subtasks"] if ours else ())
    }
    scored = {name for row in ours for name, cell in row["subtasks"].items() if cell["scored"]}
    groups = {column.name: column.group for column in suite.columns}
    for row in ours:
        lacking = {name: _of_cell(cell, most[name]) for name, cell in row["subtasks"].items()}
        for name, cell in row["subtasks"].items():
            cell["incomplete"] = lacking[name]
        told = {
            name: [SUBTASKS] if name in scored and not cell["scored"] else lacking[name]
            for name, cell in row["subtasks"].items()
            if suite.is_published(name)
        }
        for average in ("of_subtasks", "of_groups", "of_units"):
            row[average]["incomplete"] = _together(told.values())
        row["of_common"]["incomplete"] = _together(told[name] for name in row["of_common"]["over"])
        for group, found in row["groups"].items():
            found["incomplete"] = _together(own for name, own in told.items() if groups[name] == group)


def differ(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether some row has a mean over other sub-tasks than another."""
    return len({tuple(row["of_subtasks"]["over"]) for row in rows if row["of_subtasks"]["over"]}) > 1


def incomplete(cell: Mapping[str, Any] | None) -> bool:
    """Whether something is missing from a number."""
    return bool(cell and (cell.get("incomplete") or cell.get("missing")))


def _of_cell(cell: Mapping[str, Any], streams: int) -> list[str]:
    return [QUESTIONS] * bool(cell["missing"]) + [STREAMS] * (cell["streams"] < streams)


def _together(reasons: Iterable[Sequence[str]]) -> list[str]:
    found = {reason for own in reasons for reason in own}
    return [reason for reason in (QUESTIONS, STREAMS, SUBTASKS) if reason in found]
