"""What fills the trainer's slots, and the published methods as presets.

A method is a choice per slot. The credit slot is the reward wrapper (``--reward``); the others are here. This file imports neither
torch nor the slots themselves, so that ``--help`` is quick: `resolve` finds what a name stands for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from typing import Any, Literal, get_args

from memenvs.errors import SettingsError, did_you_mean

Judge = Literal["scorer", "exact", "model", "consensus", "copeland", "self_prm"]
Mix = Literal["sum", "gdpo"]
Group = Literal["step", "trajectory", "pooled", "state", "local", "tree", "tag"]
Advantage = Literal[
    "zscore", "centred", "published", "leave_one_out", "decoupled", "whiten", "gae", "turn_outcome", "alpha_mix"
]  # fmt: skip
Ratio = Literal["ppo", "loop", "gspo", "cispo", "decoupled"]
Aggregation = Literal["token_mean", "sequence_mean", "constant", "length", "prompt_mean"]
Regulariser = Literal["none", "kl_k1", "kl_k2", "kl_k3", "adrpo"]
Sampler = Literal["uniform", "zero_variance", "dynamic", "npr", "dots", "many", "compensation"]
Preset = Literal[
    "finemem", "memalpha", "memory-r2", "memagent", "dr-grpo", "dapo", "gspo", "luspo", "loop", "rloo", "reinforce++",
    "ppo", "gigpo", "scalerl",
]  # fmt: skip

SLOTS: dict[str, tuple[str, ...]] = {
    "judge": get_args(Judge),
    "mix": get_args(Mix),
    "group": get_args(Group),
    "advantage": get_args(Advantage),
    "ratio": get_args(Ratio),
    "aggregation": get_args(Aggregation),
    "regulariser": get_args(Regulariser),
    "sampler": get_args(Sampler),
}
"""Slot -> names of its values. The ninth, credit, is every reward of `rewards.presets`."""
_TABLES = {
    "judge": "judges:JUDGES",
    "mix": "mixing:MIXINGS",
    "group": "groups:GROUPS",
    "advantage": "advantages:ADVANTAGES",
    "ratio": "ratios:RATIOS",
    "aggregation": "aggregation:AGGREGATIONS",
    "regulariser": "regularisers:REGULARISERS",
    "sampler": "samplers:SAMPLERS",
}
"""Slot -> where its values stand by name."""


def resolve(slot: str, name: str) -> Any:
    """What a name stands for: the function, or class, of the slot's module.

    Raises:
        SettingsError: no such slot or name.
    """
    for what, value, known in (("slot", slot, SLOTS), (slot, name, SLOTS.get(slot, ()))):
        if value not in known:
            raise SettingsError(f"unknown {what} {value!r}; known: {', '.join(known)}.{did_you_mean(value, known)}")
    module, table = _TABLES[slot].split(":")
    return getattr(import_module(f"trainers.slots.{module}"), table)[name]


@dataclass(frozen=True)
class Slots:
    """The trainer's slots. What is not given is as the preset has it."""

    preset: Preset = "finemem"
    """A published method: fills the reward and every slot that is not given."""
    judge: Judge | None = None
    """Who scores the answers to global questions in training. "scorer": the profile's metric."""
    mix: Mix | None = None
    """How reward terms become one reward: their sum, or GDPO's normalise-then-sum."""
    group: Group | None = None
    """Which samples share a baseline."""
    advantage: Advantage | None = None
    """How a sample is compared with its baseline."""
    ratio: Ratio | None = None
    """How far one batch may move the policy."""
    aggregation: Aggregation | None = None
    """How decisions are averaged. The small policy's decision is one token; values differ there only across streams."""
    regulariser: Regulariser | None = None
    """What keeps the policy near a reference."""
    sampler: Sampler | None = None
    """Which streams are rolled out, and which samples are trained. "many" is BroRL: give a large group_size; the learning rate
    grows with its square root."""
    clip_low: float | None = None
    """How far a probability ratio may fall below 1."""
    clip_high: float | None = None
    """How far it may rise above 1."""
    cap: Literal["range", "absolute"] | None = None
    """What clip_high means for cispo: the end of a range (verl) or the largest ratio itself (TRL, ScaleRL)."""
    beta: float | None = None
    """Weight of the regulariser's KL: .001 where neither you nor the preset say, as in R1, Mem-alpha and MemAgent."""
    reset_every: int | None = None
    """Updates after which the policy becomes its own reference and the optimiser forgets (ProRL); never if not given."""
    reset_above: float | None = None
    """The same once the policy's mean KL to its reference exceeds this."""
    gamma: float | None = None
    """Discount per step where the advantage knows one."""
    lam: float | None = None
    """GAE's lambda."""
    alpha: float | None = None
    """Mixes: weight of the outcome (alpha_mix) or of the turn (turn_outcome)."""
    omega: float | None = None
    """Weight of the second baseline: same states, siblings, local re-rollouts."""
    ddof: int | None = None
    """1: unbiased standard deviation, 0: the population's."""
    eps: float | None = None
    """Added to the standard deviation."""

    @property
    def filled(self) -> Slots:
        """The same with every slot given.

        Raises:
            SettingsError: an unknown name, or slots that do not go together.
        """
        if self.preset not in PRESETS:
            raise SettingsError(
                f"unknown preset {self.preset!r}; known: {', '.join(PRESETS)}.{did_you_mean(self.preset, PRESETS)}"
            )
        known = _DEFAULT | PRESETS[self.preset]
        given = {name: value for name, value in asdict(self).items() if value is not None}
        filled = replace(self, **{f.name: known[f.name] for f in fields(self) if f.name in known} | given)
        for slot, names in SLOTS.items():
            if (name := getattr(filled, slot)) not in names:
                raise SettingsError(
                    f"unknown {slot} {name!r}; known: {', '.join(names)}.{did_you_mean(str(name), names)}"
                )
        # These read a row as a rollout, and rows of local re-rollouts are none; or share one scale with the returns.
        if filled.group == "local" and filled.advantage not in ("zscore", "centred", "published", "leave_one_out"):
            raise SettingsError(
                f"the advantage {filled.advantage!r} follows or scales whole rollouts and cannot read local re-rollouts; choose "
                '"zscore", "centred", "published" or "leave_one_out" with the group "local"'
            )
        if filled.group == "local" and filled.mix != "sum":
            raise SettingsError(
                f'the mix {filled.mix!r} needs reward terms, and a local re-rollout has one reward, v(M_t): choose "sum"'
            )
        if filled.group == "local" and filled.judge != "scorer":
            raise SettingsError(
                f'the judge {filled.judge!r} scores whole rollouts, and local re-rollouts are scored by the metric: choose "scorer"'
            )
        return filled

    @property
    def stepwise(self) -> bool:
        """Whether a step's advantage is made of the rewards of that step alone, so that equal ones make it 0."""
        filled = self.filled
        return filled.group == "step" and filled.advantage in ("zscore", "centred", "leave_one_out", "decoupled")

    @property
    def reward(self) -> str:
        """The preset's reward."""
        return str((_DEFAULT | PRESETS[self.preset])["reward"])


