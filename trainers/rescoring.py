"""Scoring saved predictions again under other profiles, without reading again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from memenvs.errors import ScorerError, SettingsError, did_you_mean
from memenvs.record import NOT_ASKED, EpisodeRecord, ReadingRecord
from memenvs.scoring import PROFILES, JudgeError, rubric_for, score
from memenvs.scoring.profiles import Entities
from memenvs.version import __version__
from trainers.evaluation import EpisodeScore
from trainers.judging import Verdicts
from trainers.saved import facts_of

RECORDED = "recorded"
"""Stands beside the profiles for the scores that the records hold."""
ALL = "r_global"
"""Stands beside the sources for all questions of a stream."""
TOLERANCE = 1e-9
"""Scores further apart than this differ."""


class Missing(Enum):
    """Why a prediction has no score; never the same as a score of 0."""

    FAILED = "failed"
    """Reading failed."""
    JUDGE = "needs a judge"
    """The profile gives the source to a model."""
    UNKNOWN = "no rule"
    """The profile does not know the source."""
    REFUSED = "refused"
    """The profile's rule cannot score such an answer, or lacks its table or library."""
    NOT_ASKED = "not asked"
    """Whoever played had nothing to ask the reader with: an oracle of evidence where the data names none."""
    JUDGE_FAILED = "judge failed"
    """The model gave no reply, or none that can be read; the same command again asks it again."""
    UNSCORED = "unscored"
    """The evaluation had no score for the answer, for instance because it had no judge."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What every profile says about one prediction."""

    reading: ReadingRecord
    """The question with its prediction."""
    stream: str
    """Id of its stream."""
    scores: dict[str, float | Missing]
    """Profile, or `RECORDED`, -> score."""
    why: dict[str, str] = field(default_factory=dict)
    """Profile -> what its rule or its judge said instead of a score."""

    @property
    def spread(self) -> float:
        """Highest minus lowest score; 0 where fewer than two profiles have one."""
        values = [value for value in self.scores.values() if not isinstance(value, Missing)]
        return max(values) - min(values) if values else 0.0


def chosen_profiles(names: Sequence[str]) -> list[str]:
    """The profiles that names mean; "all" means every one.

    Raises:
        SettingsError: an unknown name, or none.
    """
    known = ("all", *PROFILES)
    for name in names:
        if name not in known:
            raise SettingsError(
                f"unknown scoring profile {name!r}; known: {', '.join(known)}.{did_you_mean(name, known)}"
            )
    if not names:
        raise SettingsError(f"name at least one scoring profile: {', '.join(known)}")
    return list(dict.fromkeys(p for name in names for p in (PROFILES if name == "all" else (name,))))


def scores_again(
    record: EpisodeRecord, profile: str, entities: Entities = None, verdicts: Verdicts | None = None
) -> list[float | Missing]:
    """Scores of all final questions of a record under a profile, or why there is none; a judge's where the profile asks one.

    Args:
        record: a finished episode.
        profile: a name in `memenvs.scoring.PROFILES`, or `RECORDED`.
        entities: the table of titles that recommendations need.
        verdicts: a judge that has been asked about the record; without one judged questions are `Missing.JUDGE`.
    """
    return [_judged(record, i, profile, entities, verdicts)[0] for i in range(len(record.questions))]


def _judged(
    record: EpisodeRecord, index: int, profile: str, entities: Entities, verdicts: Verdicts | None
) -> tuple[float | Missing, str]:
    if index in record.settings.get(NOT_ASKED, ()):
        return Missing.NOT_ASKED, ""
    value, why = _scored(record.questions[index], profile, entities)
    if value is not Missing.JUDGE or verdicts is None:
        return value, why
    said = verdicts.of(record, index, profile)
    if not isinstance(said, ScorerError):
        return said, ""
    return (Missing.JUDGE_FAILED if isinstance(said, JudgeError) else Missing.REFUSED), str(said)


def _scored(reading: ReadingRecord, profile: str, entities: Entities) -> tuple[float | Missing, str]:
    """The score, or why there is none and what the rule said."""
    if reading.prediction is None:
        return Missing.FAILED, ""
    if profile == RECORDED:
        return (Missing.UNSCORED if reading.score is None else reading.score), ""
    try:
        if rubric_for(reading.source, profile) is not None:
            return Missing.JUDGE, ""
    except ScorerError:
        return Missing.UNKNOWN, ""
    try:
        return score(reading.prediction, reading.references, reading.source, profile, entities=entities), ""
    except ScorerError as error:
        return Missing.REFUSED, str(error)


def with_scores(record: EpisodeRecord, profile: str, scores: Sequence[float | Missing]) -> EpisodeRecord:
    """The record with other scores of its final questions, those of ``profile``; None where there is none."""
    questions = tuple(
        replace(question, score=None if isinstance(value, Missing) else value)
        for question, value in zip(record.questions, scores, strict=True)
    )
    return replace(record, questions=questions, settings={**record.settings, "profile": profile})


