"""The scoring stage: predictions of finished records under the suite's profile, without reading again.

A question that the profile gives to a model judge needs one; without it, and where the judge fails, the question has no score and
is counted. It is never a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

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


def score_files(
    files: Mapping[str, KeptRecords],
    suite: Suite,
    scorer: Scorer,
    count: TokenCounter,
    report: Callable[[str, int], None],
) -> dict[str, list[Summary]]:
    """`score_file` of every arm.

    Args:
        files: name of the arm -> its records.
        suite: see `score_file`.
        scorer: see `score_file`.
        count: see `score_file`.
        report: told the arm and how many of its episodes are scored: when an arm begins, which is when its judge is asked, and
            after each episode.
    """
    return {arm: score_file(kept, suite, scorer, count, partial(report, arm)) for arm, kept in files.items()}


def score_file(
    kept: KeptRecords,
    suite: Suite,
    scorer: Scorer,
    count: TokenCounter,
    report: Callable[[int], None] = lambda scored: None,
) -> list[Summary]:
    """Score the records of one arm, write the scores into their file, and sum the episodes up.

    Args:
        kept: the records.
        suite: says which sub-task a question belongs to.
        scorer: whose rules.
        count: counts the tokens of memories.
        report: told how many episodes are scored, before the first and after each.
    """
    report(0)
    judge = {} if scorer.verdicts is None else {"judge": scorer.verdicts.judge.name}
    if scorer.verdicts is not None:
        scorer.verdicts.ask(kept, [scorer.profile])
    summaries: list[Summary] = []

    def scored() -> Iterator[EpisodeRecord]:
        for record in kept:
            scores = scorer.scores(record)
            summaries.append(summarise(record, scores, suite, count))
            report(len(summaries))
            changed = with_scores(record, scorer.profile, scores)
            yield replace(changed, settings={k: v for k, v in changed.settings.items() if k != "judge"} | judge)

    kept.replace(scored())
    return summaries
