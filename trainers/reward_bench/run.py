"""Measuring: all parts over processes, then tables, files and figure."""

from __future__ import annotations

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
from trainers.pool import in_parallel
from trainers.progress import bars as progress_bars
from trainers.reward_bench.advantage import advantage
from trainers.reward_bench.attribution import attribution
from trainers.reward_bench.cells import MIXED_ENV, Cell, all_cells
from trainers.reward_bench.episodes import opened, play_cell
from trainers.reward_bench.ledger import Ledger
from trainers.reward_bench.methods import Method, all_methods, measure, sources
from trainers.reward_bench.predictors import Fitted, fit_all
from trainers.reward_bench.report import report
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import Row

REPORTING = ("figure.py", "prediction.py", "report.py", "summary.py", "table.py")
"""Files of reward_bench that show results and make none: tables can be made anew without measuring again."""


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
        predictors = fit_all(settings, methods, (cell.data for cell in todo))
    work = partial(measured, settings, methods, predictors)
    with progress_bars() as bars:
        bar = bars.add_task("episodes and groups", total=len(cells), completed=len(cells) - len(todo))
        for cell, result in in_parallel(work, todo, settings.workers):
            ledger.add(cell.key, result)
            bars.advance(bar)
    results = [(cell, ledger.results[cell.key]) for cell in cells]
    return Measurement(methods, results, report(settings, methods, results, console))


def measured(
    settings: BenchSettings, methods: Sequence[Method], predictors: Mapping[str, Fitted], cell: Cell
) -> dict[str, Any]:
    """The result of one part, in any process."""
    fitted = predictors.get(cell.data)
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
    packages = [Path(str(package.__file__)).parent for package in (memenvs, rewards, agents, trainers.reward_bench)]
    return {"memenvs": __version__, "code": code_hash(packages)} | settings.deciding() | more | own


def code_hash(folders: Sequence[Path]) -> str:
    """Hash of the sources that work out results: those of changed code are not mixed with older ones.

    Args:
        folders: of packages; `REPORTING` is left out.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path.parent.name != "reward_bench" or path.name not in REPORTING:
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
