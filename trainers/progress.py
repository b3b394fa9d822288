"""One look for all progress bars, and for the times of stages."""

from __future__ import annotations

from collections.abc import Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def bars() -> Progress:
    """Description, bar, count, time gone and time left."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )


def told_times(seconds: Mapping[str, float]) -> str:
    """How long stages took, for instance "teacher 8 s, warm start 2 min 5 s"; without those that took no second.

    "under a second" where all of them took none, "" where there was none.
    """
    told = ", ".join(f"{stage} {_clock(round(spent))}" for stage, spent in seconds.items() if round(spent))
    return told or ("under a second" if seconds else "")


def _clock(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"
