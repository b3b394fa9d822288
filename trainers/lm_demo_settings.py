"""The size of ``memenvs demo-lm``, and where each of its runs lives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agents.language_model.small import SmallSettings
from memenvs.errors import SettingsError, whole
from trainers.settings import EnvSettings
from trainers.slots.choices import Slots
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

TABLE = 1000
"""The first held-out stream of the comparison. A run's own evaluations have those from 0: settings were chosen by them."""


@dataclass(frozen=True)
class LMDemoSettings:
    """What the demo of language models does."""

    seeds: int = 4
    """Runs, each with a model, a warm start and streams of its own."""
    updates: int = 60
    """Updates of GRPO."""
    streams_per_update: int = 4
    """Streams (groups of 8 rollouts) in an update."""
    T: int = 10
    """Chunks of a stream."""
    warm_streams: int = 300
    """Streams that the teacher plays."""
    streams: int = 100
    """Held-out streams of the comparison, and as many others of a curve's points."""
    hidden: int = 128
    """Width of the model."""
    layers: int = 4
    """Its depth."""
    learning_rate: float = 3e-4
    """Of GRPO."""
    reward: str = "finemem-cited"
    """What GRPO is paid with, as of ``memenvs train --reward``."""
    workers: int = 0
    """Processes; 0 takes one per core."""
    out: Path = Path("runs/demo-lm")
    """Folder of models, runs, table and figure."""

    def __post_init__(self) -> None:
        for name in ("seeds", "updates", "streams_per_update", "T", "warm_streams", "streams"):
            whole(name, getattr(self, name), 1)
        if self.streams > TABLE:
            raise SettingsError(
                f"streams must be at most {TABLE}, or the comparison would have the curve's, got {self.streams}"
            )
        whole("workers", self.workers, 0)
        model_size(self, 0)


def run_settings(settings: LMDemoSettings, seed: int) -> TokenTrainSettings:
    """The run of one seed."""
    own = LanguageModelSettings(
        model=str(model_folder(settings, seed)),
        message="sentences",
        task="",
        # So small a model learns to choose among the chunk's sentences in the time of a demo, and not to compare them with items.
        memory_tokens=0,
        max_tokens=64,
        micro_batch=8,
        warm_start="scripted",
        warm_streams=settings.warm_streams,
        warm_epochs=4,
        warm_rate=1e-3,
    )
    return TokenTrainSettings(
        env=EnvSettings(T=settings.T),
        reward=settings.reward,
        seed=seed,
        updates=settings.updates,
        streams=settings.streams_per_update,
        slots=Slots(),
        learning_rate=settings.learning_rate,
        epochs=2,
        eval_every=20,
        eval_streams=settings.streams,
        final_streams=settings.streams,
        eval_drawn=True,
        checkpoint_every=5,
        lm=own,
    )


def model_size(settings: LMDemoSettings, seed: int) -> SmallSettings:
    """The random model of a seed."""
    return SmallSettings(hidden=settings.hidden, layers=settings.layers, seed=seed)


def model_folder(settings: LMDemoSettings, seed: int) -> Path:
    """Where the random model of a seed is.

    All that it depends on is in the name: its size, and T, for its tokenizer is made from streams of that length.
    """
    return settings.out / "models" / f"{settings.layers}x{settings.hidden}-T{settings.T}-seed{seed}"


def run_folder(settings: LMDemoSettings, seed: int) -> Path:
    """Where the run of a seed is."""
    return settings.out / "runs" / f"seed{seed}"
