"""Reward wrappers for Fine-Mem's terms; formulas are in `rewards.terms`.

* `OutcomeReward` - the outcome, at the end or spread evenly.
* `ChunkStepReward` - chunk-level step reward.
* `EvidenceReward` - evidence-anchored attribution.
* `FormatReward` - share of valid operations.
* `CompressionReward` - how much smaller the memory is than the stream.
* `FineMemReward` - all of them with the paper's weights.

They stack in any order: each adds its terms. `OutcomeReward`, `EvidenceReward` and `FineMemReward` distribute the outcome, so
only one of them can be in a stack.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym

from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord, StepRecord
from rewards import terms
from rewards.terms import Terms
from rewards.wrapper import RewardWrapper

Env = gym.Env[Any, Any]


def _weighted(weight: float, values: Terms) -> Terms:
    return tuple(weight * value for value in values)


def needs_chunk_questions(env: Env, name: str) -> None:
    """Refuse an environment that reads no chunk questions with SettingsError; ``name`` is who needs them."""
    if env.unwrapped.settings.chunk_questions == 0:  # type: ignore[attr-defined]
        raise SettingsError(f"{name} scores chunk questions, but the environment was made with chunk_questions=0")


class OutcomeReward(RewardWrapper):
    """r_global, all of it at the last step or spread evenly over the steps.

    Args:
        env: a memenvs environment.
        spread: ``"last"`` or ``"uniform"``; see `rewards.terms.outcome`.
        scale: ``"sum"`` or ``"mean"`` (times T).

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(self, env: Env, spread: str = "uniform", scale: str = "sum") -> None:
        terms.check_choice("spread", spread, terms.SPREADS)
        terms.check_choice("scale", scale, terms.SCALES)
        super().__init__(env, spread=spread, scale=scale)
        self.spread, self.scale = spread, scale

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("outcome",)

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"outcome": ...}``."""
        return {"outcome": terms.outcome(record, self.spread, self.scale)}


class ChunkStepReward(RewardWrapper):
    """weight * r_chunk(t), paid at each step.

    Args:
        env: a memenvs environment with ``chunk_questions`` > 0.
        weight: Fine-Mem uses 0.5.

    Raises:
        SettingsError: the environment reads no chunk questions.

    Change log:
        * v0.1.0 - added
    """

    def __init__(self, env: Env, weight: float = 0.5) -> None:
        super().__init__(env, weight=weight)
        needs_chunk_questions(env, type(self).__name__)
        self.weight = weight

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("chunk",)

    def weights_of_terms(self) -> dict[str, float]:
        """The one weight."""
        return {"chunk": self.weight}

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"chunk": ...}``."""
        return {"chunk": _weighted(self.weight, terms.chunk(record))}

    def known(self, step: StepRecord) -> float:
        """All of it."""
        return self.weight * terms.chunk_step(step)


class EvidenceReward(RewardWrapper):
    """r_EARA(t), the outcome distributed by evidence; known at the end only.

    Args:
        env: a memenvs environment.
        beta, evidence, phi, empty, scale: see `rewards.terms.evidence`.

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(
        self,
        env: Env,
        beta: float = 0.5,
        evidence: str = "retrieved",
        phi: str = "last_write",
        empty: str = "lose",
        scale: str = "sum",
    ) -> None:
        self.choices = _check_evidence(beta, evidence, phi, empty, scale)
        super().__init__(env, **self.choices)

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("evidence",)

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"evidence": ...}``."""
        return {"evidence": terms.evidence(record, **self.choices)}


def _check_evidence(beta: float, evidence: str, phi: str, empty: str, scale: str) -> dict[str, Any]:
    """Refuse bad choices when the wrapper is made, not at the end of an episode."""
    if not 0 <= beta <= 1:
        raise SettingsError(f"beta must be in [0, 1], got {beta}")
    terms.check_choice("evidence", evidence, terms.EVIDENCE)
    terms.check_choice("phi", phi, terms.PHI)
    terms.check_choice("empty", empty, terms.EMPTY)
    terms.check_choice("scale", scale, terms.SCALES)
    return {"beta": beta, "evidence": evidence, "phi": phi, "empty": empty, "scale": scale}


