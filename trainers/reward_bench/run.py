"""Measuring: all parts over processes, then tables, files and figure."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

import agents
import memenvs
import rewards
import trainers.reward_bench
from memenvs.errors import SettingsError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.comparison import plain, write_table
from trainers.pool import in_parallel
from trainers.progress import bars as progress_bars
from trainers.provenance import facts
from trainers.reward_bench.advantage import advantage
from trainers.reward_bench.attribution import attribution
from trainers.reward_bench.cells import MIXED_ENV, Cell, all_cells
from trainers.reward_bench.episodes import opened, play_cell
from trainers.reward_bench.figure import cost_figure
from trainers.reward_bench.ledger import Ledger
from trainers.reward_bench.methods import Method, all_methods, measure, sources
from trainers.reward_bench.predictors import Fitted, Kind, fit_all, kind_of
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import Row, episode_lines, noise_ceiling, rows
from trainers.reward_bench.table import main_table, reasons, scope_table


class Measurement(NamedTuple):
    """What came out."""

    methods: list[Method]
    """In the order in which they were named."""
    results: list[tuple[Cell, dict[str, Any]]]
    """Of each part."""
    rows: list[Row]
    """Of table.json; see `trainers.reward_bench.summary.rows`."""


def run(settings: BenchSettings) -> Measurement:
    """Measure what is not measured yet, print the tables, write all files.

    Raises:
        SettingsError: an unknown estimator or reward, or a wrapper that fails.
        DataError: the folder holds results of other settings, or data cannot be opened.
    """
    console = Console(width=None if sys.stdout.isatty() else 200)
    methods = all_methods(settings)
    cells = all_cells(settings, lambda data: len(opened(settings.environment(data, MIXED_ENV, settings.k), "test")))
    ledger = Ledger(settings.out / "cells.jsonl", _deciding(settings, methods))
    todo = [cell for cell in cells if cell.key not in ledger.results]
    _try_wrappers(settings, methods, todo)
    with console.status("predictors of the return, fitted on training streams"):
        predictors = fit_all(settings, methods, cells if todo else ())
    work = partial(measured, settings, methods, predictors)
    with progress_bars() as bars:
        bar = bars.add_task("episodes and groups", total=len(cells), completed=len(cells) - len(todo))
        for cell, result in in_parallel(work, todo, settings.workers):
            ledger.add(cell.key, result)
            bars.advance(bar)
    results = [(cell, ledger.results[cell.key]) for cell in cells]
    return Measurement(methods, results, report(settings, methods, results, console))


def measured(
    settings: BenchSettings, methods: Sequence[Method], predictors: Mapping[Kind, Fitted], cell: Cell
) -> dict[str, Any]:
    """The result of one part, in any process."""
    fitted = predictors.get(kind_of(cell))
    work = advantage if cell.kind == "advantage" else attribution
    result = work(settings, methods, fitted.predictor if fitted else None, cell)
    return result | ({"fitted_on": fitted.episodes} if fitted else {})


def _deciding(settings: BenchSettings, methods: Sequence[Method]) -> dict[str, Any]:
    """Everything that decides the results of the parts."""
    data = {d: opened(settings.environment(d, MIXED_ENV, settings.k), "test").fingerprint for d in settings.data}
    own = {f"source of {name}": text for name, text in sources(methods).items()}
    more: dict[str, Any] = {"methods": [m.name for m in methods], "datasets": data}
    if settings.policy is not None:
        state = checkpoint.read_state(checkpoint.find(settings.policy))
        more["policy_of"] = [state["fingerprint"], state["update"]]
    return {"memenvs": __version__, "code": code_hash()} | settings.deciding() | more | own


def code_hash() -> str:
    """Hash of the sources that work out results: those of changed code are not mixed with older ones."""
    digest = hashlib.sha256()
    for package in (memenvs, rewards, agents, trainers.reward_bench):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _try_wrappers(settings: BenchSettings, methods: Sequence[Method], cells: Sequence[Cell]) -> None:
    """A wrapper that cannot work stops the measurement before its first part, not at the end of its table.

    Raises:
        SettingsError: it failed on an episode.
    """
    wrappers = [method for method in methods if method.kind == "wrapper"]
    if wrappers and cells:
        played = play_cell(settings, cells[0])
        for method in wrappers:
            found = measure(method, played, None, (settings.seed,))
            if found.reason is not None:
                raise SettingsError(f"{method.name}: {found.reason}")


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
    _write_csv(episode_lines(results), settings.out / "episodes.csv")
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
            f"noise ceiling of advantage fidelity: {ceiling['ceiling']:.2f} "
            f"(halves of the truth correlate at {ceiling['split_half']:.2f})"
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


def _write_csv(lines: Sequence[Row], path: Path) -> None:
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)
