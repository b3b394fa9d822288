"""The rows of a suite for the terminal: sub-tasks first, then averages and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainers.rescoring import Missing
from trainers.suites.averages import FEW
from trainers.suites.costs import PLAYING
from trainers.suites.coverage import MARK, SUBTASKS, differ, incomplete
from trainers.suites.suite import Suite

if TYPE_CHECKING:
    from rich.table import Table

NOTES = {
    Missing.FAILED.value: "the reader gave no answer; the same command again asks these questions again",
    Missing.JUDGE.value: "the profile gives them to a model: --judge URL#model, or --profile corrected",
    Missing.UNKNOWN.value: "the profile has no rule for their source",
    Missing.REFUSED.value: "the profile's rule cannot score such an answer, or lacks its table or library",
    Missing.NOT_ASKED.value: "the data does not name their evidence",
    Missing.JUDGE_FAILED.value: "the judge gave no verdict; the same command again asks it again",
}
"""Why questions have no score, and what can be done."""


def tables(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], suite: Suite, title: str, counter: str
) -> Iterator[Table]:
    """Tables for the terminal.

    Args:
        rows: as `trainers.suites.table` makes them.
        names: of the sub-tasks.
        suite: its groups become a table each.
        title: of the first table.
        counter: name of the counter of memory lengths.
    """
    groups: dict[str, list[str]] = {}
    of = {column.name: column.group for column in suite.columns}
    for name in names:
        groups.setdefault(of.get(name, "") if any(of.values()) else "", []).append(name)
    for group, own in groups.items():
        head = [*own, *([f"mean of {group}"] if group else [])]
        table = _table(f"{title}{': ' if group else ''}{group}", head)
        for row in rows:
            if not row["published"] or any(name in row["subtasks"] for name in own):
                cells = [_cell(row["subtasks"].get(name)) for name in own]
                table.add_row(_name(row), *cells, *([_cell(row["groups"].get(group))] if group else []))
        yield table
    yield _averages(rows, suite, counter)
    yield _costs(rows)


def _averages(rows: Sequence[Mapping[str, Any]], suite: Suite, counter: str) -> Table:
    grouped = any(column.group for column in suite.columns)
    common = len(rows[0]["of_common"]["over"]) if differ(rows) else 0
    means = ["mean of sub-tasks", *([f"mean of the {common} that all have"] if common else [])]
    means += [*(["mean of groups"] if grouped else []), f"mean of {suite.unit}s"]
    table = _table("averages", [*(f"{mean} [95 %]" for mean in means), "sub-tasks", f"memory, k {counter}"])
    for row in rows:
        cells = [_with_interval(row["of_subtasks"], row.get("printed_average"))]
        cells += [_with_interval(row["of_common"])] if common else []
        cells += [_with_interval(row.get("of_groups"))] if grouped else []
        over = str(len(row["of_subtasks"]["over"]) or "–")
        table.add_row(_name(row), *cells, _with_interval(row.get("of_units")), over, _memory(row, counter))
    return table


def _costs(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What every arm cost; columns of servers only where one was asked."""
    ours = [row for row in rows if not row["published"]]
    asked = [who for who in ("reader", "manager") if any(f"{who}_answered" in row["costs"] for row in ours)]
    head = [
        f"{who if who == 'manager' else ''} {what}".strip()
        for who in asked
        for what in ("calls", "cached", "k tokens in", "k tokens out", "cost")
    ]
    head = ["streams", "questions", *(head if "reader" in asked else ["k words read", *head])]
    table = _table("costs", [*head, "uncited", "failed", "unscored", "s playing", "s reading"])
    for row in ours:
        spent, missing = row["costs"], row["missing"]
        failed = missing.get(Missing.FAILED.value, 0)
        cells = [str(row["streams"]), str(row["questions"])]
        cells += [] if "reader" in asked else [_thousands(spent.get("words", 0))]
        for who in asked:
            cells += _served(spent, who)
        cells += [f"{spent['uncited']:.0f}" if "uncited" in spent else "–"]
        cells += [str(failed), str(sum(missing.values()) - failed)]
        table.add_row(_name(row), *cells, *(f"{spent.get(name, 0):.1f}" for name in (PLAYING, "seconds")))
    return table


def _served(spent: Mapping[str, float], who: str) -> list[str]:
    """What a server was asked for a reader or a manager."""
    if f"{who}_answered" not in spent:
        return ["–"] * 5
    counts = [f"{spent[f'{who}_{name}']:.0f}" for name in ("answered", "cached")]
    tokens = [_thousands(spent[f"{who}_{name}_tokens"]) for name in ("prompt", "completion")]
    return [*counts, *tokens, f"{spent[f'{who}_cost']:.4f}" if f"{who}_cost" in spent else "–"]


