"""rollouts.jsonl: what one group of every update wrote and what it got, so that a reward that is cheated is seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from trainers.rollout import Group
from trainers.slots.types import Array

FILE = "rollouts.jsonl"


class RolloutFile:
    """The file in a run's folder, a line of JSON per message.

    Args:
        folder: of the run.
        resumed_at: finished updates of the run that goes on, None for a new one; lines after them are dropped, so that no line is
            there twice.
    """

    def __init__(self, folder: Path, resumed_at: int | None) -> None:
        path = folder / FILE
        kept = [] if resumed_at is None or not path.is_file() else _lines(path, resumed_at)
        draft = path.with_suffix(".tmp")
        draft.write_text("".join(kept), encoding="utf-8")
        draft.replace(path)  # a kill before the next line must leave the lines that are kept
        self._path = path

    def write(self, update: int, group: Group, advantages: Array) -> None:
        """The messages of a group, by rollout and step.

        Args:
            update: number of finished updates, with the one that trains the group.
            group: of language-model decisions.
            advantages: (G, T).
        """
        with self._path.open("a", encoding="utf-8") as file:
            for g, decisions in enumerate(group.decisions):
                for t, decision in enumerate(decisions):
                    line = {
                        "update": update, "stream": group.stream, "step": t, "rollout": g, "message": decision.message,
                        "reward": _finite(group.rewards[g, t]), "advantage": _finite(advantages[g, t]),
                    }  # fmt: skip
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def _lines(path: Path, most: int) -> list[str]:
    """Whole lines of updates up to ``most``; a kill may leave half of the last one."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [line for line in file if line.endswith("\n") and json.loads(line)["update"] <= most]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
