"""What a run leaves behind while it goes: a CSV line and TensorBoard points per update."""

from __future__ import annotations

import csv
import math
from pathlib import Path


class RunLog:
    """``metrics.csv`` and TensorBoard events in one folder.

    Args:
        folder: of the run.
        columns: names of the numbers of a line, besides ``update``.
        resumed_at: finished updates of the run that goes on, None for a new one; lines after them are dropped, so that a
            resumed run's file equals an uninterrupted one's.
        tensorboard: also write TensorBoard events.
        table: name of the CSV file.
    """

    def __init__(
        self,
        folder: Path,
        columns: tuple[str, ...],
        resumed_at: int | None = None,
        tensorboard: bool = True,
        table: str = "metrics.csv",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._columns = ("update", *columns)
        path = folder / table
        kept = []
        if resumed_at is not None and path.is_file():
            kept = [row for row in read_metrics(path) if row["update"] <= resumed_at]
        # A kill before the next line must leave the lines that are kept.
        draft = path.with_suffix(".tmp")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows([{k: _text(row.get(k)) for k in self._columns} for row in kept])
        draft.replace(path)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, self._columns, extrasaction="ignore")
        self._board = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(folder / "tensorboard", purge_step=0 if resumed_at is None else resumed_at + 1)

    def write(self, update: int, values: dict[str, float]) -> None:
        """One line after ``update`` finished updates.

        A column without a value stays empty; a value without a column goes to TensorBoard alone.
        """
        self._writer.writerow({"update": update} | {k: _text(v) for k, v in values.items()})
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, update)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _text(value: float | None) -> str | int:
    """A number as shortest exact text, so that files of equal runs are equal; nothing for a number that there is not."""
    if value is None or not math.isfinite(value):
        return ""
    return int(value) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Whole lines of a ``metrics.csv`` as numbers; empty cells are left out, and what a kill left of a last line."""
    with path.open(newline="", encoding="utf-8") as file:
        whole = (line for line in file if line.endswith("\n"))
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(whole)]


def read_curve(folder: Path, column: str = "heldout/r_global") -> list[tuple[int, float]]:
    """(episodes, held-out r_global, or another column) of a run's evaluations, the untrained policy first."""
    lines = read_metrics(folder / "metrics.csv")
    return [(int(line["episodes"]), line[column]) for line in lines if column in line]
