"""What can be set about the measurement of rewards. Every field is an option of ``memenvs bench-rewards``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from memenvs.errors import SettingsError
from trainers.settings import EnvSettings

QUICK = {
    "episodes": 2,
    "sweep_episodes": 4,
    "data_episodes": 2,
    "groups": 6,
    "group_size": 6,
    "continuations": 8,
    "predictor_episodes": 60,
    "train_seeds": 2,
    "train_updates": 20,
    "train_streams": 50,
}
"""Sizes of a quick look."""


@dataclass(frozen=True)
class BenchSettings:
    """The measurement of rewards: what, on how much, where to."""

    out: Path = Path("runs/bench-rewards")
    """Receives cells.jsonl (each finished part, so that a killed run goes on), table.json, table.csv, episodes.csv, figure.png."""
    estimators: tuple[str, ...] = ("all",)
    """Of uniform, trajectory, chunk, evidence, evidence-cited, loo-item, item-shapley, loo-step, prefix, prefix-probability,
    prefix-log-probability, permutation-shapley, monte-carlo, memq, lasso, operation-tags, himpo, redistribution and the controls
    random, writes, exact-shapley; or "all", or "none"."""
    wrappers: tuple[str, ...] = ()
    """Reward wrappers to measure too: presets of `rewards.presets` such as finemem, or yours as module:Class."""
    quick: bool = False
    """A look in a minute: sizes that are not given, or are given as their default, are small. Its intervals are wide."""
    episodes: int = 20
    """Episodes per behaviour and question family, for attribution fidelity."""
    groups: int = 64
    """Streams for advantage fidelity; 0 leaves it out."""
    group_size: int = 8
    """G, rollouts of each of these streams."""
    continuations: int = 16
    """K, continuations from each memory for the true advantage; an even number, since halves tell the noise."""
    policy: Path | None = None
    """A trained run whose policy samples the rollouts and the continuations of advantage fidelity; by default it is the mixed
    behaviour."""
    data: tuple[str, ...] = ()
    """Real streams besides the builtin ones: folders or files in the Memalpha schema."""
    data_episodes: int = 10
    """At most this many streams of each of these, played with every behaviour."""
    data_questions: int = 24
    """At most this many global questions of a real stream, drawn with the seed: a stream may have hundreds."""
    data_max_operations: int = 6
    """Writes per step on real streams, whose chunks are longer."""
    data_max_item_tokens: int = 128
    """Tokens of one item on real streams."""
    sweep: tuple[int, ...] = (1, 3, 5, 10)
    """Retrieval widths k at which evidence-anchored attribution is measured again, with episodes and truth at that k."""
    sweep_episodes: int = 60
    """Episodes at each of them; 0 leaves the sweep out."""
    T: int = 10
    """Steps of a builtin stream."""
    k: int = 5
    """Items retrieved per question."""
    max_operations: int = 3
    """Writes per step on builtin streams."""
    max_item_tokens: int = 48
    """Tokens of one item on builtin streams."""
    reader: str = "extractive"
    """Who answers."""
    exact_steps: int = 12
    """The true Shapley values are exact up to this many writing steps, beyond they are sampled."""
    permutations: int = 64
    """Orders for sampled true Shapley values, in antithetic pairs."""
    subsets: int = 64
    """Random coalitions of the linear datamodelling score."""
    predictor_episodes: int = 240
    """Training-split episodes that estimators with a learned predictor may be fitted on."""
    train: bool = False
    """Then train a policy with each of them, and show how well each measure predicts what it learns."""
    train_seeds: int = 8
    """Runs for each."""
    train_updates: int = 120
    """Policy updates of a run; episodes are 8 times as many."""
    train_streams: int = 200
    """Held-out streams that the trained policies are tested on."""
    train_compression: float = 0.0
    """Weight of the compression term beside each credit; see ``memenvs train --help``."""
    seed: int = 0
    """Decides streams, behaviour and every draw."""
    workers: int = 0
    """Processes; 0 takes one per core. The numbers do not depend on it."""

    def __post_init__(self) -> None:
        if self.quick:
            # A size that was given stays; a default becomes small.
            for field in fields(self):
                if field.name in QUICK and getattr(self, field.name) == field.default:
                    object.__setattr__(self, field.name, QUICK[field.name])
        at_least = {
            "group_size": 2, "continuations": 4, "T": 4, "permutations": 4, "subsets": 3, "predictor_episodes": 2,
            "episodes": 0, "groups": 0, "sweep_episodes": 0, "exact_steps": 0, "seed": 0, "workers": 0,
        } | dict.fromkeys(
            ("data_episodes", "data_questions", "data_max_operations", "data_max_item_tokens", "k", "max_operations",
             "max_item_tokens", "train_seeds", "train_updates", "train_streams"), 1,
        )  # fmt: skip
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise SettingsError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("continuations", "permutations"):
            if getattr(self, name) % 2:
                raise SettingsError(f"{name} must be even, because they come in halves; got {getattr(self, name)}")
        if self.exact_steps > 16:
            raise SettingsError(f"exact_steps is at most 16 (2^16 replays an episode), got {self.exact_steps}")
        if "builtin" in self.data:
            raise SettingsError("data names real streams; the builtin ones are measured anyway")
        for name in ("data", "sweep"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise SettingsError(f"{name} names something twice: {', '.join(map(str, given))}")
        if any(k < 1 for k in self.sweep):
            raise SettingsError(f"sweep holds numbers of items from 1 on, got {self.sweep}")
        if not (self.episodes or self.groups or self.data):
            raise SettingsError("nothing to measure: give episodes, groups or data")

    def environment(self, data: str, env_id: str, k: int) -> EnvSettings:
        """The environment over one source of streams."""
        builtin = data == "builtin"
        return EnvSettings(
            env_id=env_id,
            data=data,
            T=self.T if builtin else None,
            max_operations=self.max_operations if builtin else self.data_max_operations,
            max_item_tokens=self.max_item_tokens if builtin else self.data_max_item_tokens,
            k=k,
            reader=self.reader,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def deciding(self) -> dict[str, Any]:
        """What decides the numbers, as plain data: a folder of other settings is not continued."""
        return {
            name: value
            for name, value in replace(self, quick=False).to_json().items()
            if name not in ("out", "workers", "quick") and not name.startswith("train")
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
