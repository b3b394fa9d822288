"""What can be set about a training run. Every field is an option of ``memenvs train``."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import gymnasium as gym

from memenvs.errors import SettingsError
from memenvs.streams import StreamDataset, load
from memenvs.streams.sources import GENERATED
from rewards.credit.registry import find
from rewards.presets import CREDIT, PRESETS, has_scale, wrap_reward
from trainers.reader_settings import ReaderSettings, without_unseen
from trainers.slots.choices import Slots
from trainers.slots.numbers import check_numbers

FREE = ("updates", "eval_every", "checkpoint_every", "keep")
"""Settings of a run that may change when it is resumed; what is learnt does not hang on them."""


@dataclass(frozen=True)
class EnvSettings(ReaderSettings):
    """Which environment, over which data, under which limits, read by whom."""

    env_id: str = "FineMem-Memalpha-v0"
    """Registered id; see ``memenvs envs``."""
    data: str | None = None
    """"builtin", "running-sum", a parquet file or folder in the Memalpha schema, or a hub id; the id's own data if not given."""
    T: int | None = None
    """Steps per stream, builtin and running-sum data only (20 if not given)."""
    relevance: float | None = None
    """Chance that a chunk question asks about what global questions ask about, builtin data only (1 if not given)."""
    max_operations: int | None = 3
    """Writes per step; scarce writes are what makes choosing matter. None for no quota."""
    max_item_tokens: int | None = 48
    """Tokens of one item."""
    memory_budget: int | None = None
    """Tokens of the whole memory."""
    k: int = 5
    """Items retrieved per question."""
    chunk_questions: int = 5
    """Chunk questions read per step."""
    chunk_questions_from: Literal["column", "evidence"] | None = None
    """Data in the Memalpha schema only: "column" takes chunk questions from the file's column of that name, "evidence" asks at each
    chunk the global questions whose evidence is known to stand there. The published files have neither."""
    question_share: float = 1.0
    """Share of the global questions asked in training; the same ones for a whole group."""
    dialect: str | None = None
    """How messages are parsed; the id's own if not given. A language model's is set with the model."""

    @property
    def source(self) -> str:
        """``data`` or, if it is not given, the id's own: "builtin" where the id names none."""
        return self.data or str(gym.spec(self.env_id).kwargs.get("data", "builtin"))

    def open(self, split: str) -> StreamDataset:
        """The data of one split; a path to one file fixes the split itself."""
        source = self.source
        settings: dict[str, Any] = {}
        for name, value, takers in (("T", self.T, GENERATED), ("relevance", self.relevance, GENERATED[:1])):
            if value is not None:
                if source not in takers:
                    raise SettingsError(f"{name} is a setting of {' and '.join(takers)} data; the data is {source!r}")
                settings[name] = value
        if self.chunk_questions_from is not None:
            if source in GENERATED:
                raise SettingsError(
                    f"chunk_questions_from is a setting of data in the Memalpha schema; {source} data has its own"
                )
            settings["chunk_questions"] = self.chunk_questions_from
        families = gym.spec(self.env_id).kwargs.get("families")
        return load(source, split, **settings | ({"families": families} if families else {}))

    def make(self, split: str, evaluation: bool = False, dataset: StreamDataset | None = None) -> gym.Env[Any, Any]:
        """The environment over one split, without a reward wrapper.

        Args:
            split: "train" or "test".
            evaluation: ask all global questions and no chunk questions.
            dataset: the split's data, if it is open already; environments may share it.
        """
        entry = gym.spec(self.env_id).entry_point
        if not str(entry).startswith("memenvs."):
            raise SettingsError(f"{self.env_id} is no memenvs environment; memenvs envs lists them")
        own: dict[str, Any] = {} if self.dialect is None else {"dialect": self.dialect}
        env = gym.make(
            self.env_id,
            disable_env_checker=True,
            data=self.open(split) if dataset is None else dataset,
            families=None,
            reader=self.reader,
            reader_settings=self.reader_arguments or None,
            k=self.k,
            chunk_questions=0 if evaluation else self.chunk_questions,
            question_share=1.0 if evaluation else self.question_share,
            max_operations=self.max_operations,
            max_item_tokens=self.max_item_tokens,
            memory_budget=self.memory_budget,
            **own,
        )
        if not isinstance(env.observation_space, gym.spaces.Dict):
            raise SettingsError(
                f"{self.env_id} gives arrays; agents here read text: name another env_id (memenvs envs)"
            )
        return env


