"""Figures: learning curves, the final comparison, and one episode's memory over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from memenvs.record import EpisodeRecord

USED, RETRIEVED, UNUSED = "#1b7837", "#a6dba0", "#d9d9d9"
Curve = Sequence[tuple[int, float]]


def learning_curves(
    curves: Mapping[str, Sequence[Curve]], controls: Mapping[str, float], path: Path, title: str = ""
) -> None:
    """Held-out r_global against episodes.

    Args:
        curves: per arm one curve of (episodes, r_global) per seed.
        controls: r_global of controls, drawn as dashed lines.
        path: of the PNG.
        title: above the plot.
    """
    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    colours = plt.get_cmap("tab10")
    for number, (arm, runs) in enumerate(curves.items()):
        episodes = [point[0] for point in runs[0]]
        values = np.array([[point[1] for point in run] for run in runs])
        mean = values.mean(0)
        axes.plot(episodes, mean, color=colours(number % 10), label=arm)
        if len(runs) > 1:
            spread = values.std(0, ddof=1) / np.sqrt(len(runs))
            axes.fill_between(episodes, mean - spread, mean + spread, color=colours(number % 10), alpha=0.15, lw=0)
    for number, (name, value) in enumerate(controls.items()):
        axes.axhline(value, color="black", lw=0.8, ls=("--", ":", "-.")[number % 3])
        axes.annotate(f" {name}", (1, value), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set(xlabel="training episodes", ylabel="r_global on held-out streams", title=title)
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def final_bars(rows: Sequence[Mapping[str, Any]], path: Path, title: str = "") -> None:
    """Final r_global with 95 % intervals, learned and control agents in one list.

    Args:
        rows: with agent, r_global, low, high, memory_share, and kind ("learned" or "control").
        path: of the PNG.
        title: above the plot.
    """
    ordered = sorted(rows, key=lambda row: row["r_global"])
    figure, axes = plt.subplots(figsize=(9, 0.34 * len(ordered) + 1.4), layout="constrained")
    places = np.arange(len(ordered))
    means = np.array([row["r_global"] for row in ordered])
    errors = np.abs(np.array([[row["low"], row["high"]] for row in ordered]).T - means)
    colours = ["#2166ac" if row["kind"] == "learned" else "#bdbdbd" for row in ordered]
    axes.barh(places, means, xerr=errors, color=colours, error_kw={"lw": 1})
    axes.set_yticks(places, [f"{row['agent']}  ({row['memory_share']:.0%})" for row in ordered], fontsize=8)
    axes.set(xlabel="r_global on held-out streams (95 % interval); in brackets: memory over stream tokens", title=title)
    axes.legend(handles=[Patch(color="#2166ac", label="learned"), Patch(color="#bdbdbd", label="control")], fontsize=8)
    axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=140)
    plt.close(figure)


def memory_timeline(record: EpisodeRecord, path: Path, title: str = "") -> None:
    """Every item's life: a bar from its INSERT to its DELETE or the end.

    Dark green items were used as evidence for a right answer, light green ones were only retrieved, grey ones served nothing.
    White ticks are UPDATEs.
    """
    born: dict[str, int] = {}
    died: dict[str, int] = {}
    updated: list[tuple[str, int]] = []
    text: dict[str, str] = {}
    for step in record.steps:
        for outcome in step.operations:
            if not outcome.valid or outcome.id is None:
                continue
            if outcome.op == "INSERT":
                born[outcome.id] = step.step
            elif outcome.op == "DELETE":
                died[outcome.id] = step.step
            else:
                updated.append((outcome.id, step.step))
            text[outcome.id] = outcome.content or text.get(outcome.id, "")
    cited = {i for q in record.questions if q.score for i in q.evidence_ids}
    retrieved = {r.id for q in record.questions for r in q.retrieved}
    order = {item: place for place, item in enumerate(born)}
    figure, axes = plt.subplots(figsize=(11, 0.17 * max(12, len(order)) + 1.6))
    figure.subplots_adjust(left=0.06, right=0.64, top=0.95, bottom=0.12)
    for item, place in order.items():
        end = died.get(item, record.T)
        colour = USED if item in cited else RETRIEVED if item in retrieved else UNUSED
        axes.barh(place, end - born[item], left=born[item], color=colour, height=0.85)
        axes.annotate(f" {text[item][:70]}", (record.T, place), fontsize=5.5, va="center", annotation_clip=False)
    for item, at in updated:
        axes.plot([at, at], [order[item] - 0.42, order[item] + 0.42], color="white", lw=2)
    axes.set_yticks(list(order.values()), list(order), fontsize=5.5)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step", ylabel="memory item", xlim=(0, record.T), title=title)
    axes.legend(
        handles=[
            Patch(color=USED, label="evidence of a right answer"),
            Patch(color=RETRIEVED, label="retrieved only"),
            Patch(color=UNUSED, label="never retrieved at the end"),
            Line2D([], [], color="none", marker="|", markeredgecolor="black", label="UPDATE (white tick)"),
        ],
        fontsize=7,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.06),
        ncol=4,
    )
    figure.savefig(path, dpi=140)
    plt.close(figure)
