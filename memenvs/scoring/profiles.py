"""Named scorer profiles: who says what an answer is worth.

| profile | whose rules | model judge for |
|---|---|---|
| `corrected` | ours, the default (`memenvs.scoring.corrected`) | nothing |
| `memalpha-train` | Mem-alpha's reward | lme_train |
| `memalpha-eval` | Mem-alpha's evaluation script | lme_train, longmemeval_s* |
| `memalpha-baseline` | Mem-alpha's script for baselines | longmemeval_s* |
| `mab` | MemoryAgentBench's tables | longmemeval_s*, infbench_sum |
| `longmemeval` | LongMemEval's evaluation | everything |
| `locomo` | LoCoMo's F1 by category | nothing |

Published profiles keep the published code's bugs; docs/scoring.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from memenvs.errors import ScorerError, SettingsError, did_you_mean
from memenvs.scoring import infbench, locomo, longmemeval, mab, memalpha
from memenvs.scoring.corrected import CORRECTED, OWN
from memenvs.scoring.judge import Case, Judge, Rubric, verdicts
from memenvs.scoring.published import Gold, references_of
from memenvs.scoring.titles import titles_recall

Metric = Callable[[str, Any], float]
"""(prediction, references) -> score in [0, 1]; `corrected` takes a sequence of texts, published rules any `Gold`."""
Entities = Mapping[str, int] | None
"""MemoryAgentBench's table of titles (`memenvs.scoring.recsys.load_entities`)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one publication."""

    families: tuple[str, ...]
    """The sources it scores, or how their names begin."""
    metric: Callable[[str, Entities], Metric]
    """(source, table of titles) -> metric."""
    rubric: Callable[[str], Rubric | None] = lambda source: None
    """Source -> what a model judge is asked; None where a metric decides."""


def _corrected(source: str, entities: Entities) -> Metric:
    metric = CORRECTED[nearest_family(source, CORRECTED)]
    return partial(metric, entities=entities) if metric is titles_recall else metric


def _with_source(rule: Callable[..., float]) -> Callable[[str, Entities], Metric]:
    return lambda source, entities: partial(rule, source=source, entities=entities)


def _locomo(source: str, entities: Entities) -> Metric:
    return partial(locomo.category_f1, category=locomo.category_in(source))


def _no_metric(source: str, entities: Entities) -> Metric:
    raise ScorerError(f"{source!r} is scored by a model judge alone")


_MAB = ("ruler", "longmemeval_s", "eventqa", "icl", "recsys", "infbench", "detective_qa", "factconsolidation")
_MEMALPHA = (*_MAB, "squad", "hotpotqa", "perltqa", "lme_train", "pubmed", "booksum", "ttl_train", "detectiveqa")
_OLD = ("test_time_learning", "arxiv-classification", "wos46985", "narrativeqa", "cr_train")

PROFILES: Mapping[str, Profile] = {
    "corrected": Profile(tuple(CORRECTED), _corrected),
    "memalpha-train": Profile(
        _MEMALPHA,
        _with_source(memalpha.train_score),
        lambda source: longmemeval.as_preference(both_tags=True) if source == "lme_train" else None,
    ),
    "memalpha-eval": Profile(
        _MEMALPHA,
        _with_source(memalpha.eval_score),
        lambda source: (
            longmemeval.as_preference(both_tags=False) if source in ("lme_train", "longmemeval_s*") else None
        ),
    ),
    "memalpha-baseline": Profile(
        _MEMALPHA + _OLD,
        _with_source(memalpha.baseline_score),
        lambda source: longmemeval.as_preference(both_tags=False) if source.startswith("longmemeval_s") else None,
    ),
    "mab": Profile(
        _MAB,
        _with_source(mab.table_score),
        lambda source: (
            longmemeval.WITH_LIST
            if source.startswith("longmemeval")
            else infbench.rubric()
            if source.startswith("infbench_sum")
            else None
        ),
    ),
    "longmemeval": Profile(("longmemeval", "lme_train"), _no_metric, lambda source: longmemeval.BY_TYPE),
    "locomo": Profile(("locomo",), _locomo),
}
"""Profiles by name."""


def nearest_family(source: str, families: Iterable[str]) -> str:
    """The family that a source belongs to: its exact name, else the longest that it begins with, else ""."""
    known = tuple(families)
    return source if source in known else max((f for f in known if source.startswith(f)), key=len, default="")


