"""The tables of the measurement in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from trainers.reward_bench.summary import WHOLE, Row

COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "kendall_b": ("Kendall", "{:.2f}".format),
    "top1": ("top-1", "{:.2f}".format),
    "negative_recall": ("neg. recall", "{:.2f}".format),
    "normalised_l1": ("L1", "{:.2f}".format),
    "linear_datamodelling": ("LDS", "{:.2f}".format),
    "efficiency_gap": ("gap", "{:.2f}".format),
    "degenerate": ("degen.", "{:d}".format),
    "calls": ("reader calls", "{:.0f}".format),
    "seconds": ("CPU s", "{:.3f}".format),
}
"""Key -> (heading, how to show it), after the two fidelities."""


def main_table(rows: Sequence[Row], title: str) -> Table:
    """One line per method of the main scope; a method that served nothing says why."""
    table = Table(title=title, title_justify="left")
    table.add_column("credit")
    for heading in ("advantage fidelity", "Spearman", *(heading for heading, _ in COLUMNS.values())):
        table.add_column(heading, justify="right")
    for row in rows:
        if row["scope"] != WHOLE:
            continue
        cells = [shown(show, row.get(key)) for key, (_, show) in COLUMNS.items()]
        name = row["method"] + (f" ({row['unserved']} not served)" if row["unserved"] and row["episodes"] else "")
        if not row["episodes"] and "advantage" not in row:
            cells = ["not served", *[""] * (len(cells) - 1)]
        table.add_row(name, interval(row, "advantage"), interval(row, "spearman"), *cells)
    return table


def scope_table(rows: Sequence[Row], prefix: str, title: str) -> Table | None:
    """Spearman of each method in the scopes whose name starts so, side by side; None if there are none."""
    scopes = list(dict.fromkeys(row["scope"] for row in rows if row["scope"].startswith(prefix)))
    if not scopes:
        return None
    cells = {(row["method"], row["scope"]): row for row in rows}
    table = Table(title=title, title_justify="left")
    table.add_column("credit")
    for scope in scopes:
        table.add_column(scope.removeprefix(prefix), justify="right")
    for method in dict.fromkeys(row["method"] for row in rows if row["scope"] in scopes and "spearman" in row):
        table.add_row(method, *(interval(cells.get((method, scope), {}), "spearman") for scope in scopes))
    return table


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
