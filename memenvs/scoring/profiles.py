"""Named scorer profiles: which metric scores which source.

`corrected` is the default. Where a published suite scores differently, it differs on purpose:

* one metric per source, the same for agents, baselines and training (the published code has three paths);
* both sides are lower-cased and normalised everywhere;
* every reference counts, not the first alone;
* a substring match is one of whole words: "no" does not stand in "Norway", and a reference without words never matches;
* a question that the stream does not answer (LoCoMo's category 5, LongMemEval's "_abs") is right if the prediction says so;
* sources that their paper gives to a model judge are scored by normalised substring match, which needs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memenvs.errors import ScorerError, SettingsError, did_you_mean
from memenvs.scoring.abstention import abstains
from memenvs.scoring.metrics import (
    exact_match,
    integer_match,
    keyword_list_share,
    keyword_share,
    label_match,
    substring_match,
    token_f1,
)

Metric = Callable[[str, Sequence[str]], float]
"""(prediction, references) -> score in [0, 1]."""

_CORRECTED: dict[str, Metric] = {
    "builtin-fact": exact_match,
    "builtin-count": exact_match,
    "builtin-label": label_match,
    "builtin-summary": keyword_share,
    "running-sum": integer_match,
    "squad": substring_match,
    "hotpotqa": substring_match,
    "perltqa": keyword_list_share,
    "lme_train": substring_match,
    "pubmed-rct": label_match,
    "booksum": keyword_share,
    "icl": label_match,
    "infbench_sum": keyword_list_share,
    "ruler": substring_match,
    "longmemeval": substring_match,
    "longmemeval-abstention": abstains,
    "eventqa": substring_match,
    "detective_qa": substring_match,
    "factconsolidation": substring_match,
    "recsys": keyword_list_share,
    "locomo": token_f1,
    "locomo-5": abstains,
}
PROFILES: Mapping[str, Mapping[str, Metric]] = {"corrected": _CORRECTED}
"""Metrics by profile and source; a source matches its exact name first, then the longest prefix."""


def metric_for(source: str, profile: str = "corrected") -> Metric:
    """The metric of a source.

    Raises:
        SettingsError: unknown profile.
        ScorerError: the profile does not know the source.
    """
    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise SettingsError(f"unknown scoring profile {profile!r}; known: {known}.{did_you_mean(profile, PROFILES)}")
    metrics = PROFILES[profile]
    name = source if source in metrics else max((m for m in metrics if source.startswith(m)), key=len, default="")
    if not name:
        raise ScorerError(
            f"profile {profile!r} has no metric for source {source!r}; it knows {', '.join(sorted(metrics))}."
            f"{did_you_mean(source, metrics)}"
        )
    return metrics[name]


def score(prediction: str, references: Sequence[str], source: str, profile: str = "corrected") -> float:
    """Score one prediction.

    Args:
        prediction: the reader's answer.
        references: acceptable answers, at least one.
        source: the question's source, which decides the metric.
        profile: a name in `PROFILES`.

    Returns:
        A float in [0, 1].

    Raises:
        SettingsError: unknown profile.
        ScorerError: unknown source, or no references.
    """
    if not references:
        raise ScorerError(f"expected at least one reference for a question of source {source!r}, got none")
    return metric_for(source, profile)(prediction, references)