_DEFAULT: dict[str, Any] = {
    "reward": "raw",
    "judge": "scorer",
    "mix": "sum",
    "group": "trajectory",
    "advantage": "zscore",
    "ratio": "ppo",
    "aggregation": "token_mean",
    "regulariser": "none",
    "sampler": "uniform",
    "clip_low": 0.2,
    "clip_high": 0.2,
    "cap": "range",
    "beta": 0.001,
    "gamma": 1.0,
    "lam": 0.95,
    "alpha": 0.5,
    "omega": 1.0,
    "ddof": 1,
    "eps": 1e-6,
}
PRESETS: dict[str, dict[str, Any]] = {
    "finemem": {"reward": "finemem", "group": "step"},
    "memalpha": {"reward": "memalpha", "group": "pooled", "regulariser": "kl_k3", "beta": 0.001},
    "memory-r2": {"group": "local", "regulariser": "kl_k3", "beta": 0.001},
    "memagent": {"advantage": "centred", "regulariser": "kl_k3", "beta": 0.001},
    "dr-grpo": {"advantage": "centred", "aggregation": "constant"},
    "dapo": {"clip_high": 0.28, "sampler": "dynamic"},
    "gspo": {"ratio": "gspo", "aggregation": "sequence_mean", "clip_low": 3e-4, "clip_high": 4e-4},
    "luspo": {"ratio": "gspo", "aggregation": "length", "clip_low": 2e-3, "clip_high": 2.5e-3},
    "loop": {
        "advantage": "leave_one_out", "ratio": "loop", "clip_high": 0.1, "aggregation": "sequence_mean",
        "sampler": "zero_variance",
    },
    "rloo": {"advantage": "leave_one_out", "regulariser": "kl_k3", "beta": 0.03},
    "reinforce++": {"advantage": "whiten"},
    "ppo": {"advantage": "gae"},
    "gigpo": {"group": "state", "advantage": "centred", "gamma": 0.95},
    "scalerl": {
        "advantage": "decoupled", "ratio": "cispo", "clip_high": 5.0, "cap": "absolute", "aggregation": "prompt_mean",
        "sampler": "npr",
    },
}  # fmt: skip
"""Published methods. Learning rate, group size and passes over a batch belong to the size of a model, not to a method: they stay
the run's own. What differs from the published code: docs/methods.md."""
