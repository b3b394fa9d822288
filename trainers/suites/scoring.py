"""The scoring stage: predictions of finished records under the suite's profile, without reading again.

A question that the profile gives to a model judge needs one; without it, and where the judge fails, the question has no score and
is counted. It is never a 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from memenvs.memory.tokens import TokenCounter
from memenvs.record import EpisodeRecord
from memenvs.scoring.profiles import Entities
from trainers.judging import Verdicts
from trainers.rescoring import Missing, opinions, with_scores
from trainers.suites.kept import KeptRecords
from trainers.suites.suite import Suite
from trainers.suites.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Scorer:
    """Whose rules, and who judges."""

    profile: str
    """Name of the scoring profile."""
    verdicts: Verdicts | None = None
    """Of a model, for the sources that the profile gives to one."""
    entities: Entities = None
    """MemoryAgentBench's table of titles, which recommendations need."""

    refusals: dict[str, str] = field(default_factory=dict)
    """Source -> what the rule said that could not score an answer of it, for the first such answer."""

    def scores(self, record: EpisodeRecord) -> list[float | Missing]:
        """One score per final question of a record, or why there is none."""
        found = opinions(record, [self.profile], self.entities, self.verdicts)
        scores = [opinion.scores[self.profile] for opinion in found]
        for opinion, score in zip(found, scores, strict=True):
            if score is Missing.REFUSED:
                self.refusals.setdefault(opinion.reading.source, opinion.why.get(self.profile, ""))
        return scores


def score_file(kept: KeptRecords, suite: Suite, scorer: Scorer, count: TokenCounter) -> list[Summary]:
    """Score the records of one arm, write the scores into their file, and sum the episodes up.

    Args:
        kept: the records.
        suite: says which sub-task a question belongs to.
        scorer: whose rules.
        count: counts the tokens of memories.
    """
    judge = {} if scorer.verdicts is None else {"judge": scorer.verdicts.judge.name}
    if scorer.verdicts is not None:
        scorer.verdicts.ask(kept, [scorer.profile])
    summaries: list[Summary] = []

    def scored() -> Iterator[EpisodeRecord]:
        for record in kept:
            scores = scorer.scores(record)
            summaries.append(summarise(record, scores, suite, count))
            changed = with_scores(record, scorer.profile, scores)
            yield replace(changed, settings={k: v for k, v in changed.settings.items() if k != "judge"} | judge)

    kept.replace(scored())
    return summaries