def opinions(
    record: EpisodeRecord, profiles: Sequence[str], entities: Entities = None, verdicts: Verdicts | None = None
) -> list[Opinion]:
    """What the record and the profiles say about each of its final questions, in order. Arguments as for `scores_again`."""
    found = []
    for index, question in enumerate(record.questions):
        said = {p: _judged(record, index, p, entities, verdicts) for p in (RECORDED, *profiles)}
        why = {profile: reason for profile, (_, reason) in said.items() if reason}
        found.append(Opinion(question, record.stream_id, {p: value for p, (value, _) in said.items()}, why))
    return found


def rows(agent: str, records: Sequence[EpisodeRecord], found: Sequence[Sequence[Opinion]]) -> list[dict[str, Any]]:
    """Lines of a table: every source, and `ALL`, under the recorded scores and each profile.

    Args:
        agent: its name.
        records: its episodes, at least one.
        found: per episode what `opinions` gave.

    Returns:
        Per line ``score``: mean over streams of the mean over those of its questions that have a score, as ``memenvs evaluate``
        reports it; NaN if none has. For `ALL` a stream counts only if all its questions have a score. Then how many ``questions``
        there are, how many are ``scored``, how many are not, by reason, and where the numbers came from.
    """
    whence = {
        "dataset": " ".join(facts_of(records, "dataset")),
        "seed": " ".join(facts_of(records, "seed")),
        "recorded_profile": " ".join(facts_of(records, "profile")),
        "memenvs": __version__,
    }
    every = [opinion for own in found for opinion in own]
    lines = []
    for profile in every[0].scores:
        scores = [
            EpisodeScore.of(with_scores(record, profile, [opinion.scores[profile] for opinion in own]))
            for record, own in zip(records, found, strict=True)
        ]
        means = {ALL: _mean([s.r_global for s in scores if not np.isnan(s.r_global)])}
        for source in sorted({opinion.reading.source for opinion in every}):
            means[source] = _mean([s.by_source[source] for s in scores if source in s.by_source])
        for source, mean in means.items():
            values = [o.scores[profile] for o in every if source in (ALL, o.reading.source)]
            reasons = Counter(value for value in values if isinstance(value, Missing))
            counts = {"questions": len(values), "scored": len(values) - reasons.total()}
            counts |= {reason.value.replace(" ", "_"): reasons[reason] for reason in Missing}
            lines.append({"agent": agent, "source": source, "profile": profile, "score": mean, **counts, **whence})
    return lines


def unscored(
    records: Iterable[EpisodeRecord], profile: str, entities: Entities = None, verdicts: Verdicts | None = None
) -> dict[str, int]:
    """How many final questions have no score under a profile, by reason. Arguments as for `scores_again`."""
    values = [value for record in records for value in scores_again(record, profile, entities, verdicts)]
    return dict(Counter(value.value for value in values if isinstance(value, Missing)))


def refusals(found: Iterable[Opinion]) -> dict[str, str]:
    """Why rules and judges scored some answers not, once per "profile, source": the message of the first such answer."""
    why: dict[str, str] = {}
    for opinion in found:
        for profile, message in opinion.why.items():
            why.setdefault(f"{profile}, {opinion.reading.source}", message)
    return why


def disagreements(agent: str, found: Iterable[Opinion], examples: int) -> list[dict[str, Any]]:
    """Per source, how often profiles differ on a prediction, and where most.

    Args:
        agent: its name.
        found: as made by `opinions`, of all its episodes.
        examples: at most this many per source, those with the widest spread first.

    Returns:
        ``predictions`` (those with at least two scores), ``differ`` (further apart than `TOLERANCE`), ``share`` (None without
        predictions) and ``examples``, whose ``scores`` give a reason in words where a profile has none.
    """
    by_source: dict[str, list[Opinion]] = {}
    for opinion in found:
        by_source.setdefault(opinion.reading.source, []).append(opinion)
    lines = []
    for source, every in sorted(by_source.items()):
        comparable = [o for o in every if sum(not isinstance(v, Missing) for v in o.scores.values()) > 1]
        differing = sorted((o for o in comparable if o.spread > TOLERANCE), key=lambda o: -o.spread)
        share = len(differing) / len(comparable) if comparable else None
        lines.append({
            "agent": agent, "source": source, "predictions": len(comparable), "differ": len(differing), "share": share,
            "examples": [_example(o) for o in differing[:examples]],
        })  # fmt: skip
    return lines


def _example(opinion: Opinion) -> dict[str, Any]:
    reading = opinion.reading
    return {
        "stream": opinion.stream,
        "question": reading.question,
        "prediction": reading.prediction,
        "references": list(reading.references),
        "scores": {p: v.value if isinstance(v, Missing) else v for p, v in opinion.scores.items()},
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
