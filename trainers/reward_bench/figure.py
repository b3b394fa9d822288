"""Figures: fidelity against cost, and what was learned against fidelity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainers.reward_bench.prediction import Prediction
from trainers.reward_bench.summary import WHOLE, Row

COLOURS = {"estimator": "#2166ac", "control": "#7f7f7f", "wrapper": "#b2182b"}
PANELS = {
    "spearman": "attribution fidelity: Spearman to exact Shapley",
    "advantage": "advantage fidelity: pooled Pearson",
}


def cost_figure(rows: Sequence[Row], ceiling: float | None, path: Path, title: str = "") -> Figure:
    """Both fidelities with 95 % intervals over unique reader calls per episode, a panel each.

    Args:
        rows: as made by `trainers.reward_bench.summary.rows`.
        ceiling: what the exact advantage, not normalised, would reach in advantage fidelity; drawn as a line.
        path: of the PNG.
        title: above the plot.

    Returns:
        The figure, closed.
    """
    panels = {key: label for key, label in PANELS.items() if any(key in r and r["scope"] == WHOLE for r in rows)}
    figure, grid = plt.subplots(
        1, max(1, len(panels)), figsize=(7 * max(1, len(panels)), 6.5), layout="constrained", squeeze=False
    )
    for axes, (key, label) in zip(grid[0], panels.items(), strict=False):
        points = [row for row in rows if row["scope"] == WHOLE and row.get(key) is not None and "calls" in row]
        _panel(axes, points, key)
        axes.set(ylabel=label)
        if key == "advantage" and ceiling is not None:
            axes.axhline(ceiling, color="black", lw=0.8, ls="--")
            what = "exact advantage, not normalised: noise of the truth"
            at: Any = ("axes fraction", "data")
            axes.annotate(what, (1, ceiling), xycoords=at, ha="right", va="top", fontsize=8)
    inside = [row for row in rows if row["scope"] == WHOLE and any(key in row for key in PANELS)]
    _legend(grid[0][0], (row["kind"] for row in inside), hollow=any(row["unserved"] for row in inside))
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=140)
    plt.close(figure)
    return figure


def _legend(axes: Axes, kinds: Iterable[str], hollow: bool = False) -> None:
    """What the colours of those kinds that there are mean, and a hollow point if there is one."""
    there = set(kinds)
    points = {name: {"color": colour} for name, colour in COLOURS.items() if name in there}
    if hollow:
        points["not all episodes served"] = {"color": "black", "markerfacecolor": "white"}
    handles = [Line2D([], [], marker="o", ls="", ms=5, label=name, **looks) for name, looks in points.items()]  # type: ignore[arg-type]
    if handles:
        axes.legend(handles=handles, loc="lower right", fontsize=8)


def _panel(axes: Axes, points: Sequence[Row], key: str) -> None:
    # A control asks nothing: the axis is linear up to one call.
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel="unique reader calls per episode")
    axes.axhline(0, color="black", lw=0.5)
    axes.grid(alpha=0.3)
    for row in points:
        low, high = row[key] - row[f"{key}_low"], row[f"{key}_high"] - row[key]
        errors = [[max(0.0, low)], [max(0.0, high)]]
        colour = COLOURS[row["kind"]]
        fill = "white" if row["unserved"] else colour
        axes.errorbar(row["calls"], row[key], errors, fmt="o", ms=5, lw=1, color=colour, mfc=fill)
    axes.margins(x=0.2)
    _label(axes, [(row["method"], row["calls"], row[key]) for row in points])


def study_figure(
    panels: Mapping[str, Mapping[str, float]],
    outcome: Mapping[str, float],
    kinds: Mapping[str, str],
    predictions: Mapping[str, Prediction],
    path: Path,
    title: str = "",
) -> Figure:
    """What was learned over what was measured, a panel per measure.

    Args:
        panels: measure -> method -> its value.
        outcome: method -> held-out r_global.
        kinds: method -> its kind, in `COLOURS`.
        predictions: measure -> rank correlation of the two.
        path: of the PNG.
        title: above the plot.

    Returns:
        The figure, closed.
    """
    columns = min(2, len(panels)) or 1
    lines = -(-len(panels) // columns) or 1
    figure, grid = plt.subplots(lines, columns, figsize=(8 * columns, 5.5 * lines), layout="constrained", squeeze=False)
    for axes, (measure, values) in zip(grid.ravel(), panels.items(), strict=False):
        found = predictions[measure]
        colours = [COLOURS[kinds[name]] for name in values]
        axes.scatter(list(values.values()), [outcome[name] for name in values], c=colours, s=25)
        axes.set(xlabel=measure.replace("_", " "), ylabel="held-out r_global after training")
        axes.set_title(f"Spearman over methods {found.spearman:.2f} [{found.low:.2f}, {found.high:.2f}]", fontsize=10)
        axes.grid(alpha=0.3)
        axes.margins(x=0.2, y=0.4)  # names stand above points
        _label(axes, [(name, value, outcome[name]) for name, value in values.items()])
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    _legend(grid[0][0], kinds.values())
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=140)
    plt.close(figure)
    return figure


def _label(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Names beside their points (name, x, y), moved up where they would lie on each other."""
    axes.figure.canvas.draw()
    height = 11  # of a line of text, in points
    placed: list[tuple[float, float]] = []
    for name, x, y in sorted(points, key=lambda point: point[2]):
        at_x, at_y = axes.transData.transform((x, y)) * 72 / axes.figure.dpi
        text_y = at_y
        for other_x, other_y in placed:
            if abs(other_x - at_x) < 95 and other_y + height > text_y >= other_y - height:
                text_y = other_y + height
        placed.append((at_x, text_y))
        axes.annotate(name, (x, y), (6, text_y - at_y - 3), textcoords="offset points", fontsize=7.5)
