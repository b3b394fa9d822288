"""The scoring stage: predictions of finished records under the suite's profile, without reading again.

A question that the profile gives to a model judge needs one; without it, and where the judge fails, the question has no score and
is counted. It is never a 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from memenvs.errors import ScorerError
from memenvs.memory.tokens import TokenCounter
from memenvs.record import EpisodeRecord
from memenvs.scoring import CachedJudge, Case, Judge, Rubric, rubric_for, verdicts
from memenvs.scoring.longmemeval import kind_in
from memenvs.scoring.profiles import Entities
from memenvs.streams.types import Stream, StreamDataset
from trainers.rescoring import Missing, score_again, with_scores
from trainers.suites.arms import NOT_ASKED
from trainers.suites.kept import KeptRecords, index_of
from trainers.suites.suite import Suite
from trainers.suites.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Scorer:
    """Whose rules, and who judges."""

    profile: str
    """Name of the scoring profile."""
    judge: Judge | None = None
    """A model, for the sources that the profile gives to one."""
    entities: Entities = None
    """MemoryAgentBench's table of titles, which recommendations need."""

    def scores(self, record: EpisodeRecord, stream: Stream | None = None) -> list[float | Missing]:
        """One score per final question of a record, or why there is none.

        Args:
            record: the episode.
            stream: its material, in which a judge finds what records do not hold: key points and question types.
        """
        found = [score_again(question, self.profile, self.entities) for question in record.questions]
        for index in record.settings.get(NOT_ASKED, ()):
            found[index] = Missing.NOT_ASKED
        judged = [index for index, value in enumerate(found) if value is Missing.JUDGE]
        if self.judge is not None and judged:
            cases = [_case(record, index, stream) for index in judged]
            rubrics = [rubric_for(record.questions[index].source, self.profile) for index in judged]
            for index, value in zip(judged, _judge(cases, rubrics, self.judge), strict=True):
                found[index] = value
        return found


def score_file(
    kept: KeptRecords, suite: Suite, scorer: Scorer, count: TokenCounter, dataset: StreamDataset | None = None
) -> list[Summary]:
    """Score the records of one arm, write the scores into their file, and sum the episodes up.

    Args:
        kept: the records.
        suite: says which sub-task a question belongs to.
        scorer: whose rules.
        count: counts the tokens of memories.
        dataset: the streams, which a judge needs.
    """
    summaries: list[Summary] = []

    def scored() -> Iterator[EpisodeRecord]:
        for record in kept:
            stream = dataset[index_of(record)] if dataset is not None and scorer.judge is not None else None
            scores = scorer.scores(record, stream)
            summaries.append(summarise(record, scores, suite, count))
            changed = with_scores(record, scorer.profile, scores)
            judge = {} if scorer.judge is None else {"judge": scorer.judge.name}
            yield replace(changed, settings={k: v for k, v in changed.settings.items() if k != "judge"} | judge)

    kept.replace(scored())
    return summaries


def _case(record: EpisodeRecord, index: int, stream: Stream | None) -> Case:
    question = record.questions[index]
    known = {} if stream is None else stream.metadata
    kinds, keypoints = known.get("question_types") or (), known.get("keypoints") or ()
    kind = kind_in(question.source) or (kinds[index] if len(kinds) == len(record.questions) else "")
    ids = known.get("question_ids") or ()
    if len(ids) == len(record.questions) and str(ids[index]).endswith("_abs"):
        kind = f"{kind}_abs"
    return Case(
        question.prediction or "",
        question.references,
        question.question,
        kind,
        tuple(str(point) for point in keypoints),
    )


def _judge(cases: list[Case], rubrics: list[Rubric | None], judge: Judge) -> list[float | Missing]:
    """Verdicts; a case on which the judge fails is unscored and leaves the others alone."""
    known = CachedJudge(judge)
    found: list[float | Missing] = [Missing.UNSCORED] * len(cases)
    for rubric in dict.fromkeys(rubrics):
        assert rubric is not None  # score_again said that the source is judged
        own = [i for i, other in enumerate(rubrics) if other is rubric or other == rubric]
        try:
            values = verdicts([cases[i] for i in own], rubric, known)
        except ScorerError:
            values = None
        for place, i in enumerate(own):
            try:
                found[i] = values[place] if values is not None else verdicts([cases[i]], rubric, known)[0]
            except ScorerError:
                found[i] = Missing.UNSCORED
    return found
