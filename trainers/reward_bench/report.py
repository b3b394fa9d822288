"""Tables, files and figure of a measurement."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from trainers.comparison import plain, write_table
from trainers.provenance import facts
from trainers.reward_bench.cells import MIXED_ENV, Cell
from trainers.reward_bench.figure import cost_figure
from trainers.reward_bench.methods import Method
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import Row, episode_lines, noise_ceiling, rows
from trainers.reward_bench.table import main_table, reasons, scope_table


def report(
    settings: BenchSettings,
    methods: Sequence[Method],
    results: Sequence[tuple[Cell, dict[str, Any]]],
    console: Console,
) -> list[Row]:
    """Print the tables; write table.json, table.csv, episodes.csv and figure.png."""
    found = rows(methods, results)
    ceiling = noise_ceiling(results)
    env = settings.environment("builtin", MIXED_ENV, settings.k).make("test")
    known = facts(env, seed=settings.seed, advantage_noise=ceiling, settings=settings.to_json())
    write_table([plain(row) for row in found], known, settings.out / "table")
    write_csv(episode_lines(results), settings.out / "episodes.csv")
    truths = {
        f"exact Shapley values ({settings.episodes} episodes per behaviour and family, T = {settings.T})": settings.episodes,
        f"Monte-Carlo advantages ({settings.groups} streams x {settings.group_size} rollouts, "
        f"K = {settings.continuations})": settings.groups,
    }
    against = " and ".join(truth for truth, size in truths.items() if size) or "exact Shapley values"
    title = f"credit against {against}; reader {known['reader']}, seed {settings.seed}"
    console.print(main_table(found, title, console.width))
    for prefix, heading in (
        ("behaviour ", "Spearman by behaviour"),
        ("family ", "Spearman by question family"),
        ("data ", "Spearman on real streams"),
        ("k = ", "Spearman at retrieval width k, mixed behaviour"),
    ):
        table = scope_table(found, prefix, heading, console.width)
        if table is not None:
            console.print(table)
    if ceiling:
        console.print(
            f"noise of the true advantages: the exact ones, not normalised, would correlate with them at {ceiling['ceiling']:.2f} "
            f"(halves at {ceiling['split_half']:.2f}); normalised over a group, a perfect estimate stays below that"
        )
    for data in dict.fromkeys(cell.data for cell, _ in results):
        counts = {result["fitted_on"] for cell, result in results if cell.data == data and "fitted_on" in result}
        if counts:
            numbers = ", ".join(map(str, sorted(counts)))
            console.print(f"learned predictors were fitted on {numbers} episodes of the training split of {data}")
    for line in reasons(found):
        console.print(f"not served: {line}", highlight=False)
    cost_figure(found, ceiling.get("ceiling"), settings.out / "figure.png", title)
    console.print(f"written to {settings.out}: table.json, table.csv, episodes.csv, figure.png, cells.jsonl")
    return found


def write_csv(lines: Sequence[Row], path: Path) -> None:
    """Lines of plain data, a column for every key."""
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)
