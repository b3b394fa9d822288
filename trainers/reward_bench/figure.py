"""Figures: fidelity against cost, and what was learned against fidelity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from trainers.reward_bench.prediction import Prediction
from trainers.reward_bench.summary import WHOLE, Row

COLOURS = {"estimator": "#2166ac", "control": "#7f7f7f", "wrapper": "#b2182b"}
PANELS = {
    "spearman": "attribution fidelity: Spearman to exact Shapley",
    "advantage": "advantage fidelity: pooled Pearson",
}


def cost_figure(rows: Sequence[Row], ceiling: float | None, path: Path, title: str = "") -> None:
    """Both fidelities with 95 % intervals over unique reader calls per episode, a panel each.

    Args:
        rows: as made by `trainers.reward_bench.summary.rows`.
        ceiling: what a perfect estimate would reach in advantage fidelity, drawn as a line.
        path: of the PNG.
        title: above the plot.
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
            axes.annotate(
                "noise ceiling", (1, ceiling), xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=8
            )
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def _panel(axes: Axes, points: Sequence[Row], key: str) -> None:
    # A control asks nothing: the axis is linear up to one call.
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel="unique reader calls per episode (hollow: not all episodes were served)")
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
    predictions: Mapping[str, Prediction],
    path: Path,
    title: str = "",
) -> None:
    """What was learned over what was measured, a panel per measure.

    Args:
        panels: measure -> method -> its value.
        outcome: method -> held-out r_global.
        predictions: measure -> rank correlation of the two.
        path: of the PNG.
        title: above the plot.
    """
    columns = min(2, len(panels)) or 1
    lines = -(-len(panels) // columns) or 1
    figure, grid = plt.subplots(lines, columns, figsize=(8 * columns, 5.5 * lines), layout="constrained", squeeze=False)
    for axes, (measure, values) in zip(grid.ravel(), panels.items(), strict=False):
        found = predictions[measure]
        axes.scatter(list(values.values()), [outcome[name] for name in values], color=COLOURS["estimator"], s=25)
        axes.set(xlabel=measure.replace("_", " "), ylabel="held-out r_global after training")
        axes.set_title(f"Spearman over methods {found.spearman:.2f} [{found.low:.2f}, {found.high:.2f}]", fontsize=10)
        axes.grid(alpha=0.3)
        axes.margins(x=0.2, y=0.2)
        _label(axes, [(name, value, outcome[name]) for name, value in values.items()])
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=140)
    plt.close(figure)


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
