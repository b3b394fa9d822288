"""The arms of the comparison, its size, and where each run lives.

Arms differ in the reward alone: same streams, same number of episodes, one learning rate chosen for the outcome-only arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memenvs.errors import whole
from trainers.settings import EnvSettings, TrainSettings


@dataclass(frozen=True)
class Arm:
    """One row of learned agents."""

    name: str
    """In the table."""
    reward: str
    """Preset of `rewards.presets`."""
    scale: str = "mean"
    """"mean" (times T) or "sum" (the paper's)."""
    relevance: float = 1.0
    """Chance that a chunk question asks about a kind of thing that global questions ask about."""


ARMS = (
    Arm("outcome only", "outcome"),
    Arm("+ chunk", "chunk"),
    Arm("+ evidence (retrieved)", "evidence"),
    Arm("+ evidence (cited)", "evidence-cited"),
    Arm("Fine-Mem total (retrieved)", "finemem"),
    Arm("Fine-Mem total (cited)", "finemem-cited"),
)
"""Fine-Mem's ablation, r_EARA times T."""
REFERENCE = ARMS[-1]
"""Whose memory size the budgeted controls get; fixed beforehand, not picked by its result."""
SCALE_ARMS = (
    Arm("outcome only, literal 1/T", "outcome", "sum"),
    Arm("Fine-Mem total (retrieved), literal 1/T", "finemem", "sum"),
    Arm("Fine-Mem total (cited), literal 1/T", "finemem-cited", "sum"),
)
"""The paper's scale, where r_EARA is of size r_global / T and the other terms are not."""
RELEVANCE_ARMS = (
    Arm("+ chunk, half the chunk questions off topic", "chunk", "mean", 0.5),
    Arm("Fine-Mem total (cited), half off topic", "finemem-cited", "mean", 0.5),
)
"""Chunk questions that ask about what nobody will ask."""


@dataclass(frozen=True)
class DemoSettings:
    """Size of the demo."""

    out: Path = Path("runs/demo")
    """Receives one folder per run, the tables, figures and the report. Finished runs are kept: a killed demo goes on."""
    seeds: int = 3
    """Training runs per arm."""
    updates: int = 120
    """Policy updates per run; episodes = 8 times as many."""
    T: int = 20
    """Steps per stream."""
    streams: int = 100
    """Held-out streams."""
    workers: int = 0
    """Processes; 0 takes one per core."""
    arms: Literal["ablation", "scale", "all"] = "scale"
    """"ablation": Fine-Mem's six arms; "scale": also the paper's literal scale; "all": also chunk questions that are off topic."""

    def __post_init__(self) -> None:
        for name in ("seeds", "updates", "T", "streams"):
            whole(name, getattr(self, name), 1)
        whole("workers", self.workers, 0)


def arms(settings: DemoSettings) -> tuple[Arm, ...]:
    """The arms of a demo."""
    more = {"ablation": (), "scale": SCALE_ARMS, "all": (*SCALE_ARMS, *RELEVANCE_ARMS)}
    return (*ARMS, *more[settings.arms])


def run_settings(arm: Arm, seed: int, settings: DemoSettings) -> TrainSettings:
    """One training run."""
    return TrainSettings(
        env=EnvSettings(T=settings.T, relevance=arm.relevance),
        reward=arm.reward,
        scale=arm.scale,  # type: ignore[arg-type]
        seed=seed,
        updates=settings.updates,
        eval_every=max(1, settings.updates // 8),
        eval_streams=24,
        final_streams=settings.streams,
    )


def run_folder(arm: Arm, seed: int, settings: DemoSettings) -> Path:
    """Where a run lives."""
    slug = "".join(c if c.isalnum() else "-" for c in f"{arm.reward}-{arm.scale}-{arm.relevance}")
    return settings.out / "runs" / slug / f"seed{seed}"
