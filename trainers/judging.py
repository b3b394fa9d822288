"""Verdicts of a model judge on saved predictions: asked in one batch per file of records, and kept for the next time.

* `judged_by` - those of the judge that a command line names, kept beside the records.
* `case_of` - one saved answer as a judge's case.
* `Verdicts` - the scores of judged answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from memenvs.errors import ScorerError
from memenvs.record import EpisodeRecord
from memenvs.scoring import Case, Judge, JudgeError, Rubric, make_judge, rubric_for, verdicts_each
from memenvs.scoring.longmemeval import kind_in
from trainers.judge_options import JudgeOptions, judge_arguments

KEPT = "verdicts.sqlite"
"""File of a judge's replies in the folder of an evaluation."""


def judged_by(address: str | None, options: JudgeOptions, records: Path) -> Verdicts | None:
    """The verdicts of a judge, None where nobody judges; its replies are kept in `KEPT`, in the folder of the evaluation.

    Args:
        address: of the judge, see `memenvs.scoring.make_judge`.
        options: how it is asked.
        records: that folder, or a file of records in it.

    Raises:
        SettingsError: no address of a judge, its model cannot be named, or an option does not fit.
    """
    arguments = judge_arguments(address, options)
    if address is None:
        return None
    folder = records if records.is_dir() else records.parent
    cache = (folder.parent if folder.name == "records" else folder) / KEPT
    return Verdicts(make_judge(address, cache=cache, **arguments))


def case_of(record: EpisodeRecord, index: int) -> Case:
    """The answer to a record's question as a case.

    Args:
        record: its ``metadata`` has types of questions and key points, where the data has any.
        index: of the question.
    """
    question, known = record.questions[index], record.metadata
    kinds, ids = known.get("question_types") or (), known.get("question_ids") or ()
    kind = kind_in(question.source) or (kinds[index] if index < len(kinds) else "")
    if index < len(ids) and str(ids[index]).endswith("_abs") and not kind.startswith("abstention"):
        kind = f"{kind}_abs"
    points = tuple(str(point) for point in known.get("keypoints") or ())
    return Case(question.prediction or "", question.references, question.question, kind, points)


class Verdicts:
    """What a judge says about saved answers, by profile and case.

    Args:
        judge: who is asked.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._found: dict[tuple[str, str, Case], float | ScorerError] = {}

    def ask(self, records: Iterable[EpisodeRecord], profiles: Sequence[str]) -> None:
        """Ask about every answer that one of the profiles gives to a model, all in one batch; what is known is not asked again."""
        waiting: dict[tuple[str, str], tuple[Rubric, dict[Case, None]]] = {}
        for record in records:
            for index, question in enumerate(record.questions):
                for profile in profiles if question.prediction is not None else ():
                    rubric = _rubric(question.source, profile)
                    case = case_of(record, index)
                    if rubric is not None and (profile, question.source, case) not in self._found:
                        waiting.setdefault((profile, question.source), (rubric, {}))[1][case] = None
        for (profile, source), (rubric, cases) in waiting.items():
            for case, said in zip(cases, verdicts_each(list(cases), rubric, self.judge), strict=True):
                self._found[profile, source, case] = said

    def of(self, record: EpisodeRecord, index: int, profile: str) -> float | ScorerError:
        """The score of an answer under a profile, or why there is none (`JudgeError` where the judge failed)."""
        key = profile, record.questions[index].source, case_of(record, index)
        return self._found.get(key, JudgeError("the judge was not asked"))


def _rubric(source: str, profile: str) -> Rubric | None:
    try:
        return rubric_for(source, profile)
    except ScorerError:
        return None
