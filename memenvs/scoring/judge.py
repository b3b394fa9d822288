"""A model as judge: prompts in, replies out, verdicts read from the replies.

A judge only answers prompts (`Judge`); what it is asked and how its reply is read is a `Rubric`, a pair of pure functions that
belongs to a scoring profile. So any model can stand behind any profile, and a verdict can be checked without one.

    judge = CachedJudge(my_judge, path="verdicts.sqlite")   # asks each prompt once, ever
    score("Rome", ["Rome"], "longmemeval_s*", "mab", judge=judge, question="Where ...?", kind="multi-session")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memenvs.endpoint.cache import ReplyCache
from memenvs.endpoint.replies import Reply, request_key
from memenvs.errors import ScorerError
from memenvs.scoring.published import Gold


class JudgeError(ScorerError):
    """A judge gave no reply, or none that can be read. Asking again may help."""


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
    """A model that answers prompts.

    A judge may also have ``attempts(prompts)``, which gives a `JudgeError` in place of each reply that failed; without it, prompts
    are asked again in halves until those that fail stand alone.
    """

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

    (An `EndpointJudge` with ``cache=...`` in its settings does this by itself.)

    Args:
        judge: who is asked.
        replies: what is known already, (judge's name, prompt) -> reply; new replies are added to it.
        path: a file that keeps replies beyond this process (`memenvs.endpoint.ReplyCache`); several processes may share it.

    Raises:
        SettingsError: the file is no such cache.
    """

    def __init__(
        self, judge: Judge, replies: dict[tuple[str, str], str] | None = None, path: str | Path | None = None
    ) -> None:
        self._judge = judge
        self._known = {} if replies is None else replies
        self._kept = None if path is None else ReplyCache(Path(path))

    @property
    def name(self) -> str:
        """The name of the judge behind."""
        return self._judge.name

    def replies(self, prompts: Sequence[str]) -> list[str]:
        """As `Judge.replies`; asks only what is not known, each prompt once.

        Raises:
            ScorerError: the judge failed; the replies that it did give are remembered.
        """
        return all_replied(self.name, self.attempts(prompts))

    def attempts(self, prompts: Sequence[str]) -> list[str | JudgeError]:
        """As `replies`, with a `JudgeError` in place of each reply that failed. Failures are not remembered."""
        new = [prompt for prompt in dict.fromkeys(prompts) if self._lookup(prompt) is None]
        found = dict(zip(new, attempts(self._judge, new), strict=True))
        for prompt, reply in found.items():
            if isinstance(reply, str):
                self._known[self.name, prompt] = self._keep(prompt, reply)
        return [
            found[prompt] if isinstance(found.get(prompt), JudgeError) else self._known[self.name, prompt]
            for prompt in prompts
        ]

    def _lookup(self, prompt: str) -> str | None:
        if (self.name, prompt) not in self._known and self._kept is not None:
            kept = self._kept.get(_key(self.name, prompt))
            if kept is not None:
                self._known[self.name, prompt] = kept.text
        return self._known.get((self.name, prompt))

    def _keep(self, prompt: str, reply: str) -> str:
        if self._kept is None:
            return reply
        return self._kept.put(_key(self.name, prompt), self.name, Reply(reply)).text


def verdicts(cases: Sequence[Case], rubric: Rubric, judge: Judge) -> list[float]:
    """The scores of many answers, with all their prompts sent as one batch.

    Args:
        cases: the answers.
        rubric: what is asked and how replies count.
        judge: who is asked.

    Raises:
        ScorerError: the judge failed, or a reply cannot be read; that is never a score of 0. (See `verdicts_each`.)
    """
    found = verdicts_each(cases, rubric, judge)
    for one in found:
        if isinstance(one, ScorerError):
            raise one
    return [one for one in found if not isinstance(one, ScorerError)]


def verdicts_each(cases: Sequence[Case], rubric: Rubric, judge: Judge) -> list[float | ScorerError]:
    """As `verdicts`, but a case that fails leaves the others alone.

    Returns:
        Per case its score, or why it has none: a `JudgeError` where the judge failed, another ScorerError where the rubric cannot
        ask about the case (an unknown question type, no key points).
    """
    asked: list[tuple[str, ...] | ScorerError] = []
    for case in cases:
        try:
            asked.append(rubric.prompts(case))
        except ScorerError as error:
            asked.append(error)
    prompts = [prompt for own in asked if not isinstance(own, ScorerError) for prompt in own]
    replies = iter(attempts(judge, prompts))
    found: list[float | ScorerError] = []
    for case, own in zip(cases, asked, strict=True):
        found.append(own if isinstance(own, ScorerError) else _verdict(case, rubric, [next(replies) for _ in own]))
    return found


def _verdict(case: Case, rubric: Rubric, replies: Sequence[str | JudgeError]) -> float | ScorerError:
    failed = [reply for reply in replies if isinstance(reply, JudgeError)]
    if failed:
        return failed[0]
    try:
        return rubric.verdict(case, tuple(reply for reply in replies if isinstance(reply, str)))
    except ScorerError as error:
        return JudgeError(str(error))


def attempts(judge: Judge, prompts: Sequence[str]) -> list[str | JudgeError]:
    """A judge's replies, with a `JudgeError` in place of each that failed."""
    own = getattr(judge, "attempts", None)
    if own is not None:
        return _checked(judge, prompts, list(own(prompts)))
    if not prompts:
        return []
    try:
        return _checked(judge, prompts, list(judge.replies(prompts)))
    except ScorerError as error:
        if len(prompts) == 1:
            return [JudgeError(str(error))]
    half = len(prompts) // 2
    return attempts(judge, prompts[:half]) + attempts(judge, prompts[half:])


def _checked(judge: Judge, prompts: Sequence[str], replies: list[str | JudgeError]) -> list[str | JudgeError]:
    if len(replies) != len(prompts) or not all(isinstance(reply, str | JudgeError) for reply in replies):
        raise ScorerError(
            f"judge {judge.name!r} must give one text per prompt; got {len(replies)} replies for {len(prompts)}"
        )
    return replies


def all_replied(name: str, found: Sequence[str | JudgeError]) -> list[str]:
    """The replies.

    Raises:
        JudgeError: one failed.
    """
    failed = [reply for reply in found if isinstance(reply, JudgeError)]
    if failed:
        raise JudgeError(
            f"the judge {name!r} gave no reply to {len(failed)} of {len(found)} prompts; the first: {failed[0]}"
        )
    return [reply for reply in found if isinstance(reply, str)]


def _key(name: str, prompt: str) -> str:
    return request_key(name, {}, [{"role": "user", "content": prompt}])
