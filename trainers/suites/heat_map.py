"""A picture of a suite's table: arms down, sub-tasks across, scores as colours; ``*`` where something is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainers.suites.coverage import MARK, differ, incomplete


def heat_map(rows: Sequence[Mapping[str, Any]], names: Sequence[str], path: Path, title: str = "") -> None:
    """Draw the table as a PNG.

    Args:
        rows: as `trainers.suites.table` makes them; published ones are set apart by a line.
        names: of the sub-tasks.
        path: of the PNG.
        title: above it.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    common = [f"mean of the\n{len(rows[0]['of_common']['over'])} all have"] if differ(rows) else []
    shown = [*names, "mean of\nsub-tasks", *common]
    cells = [
        [row["subtasks"].get(name) for name in names] + [row["of_subtasks"], row["of_common"]][: 1 + len(common)]
        for row in rows
    ]
    values = np.array([[_score(cell) for cell in line] for line in cells])
    figure, axes = plt.subplots(figsize=(3.0 + 0.75 * len(shown), 1.4 + 0.34 * len(rows)), layout="constrained")
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.92")
    image = axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap=colours, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.2f}{MARK if incomplete(cells[i][j]) else ''}"
        dark = not np.isnan(value) and value < 0.6
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(len(shown)), shown, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(
        range(len(rows)), [f"{row['agent']}{' (published)' if row['published'] else ''}" for row in rows], fontsize=8
    )
    axes.axvline(len(names) - 0.5, color="white", lw=3)
    ours = sum(not row["published"] for row in rows)
    if ours < len(rows):
        axes.axhline(ours - 0.5, color="white", lw=3)
    axes.set_title(title, fontsize=9)
    figure.colorbar(image, ax=axes, label="score", shrink=0.8)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def _score(cell: Mapping[str, Any] | None) -> float:
    score = None if cell is None else cell.get("score")
    return float("nan") if score is None else float(score)
