"""What a person sees of runs that are trained: one bar for all of them, and one for each that is under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass(frozen=True)
class Told:
    """What a run tells of itself."""

    run: int
    """Its number."""
    stage: str
    """For instance "updates"."""
    done: float
    """How much of the stage."""
    total: float
    """Of how much."""
    seconds: float
    """Since it told something last: what this took."""
    note: str = ""
    """What else is shown."""


@dataclass
class RunBars:
    """The bars of runs, and how long their stages took.

    Args:
        bars: where they are shown.
        names: of the runs, by number.
        finished: how many of them are finished already.
    """

    bars: Progress
    names: Sequence[str]
    finished: int = 0
    seconds: dict[int, dict[str, float]] = field(default_factory=dict)
    """Run -> stage -> wall seconds."""

    def __post_init__(self) -> None:
        self._shown: dict[int, tuple[TaskID, str]] = {}
        self._runs = self.bars.add_task("runs", total=len(self.names), completed=self.finished)

    def hear(self, told: Told) -> None:
        """Show what a run tells."""
        spent = self.seconds.setdefault(told.run, {})
        spent[told.stage] = spent.get(told.stage, 0.0) + told.seconds
        shown = f"{self.names[told.run]}: {told.stage}{told.note}"
        bar, stage = self._shown.get(told.run, (None, ""))
        if bar is None:
            bar = self.bars.add_task(shown, total=told.total)
        elif stage != told.stage:
            self.bars.reset(bar, total=told.total, description=shown)
        self.bars.update(bar, total=told.total, completed=told.done, description=shown)
        self._shown[told.run] = bar, told.stage

    def end(self, run: int) -> None:
        """A run is finished: its bar goes."""
        self.bars.advance(self._runs)
        if run in self._shown:
            self.bars.remove_task(self._shown.pop(run)[0])
