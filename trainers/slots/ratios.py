"""The ratio slot: how far one batch may move the policy.

Every value of the slot is ``f(new, old, advantages, mask, settings) -> objective``:

* ``new`` (N, L) log-probabilities of the tokens under the present weights, differentiable;
* ``old`` (N, L) log-probabilities when the tokens were drawn;
* ``advantages`` (N, L), or (N, 1) for one value per row;
* ``mask`` (N, L) bool, True for tokens;
* the objective (N, L) is to be maximised, and 0 wherever the mask is False.

Only ``new`` gets a gradient. With A the advantage and r = exp(new - old) the probability ratio:

* `ppo` - min(r A, clip(r, 1 - low, 1 + high) A).
* `loop` - the same with the range [1 / (1 + eps), 1 + eps].
* `gspo` - the same with one ratio per row, the geometric mean of its tokens'.
* `cispo` - clipped r as a constant weight, times A times the log-probability: no token loses its gradient.
* `decoupled` - clip around a proximal policy that is newer than the one that drew the tokens.

All raise SettingsError where a shape or a setting cannot work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from memenvs.errors import SettingsError, did_you_mean
from trainers.slots.rows import counted, row_means

MAX_LOG_RATIO = 20.0
"""Keeps exp() finite for tokens that the policy has all but given up; far outside any clip range."""
CAPS = ("range", "absolute")
"""What CISPO's clip_high means."""