def rubric_for(source: str, profile: str = "corrected") -> Rubric | None:
    """What a profile's model judge is asked about answers of this source; None where a metric scores them.

    Raises:
        SettingsError: unknown profile.
        ScorerError: the profile does not know the source.
    """
    rules = _rules(source, profile)
    return None if nearest_family(source, OWN) else rules.rubric(source)


def metric_for(source: str, profile: str = "corrected", entities: Entities = None) -> Metric:
    """The metric of a source.

    Args:
        source: the question's source.
        profile: a name in `PROFILES`.
        entities: the table of titles that recommendations need in published profiles.

    Raises:
        SettingsError: unknown profile.
        ScorerError: the profile does not know the source, or gives it to a model judge.
    """
    rubric = rubric_for(source, profile)
    if rubric is not None:
        raise ScorerError(
            f"profile {profile!r} gives source {source!r} to a model judge ({rubric.name}) and needs one: "
            "score(..., judge=...), or profile='corrected', which needs none"
        )
    own = nearest_family(source, OWN)
    return OWN[own] if own else PROFILES[profile].metric(source, entities)


def score(
    prediction: str,
    references: Gold,
    source: str,
    profile: str = "corrected",
    *,
    judge: Judge | None = None,
    question: str = "",
    kind: str = "",
    keypoints: tuple[str, ...] = (),
    entities: Entities = None,
) -> float:
    """Score one prediction.

    Args:
        prediction: the reader's answer.
        references: acceptable answers, at least one. Published profiles treat a text and a list of one text as their code does;
            pass the data set's answer as it is stored, or a tuple.
        source: the question's source, which decides the metric.
        profile: a name in `PROFILES`.
        judge: a model, for sources that the profile gives to one (`rubric_for`). The next three are for it alone:
        question: the question's text.
        kind: its type (LongMemEval's question_type, with "_abs" where it has no answer); by default what the source says.
        keypoints: what a summary must mention.
        entities: the table of titles that recommendations need in published profiles.

    Returns:
        A float in [0, 1]; a judge's F1 can exceed 1 if it counts more than there is.

    Raises:
        SettingsError: unknown profile.
        ScorerError: unknown source, no references (but some published code scores an empty list), a prediction that is no text, a
            judge needed but not given, or an answer of a form on which the published code crashes.
    """
    if not isinstance(prediction, str):
        raise ScorerError(f"expected the prediction as a text, got {prediction!r}; a reader's failure has no score")
    rubric = rubric_for(source, profile)
    ours = profile == "corrected" or nearest_family(source, OWN) != ""
    if (ours or rubric is not None) and isinstance(references, list | tuple) and not references:
        raise ScorerError(f"expected at least one reference for a question of source {source!r}, got none")
    if rubric is not None and judge is not None:
        case = Case(prediction, references, question, kind or longmemeval.kind_in(source), keypoints)
        return verdicts([case], rubric, judge)[0]
    metric = metric_for(source, profile, entities)
    return float(metric(prediction, references_of(references) if ours else references))


def disagreements(
    prediction: str,
    references: Gold,
    source: str,
    *,
    judge: Judge | None = None,
    question: str = "",
    kind: str = "",
    keypoints: tuple[str, ...] = (),
    entities: Entities = None,
) -> dict[str, float | None]:
    """What every profile says about one prediction.

    Args:
        prediction, references, source, judge, question, kind, keypoints, entities: see `score`.

    Returns:
        Profile -> score; None where a profile has no score: it does not know the source, lacks its judge or its table, or its
        code crashes on such an answer.

    Raises:
        ScorerError: no profile knows the source.
    """
    if not any(nearest_family(source, (*OWN, *rules.families)) for rules in PROFILES.values()):
        raise ScorerError(f"no profile knows source {source!r}.{did_you_mean(source, CORRECTED)}")
    found: dict[str, float | None] = {}
    for profile in PROFILES:
        try:
            found[profile] = score(
                prediction, references, source, profile,
                judge=judge, question=question, kind=kind, keypoints=keypoints, entities=entities,
            )  # fmt: skip
        except ScorerError:
            found[profile] = None
    return found


def _rules(source: str, profile: str) -> Profile:
    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise SettingsError(f"unknown scoring profile {profile!r}; known: {known}.{did_you_mean(profile, PROFILES)}")
    rules = PROFILES[profile]
    if not nearest_family(source, (*OWN, *rules.families)):
        raise ScorerError(
            f"profile {profile!r} has no metric for source {source!r}; it knows {', '.join(sorted({*OWN, *rules.families}))}."
            f"{did_you_mean(source, rules.families)}"
        )
    return rules