def remarks(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], facts: Mapping[str, Any], suite: Suite
) -> Iterator[str]:
    """What stands below the tables: what is missing from them and why, and what published rows are.

    Args:
        rows: as `trainers.suites.table` makes them.
        names: of the sub-tasks.
        facts: as ``table.json`` has them.
        suite: says what is published.
    """
    yield from _missing(rows)
    yield from _left_out(rows)
    if drawn := _drawn_questions(rows, names):
        yield f"intervals of other questions on the same streams, for there are fewer than {FEW}: {', '.join(drawn)}"
    for source, why in facts["refused"].items():
        yield f"refused: {source}: {why}"
    if also := [column for column in names if suite.is_also(column)]:
        yield f"in no average, for its questions count in their sub-tasks: {', '.join(also)}"
    if others := [column for column in names if not suite.is_published(column) and not suite.is_also(column)]:
        yield f"in no average, for the published table has no such column: {', '.join(others)}"
    of = f"of {facts['streams']} streams"
    for arm, reasons in facts["unavailable"].items():
        yield f"not played: {arm}, {len(reasons)} {of}: {reasons[0]}"
    for arm, reasons in facts["unplayed"].items():
        yield f"failed to play: {arm}, {len(reasons)} {of}; the same command plays them again: {reasons[0]}"
    if facts["judge_usage"]:
        yield f"judge {facts['judge']}: {facts['judge_usage']}"
    if facts["contamination"]:
        yield f"contamination: {facts['contamination']}"
    yield from _published(rows, facts["profile"])


def _published(rows: Sequence[Mapping[str, Any]], profile: str) -> Iterator[str]:
    """What papers' rows are, and whose rules they follow."""
    papers = [row for row in rows if row["published"]]
    if not papers:
        return
    yield (
        "published: other readers, other versions of the data; where the printed average is not the mean of the row's columns, "
        "both are shown"
    )
    by_rules: dict[str, list[str]] = {}
    for row in papers:
        by_rules.setdefault(row["profile"] or "unknown rules", []).append(row["agent"])
    told = "; ".join(f"{rules}: {', '.join(names)}" for rules, names in by_rules.items())
    same = "only rows of the same rules were scored alike" if profile in by_rules else "no published row was scored so"
    yield f"rules of the published rows: {told}; all others: {profile}; {same}"


def _missing(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each reason why questions have no score."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        for reason, number in row.get("missing", {}).items():
            found.setdefault(reason, {})[row["agent"]] = number
    for reason, counts in found.items():
        told = ", ".join(f"{name} {number}" for name, number in counts.items())
        yield f"{MARK} {reason}: {sum(counts.values())} questions ({told}): {NOTES.get(reason, 'no score')}"


def _left_out(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each arm that has fewer streams or sub-tasks than others."""
    ours = [row for row in rows if not row["published"]]
    most = max((row["streams"] for row in ours), default=0)
    for row in ours:
        told = [f"{row['streams']} of {most} streams"] if row["streams"] < most else []
        if SUBTASKS in row["of_subtasks"].get("incomplete", ()):
            told.append(f"only the sub-tasks {', '.join(row['of_subtasks']['over']) or '–'}")
        if told:
            yield f"{MARK} {row['agent']}: {'; '.join(told)}: its averages are not over what the others' are over"


def _drawn_questions(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Sub-tasks whose intervals are of questions."""
    of = {name: {row["subtasks"].get(name, {}).get("interval_over") for row in rows} for name in names}
    return [name for name, drawn in of.items() if "questions" in drawn]


def _table(title: str, head: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("agent", no_wrap=True)
    for name in head:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _name(row: Mapping[str, Any]) -> str:
    return f"[dim]{row['agent']} (published)[/dim]" if row["published"] else str(row["agent"])


def _cell(cell: Mapping[str, Any] | None) -> str:
    """A score with a mark if questions are missing from it, or why there is none."""
    if cell is None:
        return "–"
    missing = cell.get("missing", {})
    if cell["score"] is None or cell["score"] != cell["score"]:
        return "\n".join(missing) or "–"
    return f"{cell['score']:.3f}{MARK if incomplete(cell) else ''}"


def _with_interval(cell: Mapping[str, Any] | None, printed: float | None = None) -> str:
    if cell is None or cell.get("score") is None or cell["score"] != cell["score"]:
        return "–"
    shown = f"{cell['score']:.3f}{MARK if incomplete(cell) else ''}"
    low, high = cell.get("low"), cell.get("high")
    if low is not None and low == low:
        shown += f" [{low:.3f}, {high:.3f}]"
    if printed is not None and f"{printed:.3f}" != f"{cell['score']:.3f}":
        shown += f" (printed {printed:.3f})"
    return shown


def _memory(row: Mapping[str, Any], counter: str) -> str:
    """In thousands; a paper's with its unit, where that is not the table's."""
    unit = row["memory_counter"] or "as printed" if row["published"] else counter
    return _thousands(row["memory_tokens"]) + (f" ({unit})" if unit != counter else "")


def _thousands(value: float) -> str:
    return f"{value / 1000:.2f}" if value < 9_950 else f"{value / 1000:.1f}"
