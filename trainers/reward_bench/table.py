"""The tables of the measurement in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from trainers.reward_bench.summary import WHOLE, Row

COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "calls": ("reader calls", "{:.0f}".format),
    "kendall_b": ("Kendall", "{:.2f}".format),
    "top1": ("top-1", "{:.2f}".format),
    "negative_recall": ("neg. recall", "{:.2f}".format),
    "normalised_l1": ("L1", "{:.2f}".format),
    "linear_datamodelling": ("LDS", "{:.2f}".format),
    "efficiency_gap": ("gap", "{:.2f}".format),
    "degenerate": ("degen.", "{:d}".format),
    "seconds": ("CPU s", "{:.3f}".format),
}
"""Key -> (heading, how to show it), after the two fidelities."""


def fitting_table(title: str, columns: Mapping[str, Sequence[str]], width: int) -> Table:
    """A table of as many columns, from the left, as a terminal can show whole.

    Args:
        title: above it; a line below says how many columns had no place.
        columns: heading -> cells; the first column has names.
        width: characters of the terminal.
    """
    names = next(iter(columns))
    widths = {heading: max(map(len, [heading, *cells])) for heading, cells in columns.items()}
    if _total(widths.values()) > width:
        # Headings and names may be broken between their words, numbers may not.
        widths = {
            heading: max(map(len, [*heading.split(), *(" ".join(cells).split() if heading == names else cells)]))
            for heading, cells in columns.items()
        }
    kept = list(columns)
    while len(kept) > 1 and _total(widths[heading] for heading in kept) > width:
        kept.pop()
    table = Table(title=title, title_justify="left", caption_justify="left")
    if len(kept) < len(columns):
        table.caption = f"columns that did not fit: {len(columns) - len(kept)}; the CSV has them"
    for heading in kept:
        table.add_column(heading, justify="left" if heading == names else "right", width=widths[heading])
    for line in zip(*(columns[heading] for heading in kept), strict=True):
        table.add_row(*line)
    return table


def _total(widths: Iterable[int]) -> int:
    """Of a table with columns of these widths: two spaces and a border go with each."""
    return sum(width + 3 for width in widths) + 1


def main_table(rows: Sequence[Row], title: str, width: int) -> Table:
    """One line per method of the main scope; a method that served nothing has none of its numbers."""
    inside = [row for row in rows if row["scope"] == WHOLE]
    columns = {
        "credit": [_name(row) for row in inside],
        "advantage fidelity": [interval(row, "advantage") for row in inside],
        "Spearman": [interval(row, "spearman") for row in inside],
    }
    columns |= {heading: [shown(show, row.get(key)) for row in inside] for key, (heading, show) in COLUMNS.items()}
    return fitting_table(title, columns, width)


def _name(row: Row) -> str:
    if not row["episodes"] and "advantage" not in row:
        return f"{row['method']} (not served)"
    return row["method"] + (f" ({row['unserved']} not served)" if row["unserved"] and row["episodes"] else "")


def scope_table(rows: Sequence[Row], prefix: str, title: str, width: int) -> Table | None:
    """Spearman of each method in the scopes whose name starts so, side by side; None if there are none.

    Where the intervals have no place the means stand alone.
    """
    scopes = list(dict.fromkeys(row["scope"] for row in rows if row["scope"].startswith(prefix)))
    if not scopes:
        return None
    cells = {(row["method"], row["scope"]): row for row in rows}
    methods = list(dict.fromkeys(row["method"] for row in rows if row["scope"] in scopes and "spearman" in row))

    def heading(scope: str) -> str:
        name = scope.removeprefix(prefix)
        return name.replace("-", " ") if prefix == "family " else name

    def table(show: Callable[[Row], str]) -> Table:
        columns = {heading(s): [show(cells.get((m, s), {})) for m in methods] for s in scopes}
        return fitting_table(title, {"credit": methods} | columns, width)

    whole = table(lambda row: interval(row, "spearman"))
    return whole if whole.caption is None else table(lambda row: shown("{:.2f}".format, row.get("spearman")))


def reasons(rows: Sequence[Row]) -> list[str]:
    """Why methods did not serve some episodes: a line for each method, with the first reason."""
    first: dict[str, str] = {}
    for row in rows:
        if row["reason"]:
            first.setdefault(row["method"], row["reason"])
    return [f"{method}: {reason}" for method, reason in first.items()]


def shown(show: Callable[[Any], str], value: Any) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or value != value else show(value)


def interval(row: Row, name: str) -> str:
    """A mean with its interval, or a dash."""
    if row.get(name) is None or row[name] != row[name]:
        return "–"
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