class FormatReward(RewardWrapper):
    """weight * r_fmt(t), paid at each step.

    Args:
        env: a memenvs environment.
        weight: Fine-Mem uses 1.
        empty_ops: what a message without operations earns.

    Change log:
        * v0.1.0 - added
    """

    def __init__(self, env: Env, weight: float = 1.0, empty_ops: float = 0.0) -> None:
        super().__init__(env, weight=weight, empty_ops=empty_ops)
        self.weight, self.empty_ops = weight, empty_ops

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("format",)

    def weights_of_terms(self) -> dict[str, float]:
        """The one weight."""
        return {"format": self.weight}

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"format": ...}``."""
        return {"format": _weighted(self.weight, terms.fmt(record, self.empty_ops))}

    def known(self, step: StepRecord) -> float:
        """All of it."""
        return self.weight * terms.fmt_step(step, self.empty_ops)


class CompressionReward(RewardWrapper):
    """weight * r_comp at every step; known at the end only.

    Args:
        env: a memenvs environment.
        weight: Fine-Mem uses 0.05.

    Change log:
        * v0.1.0 - added
    """

    def __init__(self, env: Env, weight: float = 0.05) -> None:
        super().__init__(env, weight=weight)
        self.weight = weight

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("compression",)

    def weights_of_terms(self) -> dict[str, float]:
        """The one weight."""
        return {"compression": self.weight}

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"compression": ...}``."""
        return {"compression": _weighted(self.weight, terms.compression(record))}


class FineMemReward(RewardWrapper):
    """Fine-Mem's total: r_t = r_EARA + r_fmt + 0.5 r_chunk + 0.05 r_comp (arXiv 2601.08435).

    Args:
        env: a memenvs environment.
        beta, evidence, phi, empty, scale: see `rewards.terms.evidence`.
        chunk_weight: weight of r_chunk; 0 leaves the term out (the environment then needs no chunk questions).
        format_weight: weight of r_fmt.
        compression_weight: weight of r_comp.
        empty_ops: what a message without operations earns in r_fmt.

    Raises:
        SettingsError: an unknown choice, or ``chunk_weight`` > 0 on an environment that reads no chunk questions.

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(
        self,
        env: Env,
        beta: float = 0.5,
        evidence: str = "retrieved",
        phi: str = "last_write",
        empty: str = "lose",
        scale: str = "sum",
        chunk_weight: float = 0.5,
        format_weight: float = 1.0,
        compression_weight: float = 0.05,
        empty_ops: float = 0.0,
    ) -> None:
        self.choices = _check_evidence(beta, evidence, phi, empty, scale)
        self.weights = {
            "chunk_weight": chunk_weight,
            "format_weight": format_weight,
            "compression_weight": compression_weight,
        }
        super().__init__(env, **self.choices, **self.weights, empty_ops=empty_ops)
        if chunk_weight:
            needs_chunk_questions(env, type(self).__name__)
        self.empty_ops = empty_ops

    def names(self) -> tuple[str, ...]:
        """The terms of weight other than 0."""
        return ("evidence", *(name.removesuffix("_weight") for name, weight in self.weights.items() if weight))

    def weights_of_terms(self) -> dict[str, float]:
        """Evidence counts 1, the others their weights."""
        return {"evidence": 1.0} | {
            name.removesuffix("_weight"): weight for name, weight in self.weights.items() if weight
        }

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"evidence": ..., "format": ..., "chunk": ..., "compression": ...}``; terms of weight 0 are left out."""
        named = {"evidence": terms.evidence(record, **self.choices)}
        if weight := self.weights["format_weight"]:
            named["format"] = _weighted(weight, terms.fmt(record, self.empty_ops))
        if weight := self.weights["chunk_weight"]:
            named["chunk"] = _weighted(weight, terms.chunk(record))
        if weight := self.weights["compression_weight"]:
            named["compression"] = _weighted(weight, terms.compression(record))
        return named

    def known(self, step: StepRecord) -> float:
        """The format and chunk terms."""
        chunk = self.weights["chunk_weight"] and self.weights["chunk_weight"] * terms.chunk_step(step)
        return self.weights["format_weight"] * terms.fmt_step(step, self.empty_ops) + chunk
