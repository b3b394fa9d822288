"""The judge slot: who scores the answers that the G rollouts of one stream gave to a global question.

* `Judged` - one answer, as a judge sees it.
* `Judge` - what every choice can do.
* `rejudge` - the records of one stream with the scores of another judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import ScorerError, SettingsError
from memenvs.record import EpisodeRecord
from trainers.slots.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One rollout's answer."""

    text: str
    """The answer."""
    hidden: NDArray[np.floating] | None = None
    """(d,) the reader's last hidden state at the answer's last token, where it gives one."""
    self_score: float | None = None
    """The model's own score of its answer, where it gives one; larger is better."""


class Judge(Protocol):
    """A callable that scores the answers to one question."""

    def __call__(self, question: str, references: tuple[str, ...], answers: Sequence[Judged]) -> Array:
        """Score them.

        Args:
            question: the question's text.
            references: acceptable answers, which some judges do not look at.
            answers: of the G rollouts.

        Returns:
            (G,) float64 in [0, 1]; NaN where there is no verdict.

        Raises:
            SettingsError: the answers or the references lack what the judge needs.
            ScorerError: a model behind the judge failed.
        """
        ...


def rejudge(
    records: Sequence[EpisodeRecord],
    judge: Judge,
    hidden: Sequence[Sequence[NDArray[np.floating] | None]] | None = None,
    self_scores: ArrayLike | None = None,
) -> list[EpisodeRecord]:
    """The G records of one stream with their global questions scored by a judge.

    Only the outcome is judged: chunk questions keep their scores. A record that failed is returned as it is, and its answers
    are not shown to the judge: a failed rollout is in nobody's group. Where the judge has no verdict, the score is None and the
    record failed, so that the rollout leaves the statistics. ``settings["judge"]`` names the judge.

    Args:
        records: of the same stream with the same global questions.
        judge: any choice of the slot.
        hidden: [G][n] hidden states for `Judged.hidden`.
        self_scores: (G, n) for `Judged.self_score`.

    Returns:
        G records, in order.

    Raises:
        SettingsError: the records are not of one stream, ``hidden`` or ``self_scores`` have other sizes, or the judge lacks
            something.
        ScorerError: the judge gave something else than G numbers in [0, 1] or NaN.
    """
    records = list(records)
    if not records:
        return []
    _check_one_stream(records)
    own = None if self_scores is None else np.asarray(self_scores, np.float64)
    shape = (len(records), len(records[0].questions))
    if own is not None and own.shape != shape:
        raise SettingsError(f"self_scores must be (G, n) = {shape}, got shape {own.shape}")
    if hidden is not None and [len(row) for row in hidden] != [shape[1]] * shape[0]:
        raise SettingsError(f"hidden must be [G][n] with (G, n) = {shape}, got rows of {[len(row) for row in hidden]}")

    verdicts: list[dict[int, float]] = [{} for _ in records]
    for j, asked in enumerate(records[0].questions):
        rows: list[int] = []
        answers: list[Judged] = []
        for g, record in enumerate(records):
            reading = record.questions[j]
            if record.failure is None and reading.prediction is not None and reading.score is not None:
                state = None if hidden is None else hidden[g][j]
                rows.append(g)
                answers.append(Judged(reading.prediction, state, None if own is None else float(own[g, j])))
        if answers:
            scores = _checked(judge(asked.question, asked.references, answers), len(answers), asked.question)
            for g, score in zip(rows, scores, strict=True):
                verdicts[g][j] = float(score)
    name = getattr(judge, "__name__", type(judge).__name__)
    return [_with_verdicts(record, given, name) for record, given in zip(records, verdicts, strict=True)]


def _check_one_stream(records: list[EpisodeRecord]) -> None:
    asked = [(r.fingerprint, [(q.question, q.references) for q in r.questions]) for r in records]
    if other := next((g for g, content in enumerate(asked) if content != asked[0]), None):
        raise SettingsError(
            f"the records must be of one stream with the same global questions; record {other} (stream "
            f"{records[other].stream_id!r}) differs from record 0 ({records[0].stream_id!r})"
        )


def _checked(scores: ArrayLike, count: int, question: str) -> Array:
    table = np.asarray(scores, np.float64)
    if table.shape != (count,) or ((table < 0) | (table > 1)).any():
        raise ScorerError(
            f"a judge must give one number in [0, 1], or NaN, for each of {count} answers; got {table.tolist()} for {question!r}"
        )
    return table


def _with_verdicts(record: EpisodeRecord, verdicts: dict[int, float], judge: str) -> EpisodeRecord:
    if record.failure is not None:
        return record
    questions, failure = list(record.questions), None
    for j, score in verdicts.items():
        asked = questions[j]
        if np.isnan(score):
            questions[j] = replace(asked, score=None)
            failure = failure or f"{judge} gave no verdict on the answer {asked.prediction!r} to {asked.question!r}"
        else:
            questions[j] = replace(asked, score=score)
    return replace(
        record, questions=tuple(questions), failure=failure, settings=dict(record.settings) | {"judge": judge}
    )
