"""Tables in terminals of any width: what is shown is shown whole."""

import io

import pytest
from rich.console import Console

from trainers.reward_bench.table import fitting_table, main_table, scope_table

COLUMNS = {
    "credit": ["loo-step", "item-shapley (2 not served)"],
    "advantage fidelity": ["0.54 [0.46, 0.63]", "0.10 [0.05, 0.15]"],
    "reader calls": ["98", "8286"],
    "CPU s": ["0.004", "0.114"],
}


def lines(table, width):
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue().splitlines()


# Names need 12 characters, "item-shapley", intervals 17, calls 6, "reader", seconds 5; each column 3 more, and 1 at the end.
@pytest.mark.parametrize(("width", "kept"), [(200, 4), (53, 4), (52, 3), (45, 3), (44, 2), (20, 1)])
def test_columns_are_shown_whole_or_not_at_all(width, kept):
    table = fitting_table("title", COLUMNS, width)
    assert len(table.columns) == kept
    assert (table.caption is None) == (kept == 4)
    shown = lines(table, width)
    assert max(map(len, shown)) <= width
    text = "\n".join(shown)
    assert "…" not in text
    for cells in list(COLUMNS.values())[1:kept]:
        assert all(cell in text for cell in cells)
    if kept < 4:
        assert str(4 - kept) in table.caption


def row(method, scope, spearman):
    interval = {"spearman": spearman, "spearman_low": spearman - 0.1, "spearman_high": spearman + 0.1}
    return {
        "method": method,
        "kind": "estimator",
        "scope": scope,
        "episodes": 3,
        "unserved": 0,
        "reason": "",
    } | interval


def test_intervals_give_way_before_columns_do():
    rows = [row("prefix", f"family long-family-{letter}", 0.5) for letter in "abcd"]
    wide, narrow = ("\n".join(lines(scope_table(rows, "family ", "title", width), width)) for width in (200, 60))
    assert wide.count("0.50 [0.40, 0.60]") == 4
    assert (narrow.count("0.50"), narrow.count("[")) == (4, 0)


def test_a_method_that_served_nothing_is_named_so():
    rows = [row("prefix", "builtin", 0.5)]
    rows.append({k: v for k, v in row("lasso", "builtin", 0.0).items() if "spearman" not in k} | {"episodes": 0})
    text = "\n".join(lines(main_table(rows, "title", 200), 200))
    assert "lasso (not served)" in text
    assert "prefix (not served)" not in text
