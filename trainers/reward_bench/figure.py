"""Fidelity against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

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
        1, max(1, len(panels)), figsize=(8 * max(1, len(panels)), 6.5), layout="constrained", squeeze=False
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
    axes.set(xlabel="unique reader calls per episode")
    axes.axhline(0, color="black", lw=0.5)
    axes.grid(alpha=0.3)
    for row in points:
        low, high = row[key] - row[f"{key}_low"], row[f"{key}_high"] - row[key]
        axes.errorbar(
            row["calls"], row[key], [[max(0.0, low)], [max(0.0, high)]], fmt="o", ms=5, lw=1, color=COLOURS[row["kind"]]
        )
    axes.margins(x=0.2)
    _label(axes, points, key)


def _label(axes: Axes, points: Sequence[Row], key: str) -> None:
    """Names beside their points, moved apart from below where they would lie on each other."""
    axes.figure.canvas.draw()
    height = 11  # points of one line of text
    placed: list[tuple[float, float]] = []
    for row in sorted(points, key=lambda row: row[key]):
        x, y = axes.transData.transform((row["calls"], row[key])) * 72 / axes.figure.dpi
        text_y = y
        for other_x, other_y in placed:
            if abs(other_x - x) < 95 and other_y + height > text_y >= other_y - height:
                text_y = other_y + height
        placed.append((x, text_y))
        axes.annotate(
            row["method"], (row["calls"], row[key]), (6, text_y - y - 3), textcoords="offset points", fontsize=7.5
        )
