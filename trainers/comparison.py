"""Agents side by side on the same held-out streams, with the controls that a memory benchmark needs.

The budgeted controls (first, last, random) get, stream by stream, the memory size of a reference agent, so that they differ from it
in what they keep and not in how much.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.base import Agent, make_agent
from memenvs.reading import Reader
from memenvs.record import EpisodeRecord
from memenvs.streams.types import StreamDataset
from memenvs.version import __version__
from trainers import provenance
from trainers.evaluation import EpisodeScore, evaluate, memory_share
from trainers.settings import EnvSettings
from trainers.statistics import bootstrap

CONTROLS = ("nothing", "random", "keep_everything", "scripted", "hindsight")
"""Controls that need no budget."""
BUDGETED = ("first", "last", "random_budget")
"""Controls that fill a given memory size."""
EXACT = ("adder", "every_fact", "newest_fact")
"""Managers by rule that are exact on one kind of data and beside the point on others, so not among the controls."""


def make_control(name: str, env: EnvSettings, budget: int | None = None) -> Agent:
    """A control that knows the environment's limits; ``budget`` is the memory size of those in `BUDGETED`."""
    if name == "nothing":
        return make_agent(name)
    tokens = env.memory_budget if budget is None else min(budget, env.memory_budget or budget)
    return make_agent(
        name, max_operations=env.max_operations, max_item_tokens=env.max_item_tokens, memory_budget=tokens
    )


def evaluate_control(
    name: str,
    env_settings: EnvSettings,
    split: str,
    streams: Sequence[int],
    budgets: Sequence[int | None] | None,
    seed: int = 0,
    dataset: StreamDataset | None = None,
    keep: Callable[[EpisodeRecord], None] | None = None,
    reader: Reader | None = None,
) -> list[EpisodeScore]:
    """Scores of one control.

    Args:
        name: in `CONTROLS`, `BUDGETED` or `EXACT`.
        env_settings: the environment.
        split: name of the held-out split.
        streams: indices.
        budgets: for `BUDGETED`, tokens per stream, in the order of ``streams``; None where nobody knows how many, which fails.
        seed: of the control's draws.
        dataset: the split's data, if it is open already.
        keep: called with each record.
        reader: who answers, if it is made already.
    """
    env = env_settings.make(split, evaluation=True, dataset=dataset)
    if reader is not None:
        env.unwrapped.reader = reader  # type: ignore[attr-defined]
    if name not in BUDGETED:
        return evaluate(env, make_control(name, env_settings), streams, seed, keep)
    assert budgets is not None
    scores = []
    for index, budget in zip(streams, budgets, strict=True):
        if budget is None:
            stream = env.unwrapped.dataset[index]  # type: ignore[attr-defined]
            scores.append(EpisodeScore.unplayed(stream, "the agent whose memory size it gets failed on this stream"))
        else:
            scores += evaluate(env, make_control(name, env_settings, max(1, budget)), [index], seed, keep)
    return scores


def question_sources(scores: Iterable[EpisodeScore]) -> list[str]:
    """The sources of the questions that were asked; `row` has a column for each."""
    return sorted({source for score in scores for source in score.by_source})


def row(name: str, runs: Sequence[Sequence[EpisodeScore]], **more: Any) -> dict[str, Any]:
    """One line of a table.

    Args:
        name: of the agent.
        runs: one list of scores per seed, over the same streams.
        more: further columns.

    Returns:
        r_global with its 95 % interval (two-level bootstrap over seeds and streams), memory, failures, and the mean per
        question source.
    """
    scores = [score for run in runs for score in run]
    interval = bootstrap([[score.r_global for score in run] for run in runs])
    return {
        "agent": name,
        "r_global": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "memory_tokens": _mean([score.memory_tokens for score in scores if score.played]),
        "memory_share": memory_share(scores),
        "invalid_operations": _mean([score.invalid for score in scores if score.played]),
        "failures": sum(score.failure is not None for score in scores),
        "seeds": len(runs),
        "streams": len(runs[0]),
        **more,
        **{
            source: _mean([s.by_source[source] for s in scores if source in s.by_source])
            for source in question_sources(scores)
        },
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def write_table(rows: Sequence[dict[str, Any]], facts: dict[str, Any], path: Path) -> None:
    """The table as ``<path>.json`` (with the facts that the numbers came from) and ``<path>.csv``.

    Args:
        rows: as made by `row`.
        facts: as made by `trainers.provenance.facts`; those in `trainers.provenance.COLUMNS` are repeated in every row of the CSV.
        path: of both files, without a suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"memenvs": __version__, **facts, "rows": [plain(row) for row in rows]}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1, allow_nan=False), encoding="utf-8")
    lines = [row | {name: row.get(name, facts.get(name)) for name in provenance.COLUMNS} for row in rows]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)


def plain(value: Any) -> Any:
    """JSON has no NaN: it becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def show_table(
    rows: Sequence[dict[str, Any]], title: str, columns: Mapping[str, tuple[str, Callable[[Any], str]]]
) -> Any:
    """A rich table.

    Args:
        rows: as made by `row`.
        title: above the table.
        columns: key -> (heading, how to show a value); the interval is shown with ``r_global``.
    """
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("agent")
    table.add_column("r_global [95 %]", justify="right")
    for heading, _ in columns.values():
        table.add_column(heading, justify="right")
    for entry in rows:
        cells = [columns[key][1](entry[key]) if entry.get(key) is not None else "–" for key in columns]
        table.add_row(entry["agent"], f"{entry['r_global']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]", *cells)
    return table


def scores_to_json(scores: Sequence[EpisodeScore]) -> list[dict[str, Any]]:
    """Scores as plain data; a failed episode has null, never 0."""
    return [plain(asdict(score)) for score in scores]
