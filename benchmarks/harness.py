"""What the timings share: empty caches, a table, and a file of numbers."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import memenvs


def empty_caches() -> None:
    """Every `lru_cache` of memenvs, so that no run profits from the one before."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "memenvs":
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def show(table: Table, *lines: str) -> None:
    """Print a table, wide enough for its numbers where there is no terminal, and lines below it."""
    console = Console(width=max(110, Console().width))
    console.print(table)
    for line in lines:
        console.print(line)


def table_of(results: Sequence[Mapping[str, Any]], columns: Mapping[str, str], title: str) -> Table:
    """A row per result: heading -> format of its cells; the first column is text."""
    table = Table(title=title)
    for place, heading in enumerate(columns):
        table.add_column(heading, justify="right" if place else "left")
    for result in results:
        table.add_row(*(cell.format(**result) for cell in columns.values()))
    return table


def write(path: Path | None, benchmark: str, results: Sequence[Mapping[str, Any]], **more: Any) -> None:
    """The numbers as JSON, with the machine's versions; nothing where there is no path."""
    if path is not None:
        machine = {"python": platform.python_version(), "numpy": np.__version__, "memenvs": memenvs.__version__}
        document = {"benchmark": benchmark, "machine": machine, "results": results} | more
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