@dataclass(frozen=True)
class TrainSettings:
    """One run of GRPO with the candidate policy."""

    env: EnvSettings = field(default_factory=EnvSettings)
    """The environment."""
    reward: str | None = None
    """The credit slot: raw, outcome, chunk, evidence, evidence-cited, finemem, finemem-cited, memalpha; credit:NAME with NAME of
    uniform, trajectory, chunk, evidence, evidence-cited, loo-item, item-shapley, loo-step, prefix, prefix-probability,
    prefix-log-probability, permutation-shapley, monte-carlo, memq, lasso, operation-tags, himpo, redistribution; or your wrapper as
    module:Class. The preset's if not given."""
    scale: Literal["sum", "mean"] = "mean"
    """Presets and credit:NAME only. "sum": the paper's, r_EARA sums to r_global over the steps; "mean": times T, so that in long
    streams the other terms, of size 1 per step, do not swamp it."""
    compression: float = 0.0
    """For credit:NAME, weight of the compression term beside it. Fine-Mem's .05 decides alone wherever the credit of a step is
    the same in all rollouts of a group, and then teaches to forget."""
    predictor: str | None = None
    """For credit:redistribution, a file of `rewards.credit.redistribution.ReturnPredictor.save`."""
    eval_data: str | None = None
    """Held-out data. By default the test split of the training data; for a file ``train.parquet``, the ``test.parquet`` beside
    it."""
    seed: int = 0
    """Decides streams, sampling and initial weights. Runs that differ in the reward alone see the same streams."""
    updates: int = 160
    """Policy updates; episodes = updates * streams * group_size."""
    group_size: int = 8
    """G, rollouts of one stream."""
    streams: int = 1
    """Streams (groups) per update."""
    slots: Slots = field(default_factory=Slots)
    """The method."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    epochs: int = 2
    """Passes over one update's decisions."""
    entropy: float = 0.003
    """Weight of the entropy bonus."""
    pool: int | None = None
    """Draw training streams from this many and come back to them; fresh ones each time if not given, 256 for samplers that need a
    pool."""
    judge_model: str | None = None
    """For the judges model, copeland and self_prm: whom they ask, a callable of yours as module:name."""
    eval_every: int = 16
    """Updates between two evaluations on held-out streams."""
    eval_streams: int = 32
    """Held-out streams of an evaluation during training."""
    final_streams: int = 100
    """Held-out streams of the last evaluation."""
    checkpoint_every: int = 40
    """Updates between two checkpoints."""
    keep: int = 1
    """Newest checkpoints that are kept."""

    def __post_init__(self) -> None:
        for name in (
            "updates",
            "streams",
            "epochs",
            "eval_every",
            "eval_streams",
            "final_streams",
            "checkpoint_every",
            "keep",
        ):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise SettingsError(f"seed must be at least 0, got {self.seed}")
        if self.pool is not None and self.pool < 1:
            raise SettingsError(f"pool must be at least 1, got {self.pool}; leave it out for fresh streams")
        for name in ("learning_rate", "entropy"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise SettingsError(f"{name} must be a finite number of at least 0, got {value}")
        check_numbers(self.slots)  # and that the slots go together: refused here, not in the loop
        if self.group_size < 2:
            raise SettingsError(
                f"group_size must be at least 2, got {self.group_size}: a group of one has no advantage"
            )

    @property
    def credit(self) -> str:
        """The reward: the one given, or the preset's."""
        return self.slots.reward if self.reward is None else self.reward

    @property
    def reads_chunks(self) -> bool:
        """Whether the reward looks at chunk questions; presets that do not are trained without reading any."""
        if self.credit == "raw":
            return False
        if self.credit.startswith(CREDIT):
            return find(self.credit.removeprefix(CREDIT)).reads_chunks
        return PRESETS.get(self.credit, {}).get("chunk_weight", 1.0) > 0

    @property
    def together(self) -> int:
        """Streams that are played in lock-step, as one job of a worker; the rounding of what a policy forwards hangs on it."""
        return 1

    def make_envs(self, groups: int = 1) -> list[gym.Env[Any, Any]]:
        """``groups`` times ``group_size`` training environments with their reward, over one open data set."""
        env = self.env if self.reads_chunks else replace(self.env, chunk_questions=0)
        dataset = env.open("train")
        first = (dataset[i] for i in range(min(32, len(dataset))))
        if self.reads_chunks and not any(chunk.questions for stream in first for chunk in stream.chunks):
            warnings.warn(
                f"{self.env.source} has no chunk questions: the chunk reward is 0 at every step of every rollout. "
                "memenvs data chunk-questions writes some into a file; "
                'chunk_questions_from="evidence" asks global questions early, where the evidence of each is known.',
                stacklevel=2,
            )
        arguments: dict[str, Any] = {"scale": self.scale} if has_scale(self.credit) else {}
        if self.predictor is not None:
            if self.credit == "raw" or self.credit in PRESETS:
                raise SettingsError(f"predictor is for credit:redistribution; the reward is {self.credit!r}")
            arguments |= {"predictor": self.predictor}
        if self.compression:
            if not self.credit.startswith(CREDIT):
                raise SettingsError(f"compression is for credit:NAME; the reward is {self.credit!r}")
            arguments |= {"compression": self.compression}
        return [
            wrap_reward(env.make("train", dataset=dataset), self.credit, **arguments)
            for _ in range(groups * self.group_size)
        ]

    def make_heldouts(self, count: int) -> list[gym.Env[Any, Any]]:
        """Environments for evaluations: held-out data, all global questions, no chunk questions, no reward wrapper.

        Raises:
            SettingsError: the training data is one file and no held-out file is known.
        """
        data = self.eval_data or self.env.source
        if self.eval_data is None and Path(data).is_file():
            beside = Path(data).with_name("test.parquet")
            if Path(data).name == "test.parquet" or not beside.is_file():
                raise SettingsError(
                    f"{data} is one file and no other test.parquet is beside it; name held-out data: eval_data"
                )
            data = str(beside)
        # Held-out streams are asked about at the end alone, and a file has its own T.
        env = replace(self.env, data=data, relevance=None, T=self.env.T if data in GENERATED else None)
        dataset = env.open("test")
        return [env.make("test", evaluation=True, dataset=dataset) for _ in range(count)]

    def keeping_replies(self, folder: Path) -> Self:
        """The same run, whose reader keeps its replies in a folder, see `ReaderSettings.keeping_replies`."""
        return replace(self, env=self.env.keeping_replies(folder))

    def to_json(self) -> dict[str, Any]:
        """Plain data for results and checkpoints."""
        return asdict(self)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the numbers: a checkpoint of other settings is not resumed."""
        return hashlib.sha256(json.dumps(self._deciding(), sort_keys=True).encode()).hexdigest()[:16]

    def _deciding(self) -> dict[str, Any]:
        """The settings without those that say how long, how often and where: a resumed run may have others."""
        kept = {k: v for k, v in asdict(self).items() if k not in FREE}
        return kept | {"env": without_unseen(kept["env"])}
