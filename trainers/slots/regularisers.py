"""The regulariser slot: what keeps the policy near a reference.

Every value of the slot is ``f(new, reference, advantages, mask, settings) -> penalty``:

* ``new`` (N, L) log-probabilities of the tokens under the present weights, differentiable;
* ``reference`` (N, L) under the reference policy, or None where the value reads none;
* ``advantages`` (N, L), or (N, 1) for one value per row;
* ``mask`` (N, L) bool, True for tokens;
* the penalty (N, L) is to be subtracted from the objective, and 0 wherever the mask is False.

Only ``new`` gets a gradient. With d = log reference - log new, on tokens drawn from the policy, the first three estimate
KL(policy || reference):

* `kl_k1` - beta (-d): unbiased, of either sign. Its gradient is 0 on average, so it measures and does not hold.
* `kl_k2` - beta d² / 2: biased, never negative. Its gradient is that of KL(policy || reference).
* `kl_k3` - beta (exp(d) - d - 1): unbiased, never negative. GRPO's; its gradient is that of KL(reference || policy).
* `adrpo` - (beta - A) KL: the better a sample, the freer it may move.
* `none` - 0.

All raise SettingsError where a shape or a setting cannot work. `ReferenceResets` says when the policy becomes its own reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from memenvs.errors import SettingsError, did_you_mean, whole
from trainers.slots.rows import check_mask, counted

MAX_LOG_RATIO = 20.0
"""Keeps exp() finite for tokens that the policy has all but given up."""


@dataclass(frozen=True)
class RegulariserSettings:
    """Numbers of the regulariser slot."""

    beta: float = 0.0
    """Weight of the KL: .001 in R1, .03 in TRL's RLOO; ADRPO's beta0."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """`adrpo` alone: which estimate its KL is."""
    clamp: bool = False
    """`adrpo` alone. True: beta - A is at least 0; False (as published): a sample with A > beta is paid for leaving the
    reference."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise SettingsError(f"beta must be a finite number of at least 0, got {self.beta}")
        if self.estimator not in ESTIMATORS:
            raise SettingsError(
                f"estimator must be one of {', '.join(ESTIMATORS)}, got {self.estimator!r}."
                f"{did_you_mean(str(self.estimator), ESTIMATORS)}"
            )


def none(
    new: Tensor, reference: Tensor | None, advantages: Tensor, mask: Tensor, settings: RegulariserSettings
) -> Tensor:
    """No penalty (DAPO, Dr. GRPO, GSPO, LOOP)."""
    check_mask(mask)
    return new.new_zeros(mask.shape)


def kl_k1(
    new: Tensor, reference: Tensor | None, advantages: Tensor, mask: Tensor, settings: RegulariserSettings
) -> Tensor:
    """The log-ratio. Source: Schulman, "Approximating KL divergence" (joschu.net/blog/kl-approx.html), k1."""
    return settings.beta * _k1(_log_ratio(new, reference, mask))


def kl_k2(
    new: Tensor, reference: Tensor | None, advantages: Tensor, mask: Tensor, settings: RegulariserSettings
) -> Tensor:
    """Half the squared log-ratio. Source: the same page, k2."""
    return settings.beta * _k2(_log_ratio(new, reference, mask))


def kl_k3(
    new: Tensor, reference: Tensor | None, advantages: Tensor, mask: Tensor, settings: RegulariserSettings
) -> Tensor:
    """GRPO's estimate. Source: the same page, k3; GRPO, arXiv 2402.03300, equation 4."""
    return settings.beta * _k3(_log_ratio(new, reference, mask))


def kl_of(new: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """(N, L) `kl_k3` estimates of KL(policy || reference) at drawn tokens, without a weight: a measure."""
    return kl_k3(new, reference, new.new_zeros(new.shape), mask, RegulariserSettings(beta=1.0))


def adrpo(
    new: Tensor, reference: Tensor | None, advantages: Tensor, mask: Tensor, settings: RegulariserSettings
) -> Tensor:
    """The KL with a weight that falls with the advantage: (beta - A) KL.

    Source: ADRPO, arXiv 2510.18053, which states neither a floor of the weight nor which estimate of the KL.
    """
    weight = settings.beta - counted("advantages", advantages.detach(), mask, per_row=True)
    if settings.clamp:
        weight = weight.clamp(min=0)
    return weight * ESTIMATORS[settings.estimator](_log_ratio(new, reference, mask))


@dataclass(frozen=True)
class ReferenceResets:
    """When the policy becomes its own reference, and the optimiser forgets.

    Nothing is remembered between calls, so a resumed run resets where an uninterrupted one does.

    Source: ProRL, arXiv 2505.24864, and BroRL, arXiv 2510.01180, section 3.1. They leave it to judgement when to reset; the two
    rules are this project's.
    """

    above: float | None = None
    """Reset when the measured KL to the reference exceeds this."""
    every: int | None = None
    """Reset after every so many updates."""

    def __post_init__(self) -> None:
        if self.above is not None and not self.above >= 0:
            raise SettingsError(f"above must be at least 0, got {self.above}")
        if self.every is not None:
            whole("every", self.every, 1)

    def reset_now(self, update: int, kl: float) -> bool:
        """Whether to reset after this update.

        Args:
            update: number of finished updates, from 1.
            kl: mean KL(policy || reference) over the tokens of the update.

        Raises:
            SettingsError: ``update`` is not from 1, or the KL that is to be compared is NaN.
        """
        whole("update", update, 1)
        if self.above is not None and math.isnan(kl):
            raise SettingsError(f"the KL measured at update {update} is NaN; a policy that is not finite has no KL")
        return (self.above is not None and kl > self.above) or (self.every is not None and update % self.every == 0)


Regulariser = Callable[[Tensor, Tensor | None, Tensor, Tensor, RegulariserSettings], Tensor]
"""A value of the slot."""
REGULARISERS: Mapping[str, Regulariser] = {
    "none": none,
    "kl_k1": kl_k1,
    "kl_k2": kl_k2,
    "kl_k3": kl_k3,
    "adrpo": adrpo,
}
"""The slot's values by name."""


def _log_ratio(new: Tensor, reference: Tensor | None, mask: Tensor) -> Tensor:
    """Log reference minus log new; 0 where the mask is False."""
    if reference is None:
        raise SettingsError('a KL needs the log-probabilities under a reference; the regulariser "none" reads none')
    return counted("reference log-probabilities", reference.detach(), mask) - counted(
        "new log-probabilities", new, mask
    )


def _k1(log_ratio: Tensor) -> Tensor:
    return -log_ratio


def _k2(log_ratio: Tensor) -> Tensor:
    return log_ratio.square() / 2


def _k3(log_ratio: Tensor) -> Tensor:
    # Clamped as a whole: with the exponent alone clamped, the rest would push such a token further away.
    bounded = log_ratio.clamp(max=MAX_LOG_RATIO)
    return bounded.exp() - bounded - 1


ESTIMATORS: Mapping[str, Callable[[Tensor], Tensor]] = {"k1": _k1, "k2": _k2, "k3": _k3}
"""Estimates of the KL from log reference - log new."""