@dataclass(frozen=True)
class RatioSettings:
    """Numbers of the ratio slot."""

    clip_low: float = 0.2
    """How far the ratio may fall below 1: .2 in PPO and DAPO, 3e-4 in GSPO, 2e-3 in LUSPO. Not read by `loop`."""
    clip_high: float = 0.2
    """How far the ratio may rise above 1: .2 in PPO, .28 in DAPO (clip-higher), .1 in LOOP (its eps), 4e-4 in GSPO, 2.5e-3 in
    LUSPO."""
    cap: Literal["range", "absolute"] = "range"
    """`cispo` alone. "range": the ratio is clipped to [1 - clip_low, 1 + clip_high] (verl); "absolute": clip_high is the largest
    ratio itself, and there is no smallest (TRL, ScaleRL: 5.0)."""
    proximal: Tensor | None = field(default=None, compare=False, repr=False)
    """`decoupled` alone: (N, L) log-probabilities under the proximal policy."""

    def __post_init__(self) -> None:
        for name in ("clip_low", "clip_high"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise SettingsError(f"{name} must be a finite number of at least 0, got {value}")
        if self.cap not in CAPS:
            raise SettingsError(
                f"cap must be one of {', '.join(CAPS)}, got {self.cap!r}.{did_you_mean(str(self.cap), CAPS)}"
            )


def ppo(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """The clipped surrogate, token by token; DAPO's clip-higher is a larger ``clip_high``.

    Source: Schulman et al., arXiv 1707.06347, equation 7; DAPO, arXiv 2503.14476 (.2 and .28).
    """
    new, old, advantages = _counted(new, old, advantages, mask)
    return _clipped(_exp(new - old), advantages, 1 - settings.clip_low, 1 + settings.clip_high)


def loop(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """The clipped surrogate with a range that is even in the log-ratio: [1 / (1 + clip_high), 1 + clip_high].

    Source: LOOP, arXiv 2502.01600; apple/ml-loop@6ade7b9 ``phi_agents/rl/train.py`` (eps .1).
    """
    new, old, advantages = _counted(new, old, advantages, mask)
    return _clipped(_exp(new - old), advantages, 1 / (1 + settings.clip_high), 1 + settings.clip_high)


def gspo(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """The clipped surrogate with the row's ratio s = exp(mean over its tokens of new - old), repeated over the tokens.

    The gradient flows through s, so that a token moves the whole row's value. Pair it with the aggregation ``sequence_mean`` (GSPO)
    or ``length`` (LUSPO).

    Source: GSPO, arXiv 2507.18071; huggingface/trl@f2cd577 ``importance_sampling_level="sequence"``.
    """
    new, old, advantages = _counted(new, old, advantages, mask)
    return _clipped(_exp(row_means(new - old, mask)), advantages, 1 - settings.clip_low, 1 + settings.clip_high)


def cispo(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """Clipped ratio, held constant, times A times the log-probability; at new = old this is A log p, not A.

    Source: MiniMax-M1, arXiv 2506.13585; the two readings of the cap: huggingface/trl@f2cd577 ``grpo_trainer.py`` (absolute),
    volcengine/verl@b178a3c ``core_algos.py`` (range).
    """
    if settings.cap == "absolute" and settings.clip_high < 1:
        raise SettingsError(
            f'cap="absolute" reads clip_high as the largest ratio, so it must be at least 1 (TRL: 5.0), got '
            f'{settings.clip_high}; cap="range" caps at 1 + clip_high'
        )
    new, old, advantages = _counted(new, old, advantages, mask)
    ratio = _exp(new - old).detach()
    if settings.cap == "absolute":
        weight = ratio.clamp(max=settings.clip_high)
    else:
        weight = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    return weight * advantages * new


def decoupled(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """Decoupled PPO: p / b min(u A, clip(u) A) with u = present / proximal and p / b = proximal / drawing policy, a constant.

    The clip keeps the policy near ``settings.proximal``, which is recent, and the weight corrects for old draws. With
    ``proximal`` equal to ``old`` it is `ppo`.

    Source: AReaL, arXiv 2505.24298, equation 5; inclusionAI/AReaL@4aef98d ``docs/en/algorithms/async.md``.
    """
    if settings.proximal is None:
        raise SettingsError(
            "decoupled needs settings.proximal, the log-probabilities under the proximal policy: those of a pass before the update"
        )
    new, old, advantages = _counted(new, old, advantages, mask)
    proximal = counted("proximal log-probabilities", settings.proximal.detach(), mask)
    surrogate = _clipped(_exp(new - proximal), advantages, 1 - settings.clip_low, 1 + settings.clip_high)
    return _exp(proximal - old) * surrogate


def outside(name: str, new: Tensor, old: Tensor, mask: Tensor, settings: RatioSettings) -> Tensor:
    """Tokens whose ratio lies outside the clip range of one of the slot's values, whichever way their advantage points.

    Args:
        name: of the value. With "gspo" the ratio is the row's, so all of a row's tokens lie outside or none; with "decoupled" it is
            that to the proximal policy.
        new, old, mask, settings: see the module.

    Returns:
        (N, L) bool, False wherever the mask is.
    """
    base = settings.proximal if name == "decoupled" and settings.proximal is not None else old
    log_ratio = counted("new log-probabilities", new, mask) - counted("old log-probabilities", base, mask)
    ratio = _exp(row_means(log_ratio, mask) if name == "gspo" else log_ratio)
    low, high = 1 - settings.clip_low, 1 + settings.clip_high
    if name == "loop":
        low = 1 / (1 + settings.clip_high)
    if name == "cispo" and settings.cap == "absolute":
        low, high = 0.0, settings.clip_high
    return ((ratio < low) | (ratio > high)) & mask


Ratio = Callable[[Tensor, Tensor, Tensor, Tensor, RatioSettings], Tensor]
"""A value of the slot."""
RATIOS: Mapping[str, Ratio] = {"ppo": ppo, "loop": loop, "gspo": gspo, "cispo": cispo, "decoupled": decoupled}
"""The slot's values by name."""


def _counted(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        counted("new log-probabilities", new, mask),
        counted("old log-probabilities", old.detach(), mask),
        counted("advantages", advantages.detach(), mask, per_row=True),
    )


def _exp(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def _clipped(ratio: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    return (ratio * advantages).minimum(ratio.clamp(low, high) * advantages)
