"""Credit estimators by name.

* `ESTIMATORS` - what there is.
* `estimate` - the credit of an episode's steps, by any of them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.reading import Reader
from memenvs.record import EpisodeRecord
from rewards.credit.monte_carlo import Policy
from rewards.credit.redistribution import ReturnPredictor
from rewards.terms import NAN, Terms

NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "reader": "a memenvs.reading.Reader, best the one that answered in the episode",
        "policy": "a rewards.credit.Policy, what plays on from the memories of the episode",
        "predictor": "a rewards.credit.redistribution.ReturnPredictor, fitted on other episodes",
    }
)
"""What an estimator may need besides the record, and what it is."""


@dataclass(frozen=True)
class Estimator:
    """One way to share out credit."""

    name: str
    """In `ESTIMATORS`, results and ``credit:NAME``."""
    function: str
    """``module:function``, imported when it is first needed."""
    description: str
    """One line: what a step gets, and the source."""
    needs: tuple[str, ...] = ()
    """Of `NEEDS`."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make it this estimator; they cannot be given."""
    shares: bool = True
    """Whether steps get shares or differences of one score, of size score / T; others are of a score's size at every step."""
    reads_chunks: bool = False
    """Whether it looks at chunk questions."""

    def resolve(self) -> Callable[..., Terms]:
        """The function itself."""
        module, name = self.function.split(":")
        function: Callable[..., Terms] = getattr(import_module(module), name)
        return function

    @property
    def settings(self) -> dict[str, Any]:
        """What can be set, with the defaults."""
        parameters = inspect.signature(self.resolve()).parameters
        return {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.default is not parameter.empty and name not in self.fixed
        }

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings that it does not have with SettingsError."""
        known = self.settings
        for name in settings:
            if name not in known:
                listed = ", ".join(f"{k}={v!r}" for k, v in known.items()) or "none"
                raise SettingsError(
                    f"the credit estimator {self.name!r} has no setting {name!r}; it has {listed}.{did_you_mean(name, known)}"
                )


def _known(*estimators: Estimator) -> Mapping[str, Estimator]:
    return MappingProxyType({estimator.name: estimator for estimator in estimators})


ESTIMATORS: Mapping[str, Estimator] = _known(
    Estimator(
        "uniform",
        "rewards.terms:outcome",
        "r_global / T (Mem-alpha, wangyu-ustc/Mem-alpha@9c0e1f6; MemAgent)",
        fixed={"spread": "uniform", "scale": "sum"},
    ),
    Estimator(
        "trajectory",
        "rewards.terms:outcome",
        "r_global at every step (GRPO, huggingface/trl@f2cd577)",
        fixed={"spread": "uniform", "scale": "mean"},
        shares=False,
    ),
    Estimator(
        "chunk",
        "rewards.terms:chunk",
        "mean score of the chunk's questions on M_t (Fine-Mem, arXiv 2601.08435)",
        shares=False,
        reads_chunks=True,
    ),
    Estimator(
        "evidence",
        "rewards.terms:evidence",
        "what its retrieved items carry, mixed with r_global / T (Fine-Mem, arXiv 2601.08435)",
        fixed={"evidence": "retrieved", "scale": "sum"},
    ),
    Estimator(
        "evidence-cited",
        "rewards.terms:evidence",
        "what its cited items carry, mixed with r_global / T (the words of Fine-Mem's abstract)",
        fixed={"evidence": "cited", "scale": "sum"},
    ),
    Estimator(
        "loo-item",
        "rewards.credit.items:loo_item",
        "loss without each of its items, ranking frozen (ContextCite family, arXiv 2409.00729)",
        ("reader",),
    ),
    Estimator(
        "item-shapley",
        "rewards.credit.items:item_shapley",
        "Shapley values of its items, ranking frozen (closed weights; Shapley 1953)",
        ("reader",),
    ),
    Estimator(
        "loo-step",
        "rewards.credit.estimators:loo_step",
        "loss when the episode is replayed without it (difference rewards)",
        ("reader",),
    ),
    Estimator(
        "prefix",
        "rewards.credit.estimators:prefix_difference",
        "change of the score, M_{t-1} to M_t (difference of potentials)",
        ("reader",),
        {"score": "exact"},
    ),
    Estimator(
        "prefix-probability",
        "rewards.credit.estimators:prefix_difference",
        "change of the reference's probability, M_{t-1} to M_t (IGPO, GuoqingWang1/IGPO@bff163b)",
        ("reader",),
        {"score": "probability"},
    ),
    Estimator(
        "prefix-log-probability",
        "rewards.credit.estimators:prefix_difference",
        "change of the reference's log-probability, M_{t-1} to M_t (CoT-Flow, arXiv 2601.09260)",
        ("reader",),
        {"score": "log_probability"},
    ),
    Estimator(
        "permutation-shapley",
        "rewards.credit.estimators:shapley",
        "Shapley value over the steps, sampled orders (Castro et al. 2009; SCAR/SHARP)",
        ("reader",),
        {"exact_below": 0},
    ),
    Estimator(
        "monte-carlo",
        "rewards.credit.estimators:monte_carlo",
        "change of the mean score when a policy plays on, M_{t-1} to M_t (VinePPO, McGill-NLP/VinePPO@efe7228)",
        ("reader", "policy"),
    ),
    Estimator(
        "memq",
        "rewards.credit.provenance:memq",
        "what retrieved items carry, (gamma lambda)^depth along their provenance (MemQ, arXiv 2605.08374)",
    ),
    Estimator(
        "lasso",
        "rewards.credit.surrogate:lasso",
        "weight in a LASSO surrogate of the step game (ContextCite, MadryLab/context-cite@0e646f5)",
        ("reader",),
    ),
    Estimator(
        "operation-tags",
        "rewards.credit.tags:operation_tags",
        "rule reward for the type of its operations (RLVMR, arXiv 2507.22844)",
        shares=False,
    ),
    Estimator(
        "himpo",
        "rewards.credit.hindsight:himpo",
        "hindsight relevance times prefix difference, per question (HiMPO, arXiv 2606.16285)",
        ("reader",),
    ),
    Estimator(
        "redistribution",
        "rewards.credit.redistribution:redistribution",
        "difference of a learned predictor of the return (RUDDER, arXiv 1806.07857; SPA)",
        ("predictor",),
    ),
)
"""By name."""


def find(name: str) -> Estimator:
    """The estimator of this name.

    Raises:
        SettingsError: there is none.
    """
    if name not in ESTIMATORS:
        raise SettingsError(
            f"unknown credit estimator {name!r}; known: {', '.join(ESTIMATORS)}.{did_you_mean(str(name), ESTIMATORS)}"
        )
    return ESTIMATORS[name]


def estimate(
    name: str,
    record: EpisodeRecord,
    *,
    reader: Reader | None = None,
    policy: Policy | None = None,
    predictor: ReturnPredictor | None = None,
    **settings: Any,
) -> Terms:
    """Credit of the steps of an episode.

    Args:
        name: one of `ESTIMATORS`.
        record: a finished episode.
        reader, policy, predictor: what `Estimator.needs` lists; others are not looked at, so all can be given to all. A
            `memenvs.reading.CachedReader` counts the readings, and shares them between estimators.
        settings: keyword arguments of the estimator's function; see `Estimator.settings`.

    Returns:
        T floats; all NaN where a reading of the episode failed, for a failure is no score.

    Raises:
        SettingsError: an unknown name or setting, or something needed is not given.
        MemenvsError: whatever the estimator raises, for instance a ReaderError.
    """
    estimator = find(name)
    estimator.check(settings)
    given = {"reader": reader, "policy": policy, "predictor": predictor}
    for need in estimator.needs:
        if given[need] is None:
            raise SettingsError(f"the credit estimator {name!r} needs a {need}: give {need}=..., {NEEDS[need]}")
    if record.failure is not None or math.isnan(record.r_global):
        return (NAN,) * record.T
    return estimator.resolve()(record, **{need: given[need] for need in estimator.needs}, **estimator.fixed, **settings)
