"""A model as judge: prompts in, replies out, verdicts read from the replies.

A judge only answers prompts (`Judge`); what it is asked and how its reply is read is a `Rubric`, a pair of pure functions that
belongs to a scoring profile. So any model can stand behind any profile, and a verdict can be checked without one.

    judge = CachedJudge(my_judge)                      # asks each prompt once
    score("Rome", ["Rome"], "longmemeval_s*", "mab", judge=judge, question="Where ...?", kind="multi-session")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from memenvs.errors import ScorerError
from memenvs.scoring.published import Gold


@dataclass(frozen=True, slots=True)
class Case:
    """One answer to be judged."""

    prediction: str
    """The reader's answer."""
    references: Gold
    """The data set's answer, as it is stored."""
    question: str = ""
    """The question, without instructions around it."""
    kind: str = ""
    """The question's type, where the rubric depends on it (LongMemEval's question_type; "abstention" or "..._abs")."""
    keypoints: tuple[str, ...] = ()
    """What a summary must mention (InfBench)."""


class Judge(Protocol):
    """A model that answers prompts."""

    @property
    def name(self) -> str:
        """Model and version; a result names it, and cached replies belong to it."""

    def replies(self, prompts: Sequence[str]) -> Sequence[str]:
        """One reply per prompt, in order.

        Raises:
            ScorerError: the model could not answer.
        """


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge is asked about an answer, and what its replies are worth."""

    name: str
    """For messages and results."""
    prompts: Callable[[Case], tuple[str, ...]]
    """The prompts of one case."""
    verdict: Callable[[Case, tuple[str, ...]], float]
    """The case's score from its replies, one per prompt."""


class CachedJudge:
    """A judge that remembers its replies, so that equal prompts cost one call and re-scoring costs none.

    Args:
        judge: who is asked.
        replies: what is known already, (judge's name, prompt) -> reply; new replies are added to it.
    """

    def __init__(self, judge: Judge, replies: dict[tuple[str, str], str] | None = None) -> None:
        self._judge = judge
        self._known = {} if replies is None else replies

    @property
    def name(self) -> str:
        """The name of the judge behind."""
        return self._judge.name

    def replies(self, prompts: Sequence[str]) -> list[str]:
        """As `Judge.replies`; asks only what is not known, each prompt once.

        Raises:
            ScorerError: the judge failed; nothing of this call is remembered.
        """
        new = [prompt for prompt in dict.fromkeys(prompts) if (self.name, prompt) not in self._known]
        if new:
            self._known.update(
                {(self.name, prompt): reply for prompt, reply in zip(new, _ask(self._judge, new), strict=True)}
            )
        return [self._known[self.name, prompt] for prompt in prompts]


def verdicts(cases: Sequence[Case], rubric: Rubric, judge: Judge) -> list[float]:
    """The scores of many answers, with all their prompts sent as one batch.

    Args:
        cases: the answers.
        rubric: what is asked and how replies count.
        judge: who is asked.

    Raises:
        ScorerError: the judge failed, or a reply cannot be read; that is never a score of 0.
    """
    prompts = [rubric.prompts(case) for case in cases]
    replies = iter(_ask(judge, [prompt for own in prompts for prompt in own]))
    return [rubric.verdict(case, tuple(next(replies) for _ in own)) for case, own in zip(cases, prompts, strict=True)]


def _ask(judge: Judge, prompts: Sequence[str]) -> list[str]:
    replies = list(judge.replies(prompts))
    if len(replies) != len(prompts) or not all(isinstance(reply, str) for reply in replies):
        raise ScorerError(
            f"judge {judge.name!r} must give one text per prompt; got {len(replies)} replies for {len(prompts)}"
        )
    return replies
