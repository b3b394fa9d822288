"""InfBench-Sum's judged F1: fluency, key points found, sentences supported.

Source of the arithmetic and of how replies are parsed: HUST-AI-HYZ/MemoryAgentBench@455306d: llm_based_eval/
summarization_evaluate.py (from princeton-nlp/HELMET). Its prompts show the judge long worked examples, which are not part of this
project; `PROMPTS` ask for the same three replies in a few words, so that only the arithmetic is number-compatible. Put the
published texts into a `Rubric` of your own (`rubric`) to compare with published numbers.

Upstream leaves out an item whose replies it cannot parse and goes on, so that its mean is over the parsed ones; an item that was
skipped before shifts all replies after it to the wrong item. Here such a reply is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from memenvs.errors import ScorerError
from memenvs.scoring.judge import Case, Rubric

_OBJECT = re.compile(r"\{.*?\}", re.S)
_FENCED = re.compile(r"```json(.+)```", re.S)

PROMPTS: Mapping[str, str] = {
    "fluency": 'Is this text coherent, complete and free of repetition? Reply {{"fluency": 1}} or {{"fluency": 0}}.\n\n'
    "Text: {summary}",
    "recall": "How many of these key points does the summary state? Reason step by step, then reply "
    '{{"recall": NUMBER}}.\n\nKey points:\n{keypoints}\n\nSummary: {summary}',
    "precision": "How many sentences of the provided summary does the expert summary support? Reason step by step, then reply "
    '{{"precision": NUMBER, "sentence_count": NUMBER}}.\n\nExpert summary: {expert}\n\nProvided summary: {summary}',
}
"""The three questions, as `str.format` templates of summary, keypoints and expert."""


def parse_reply(reply: str) -> Any:
    """The last JSON object of a reply without objects inside, else what stands in its ```json fence; None if neither is JSON."""
    flat = _OBJECT.findall(reply)
    if not flat:
        return None
    for candidate in (flat[-1:], _FENCED.findall(reply)[-1:]):
        try:
            return json.loads("".join(candidate))
        except ValueError:
            continue
    return None


def summary_scores(
    fluency: float, recall: float, keypoints: int, precision: float, sentences: float
) -> dict[str, float]:
    """The scores of one summary from the judge's counts.

    Args:
        fluency: 0 or 1.
        recall: key points found.
        keypoints: key points there are.
        precision: sentences supported.
        sentences: sentences counted.

    Returns:
        recall and precision as shares, and f1 = fluency * 2 * recall * precision / (recall + precision); a share of nothing is
        0. Shares are not capped: a judge that counts more than there is gives more than 1.
    """
    share = recall / keypoints if keypoints else 0.0
    supported = precision / sentences if sentences else 0.0
    f1 = fluency * 2 * share * supported / (share + supported) if share + supported else 0.0
    return {"fluency": fluency, "recall": share, "precision": supported, "f1": f1}


def rubric(prompts: Mapping[str, str] = PROMPTS) -> Rubric:
    """InfBench's rubric with these prompts.

    Args:
        prompts: templates for fluency, recall and precision.
    """

    def asked(case: Case) -> tuple[str, ...]:
        if not case.keypoints:
            raise ScorerError(
                "InfBench's judge needs the summary's key points as keypoints (metadata.keypoints in the data)"
            )
        listed = "\n".join(f"{number}. {point}" for number, point in enumerate(case.keypoints, 1))
        # Upstream prints the first element as it is, which for a nested answer is a list in Python's notation.
        expert = case.references if isinstance(case.references, str) else str(case.references[0])
        fields = {"summary": case.prediction.strip(), "keypoints": listed, "expert": expert}
        return tuple(prompts[name].format(**fields) for name in ("fluency", "recall", "precision"))

    def verdict(case: Case, replies: Sequence[str]) -> float:
        counts: dict[str, float] = {}
        for reply in replies:
            parsed = parse_reply(reply)
            if not isinstance(parsed, dict):
                raise ScorerError(f"expected a JSON object at the end of the judge's reply, got {reply[-200:]!r}")
            counts |= parsed
        try:
            return summary_scores(
                counts["fluency"], counts["recall"], len(case.keypoints), counts["precision"], counts["sentence_count"]
            )["f1"]
        except (KeyError, TypeError) as error:
            raise ScorerError(
                f"expected fluency, recall, precision and sentence_count from the judge, got {counts}"
            ) from error

    return Rubric("infbench-sum", asked, verdict)
