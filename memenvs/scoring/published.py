"""The text metrics that Mem-alpha and MemoryAgentBench share, their quirks included.

Both projects carry the same functions (wangyu-ustc/Mem-alpha@9c0e1f6: memalpha/llm_agent/metrics.py;
HUST-AI-HYZ/MemoryAgentBench@455306d: utils/eval_other_utils.py), in the line of DensePhrases' evaluation. What differs from
`memenvs.scoring.metrics`:

* a reference is looked for as characters: "no" stands in "Norway", and a reference that normalises to "" always stands;
* F1 is 0 where exactly one side is "yes", "no" or "noanswer";
* the prediction is also read as its "Answer:" line, or its first line, and the better of the two readings counts.

ROUGE needs the library ``rouge_score``: ``pip install -e '.[bench]'``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from memenvs.errors import ScorerError
from memenvs.scoring.metrics import normalize

Gold = str | Sequence[str] | Sequence[Sequence[str]]
"""References as a data set stores them. Published code scores a text and a list of one text differently."""
TextMetric = Callable[[str, str], float]
"""(prediction, one reference) -> score."""

_ANSWER = re.compile(r"answer:(.*)", re.I)
_BOXED = re.compile(r"\\boxed\{([^}]*)\}")
_SPECIAL = frozenset({"yes", "no", "noanswer"})


def answer_line(prediction: str) -> str:
    """What follows the first "Answer:" on its line, else the first line; a second "Answer:" goes too. Upstream: parse_output."""
    found = _ANSWER.search(prediction)
    line = found.group(1) if found else prediction.split("\n", 1)[0]
    return re.sub(r"^answer:", "", line.strip(), flags=re.I).strip()


def boxed_answer(prediction: str) -> str:
    r"""The content of the first ``\boxed{}`` up to its first closing brace, else the whole text.

    Upstream: _extract_answer_from_response.
    """
    found = _BOXED.search(prediction)
    return (found.group(1) if found else prediction).strip()


def references_of(gold: Gold) -> list[str]:
    """The references as one list; one level of nesting is flattened.

    Raises:
        ScorerError: there is none, or one is no text (where the published code crashes).
    """
    if isinstance(gold, str):
        return [gold]
    flat: list[Any] = list(gold) if isinstance(gold, list | tuple) else []
    if flat and isinstance(flat[0], list | tuple):
        flat = [reference for group in flat for reference in group]
    if not flat or not all(isinstance(reference, str) for reference in flat):
        raise ScorerError(f"expected references that are texts, or lists of texts, at least one; got {gold!r}")
    return flat


def exact(prediction: str, reference: str) -> float:
    """1 if both normalise to the same text. Upstream: drqa_exact_match_score."""
    return float(normalize(prediction) == normalize(reference))


def contains(prediction: str, reference: str) -> float:
    """1 if the normalised reference's characters stand in the normalised prediction. Upstream: substring_exact_match_score."""
    return float(normalize(reference) in normalize(prediction))


def precision_recall(prediction: str, reference: str) -> tuple[float, float, float]:
    """(F1, precision, recall) of the normalised bags of words; all 0 where one is yes, no or noanswer and the other is not.

    Upstream: f1_score.
    """
    ours, theirs = normalize(prediction), normalize(reference)
    if ours != theirs and (ours in _SPECIAL or theirs in _SPECIAL):
        return 0.0, 0.0, 0.0
    words, wanted = ours.split(), theirs.split()
    common = sum((Counter(words) & Counter(wanted)).values())
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(words), common / len(wanted)
    return 2 * precision * recall / (precision + recall), precision, recall


def f1(prediction: str, reference: str) -> float:
    """The F1 of `precision_recall`."""
    return precision_recall(prediction, reference)[0]


@lru_cache(maxsize=4)
def _rouge_scorer(kinds: tuple[str, ...]) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise ScorerError("ROUGE needs the library rouge_score: pip install -e '.[bench]'") from error
    return RougeScorer(list(kinds), use_stemmer=True)


@lru_cache(maxsize=1024)
def _rouge(prediction: str, reference: str) -> Any:
    return _rouge_scorer(("rougeL", "rougeLsum")).score(target=reference, prediction=prediction)


def rouge(kind: str, part: str, prediction: str, reference: str) -> float:
    """ROUGE-L or ROUGE-Lsum with stemmed words.

    Args:
        kind: ``"rougeL"`` or ``"rougeLsum"``.
        part: ``"fmeasure"``, ``"precision"`` or ``"recall"``.
        prediction: the answer.
        reference: one reference.

    Raises:
        ScorerError: rouge_score is not installed.
    """
    return float(getattr(_rouge(prediction, reference)[kind], part))


def rouge_mean(prediction: str, reference: str) -> float:
    """Mean F of ROUGE-1, ROUGE-2 and ROUGE-L, stemmed. Upstream: _compute_rouge_score of Mem-alpha's evaluate_agent_results.py.

    Raises:
        ScorerError: rouge_score is not installed.
    """
    kinds = ("rouge1", "rouge2", "rougeL")
    scores = _rouge_scorer(kinds).score(target=reference, prediction=prediction)
    return sum(float(scores[kind].fmeasure) for kind in kinds) / len(kinds)


METRICS: dict[str, TextMetric] = {
    "exact_match": exact,
    "f1": f1,
    "substring_exact_match": contains,
    "rougeL_f1": partial(rouge, "rougeL", "fmeasure"),
    "rougeL_recall": partial(rouge, "rougeL", "recall"),
    "rougeLsum_f1": partial(rouge, "rougeLsum", "fmeasure"),
    "rougeLsum_recall": partial(rouge, "rougeLsum", "recall"),
}
"""The metrics that both projects report for every answer, by their published names."""


def best(metric: TextMetric, prediction: str, gold: Gold) -> float:
    """The metric's best value over the references. Raises ScorerError as `references_of`."""
    return max(metric(prediction, reference) for reference in references_of(gold))


def best_reading(metric: TextMetric, prediction: str, gold: Gold) -> float:
    """The better `best` of the whole prediction and of its `answer_line`. Upstream: default_post_process."""
    return max(best(metric, prediction, gold), best(metric, answer_line(prediction), gold))


def text_metrics(prediction: str, gold: Gold) -> dict[str, float]:
    """All `METRICS` of a prediction as it stands, best over the references. Upstream: calculate_metrics."""
    return {name: best(metric, prediction, gold) for name, metric in METRICS.items()}
