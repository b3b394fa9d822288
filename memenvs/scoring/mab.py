"""MemoryAgentBench's scores: every metric it reports for an answer, and the one that its tables show.

Source: HUST-AI-HYZ/MemoryAgentBench@455306d: utils/eval_other_utils.py (post_process), README.md (which metric counts).
A source's family is found by what its name contains, in this order: icl, eventqa, infbench or longmemeval, ruler, recsys.
"""

from __future__ import annotations

from collections.abc import Mapping

from memenvs.errors import ScorerError
from memenvs.scoring import recsys
from memenvs.scoring.published import (
    METRICS,
    Gold,
    answer_line,
    best,
    best_reading,
    text_metrics,
)

TABLE_METRIC: Mapping[str, str] = {
    "icl": "exact_match",
    "eventqa": "substring_exact_match",
    "ruler_niah": "ruler_recall",
    "ruler": "substring_exact_match",
    "recsys": "recsys_recall@5",
    "detective_qa": "exact_match",
    "factconsolidation": "substring_exact_match",
    "infbench_qa": "rougeL_f1",
    "infbench_choice": "exact_match",
}
"""The metric of the published tables by family; longmemeval and infbench_sum are judged by a model."""


def share_found(prediction: str, gold: Gold) -> float:
    """Share of the answer's elements whose lower-cased text stands in the prediction.

    An answer that is one text is taken letter by letter, as in upstream's resumed runs.

    Raises:
        ScorerError: no element, or one that is no text.
    """
    if not isinstance(gold, str | list | tuple) or not gold or not all(isinstance(element, str) for element in gold):
        raise ScorerError(f"expected a list of texts as the answer, got {gold!r}")
    text = prediction.lower()
    return sum(str(element).lower() in text for element in gold) / len(gold)


def option_found(prediction: str, gold: Gold) -> bool:
    """Whether the second element of a multiple-choice answer stands in the prediction.

    Raises:
        ScorerError: the answer has no second element.
    """
    if not isinstance(gold, str | list | tuple) or len(gold) < 2 or not isinstance(gold[1], str):
        raise ScorerError(f"expected a multiple-choice answer [letter, option], got {gold!r}")
    return gold[1].lower() in prediction.lower()


def choice_metrics(prediction: str, gold: Gold) -> dict[str, float]:
    """Metrics of a multiple-choice answer: finding the option is a substring match, and an exact one too.

    Raises:
        ScorerError: as `option_found` and `references_of`.
    """
    found = option_found(prediction, gold)
    metrics = {name: best_reading(metric, prediction, gold) for name, metric in METRICS.items()}
    metrics["substring_exact_match"] = float(found)
    return metrics | {"exact_match": 1.0} if found else metrics


def recsys_metrics(prediction: str, gold: Gold, entities: Mapping[str, int] | None) -> dict[str, float]:
    """recall@k of recommendations. An answer that is one text is taken digit by digit, as in upstream's resumed runs.

    Raises:
        ScorerError: no table of titles, ids that are no texts, or as `recsys.recall`.
    """
    if entities is None:
        raise ScorerError(
            "recommendations are scored against the data set's table of titles: give entities=load_entities('entity2id.json')"
        )
    if not isinstance(gold, str | list | tuple) or not all(isinstance(number, str) for number in gold):
        raise ScorerError(f"expected ids of titles, as texts, as the answer, got {gold!r}")
    return recsys.recall(prediction, [str(number) for number in gold], entities)[0]


def post_process(
    prediction: str, gold: Gold, source: str, entities: Mapping[str, int] | None = None
) -> tuple[dict[str, float], str]:
    """All metrics of one answer, and the prediction as they read it.

    Args:
        prediction: the answer.
        gold: the data set's answer, a list (possibly nested); a text only as upstream's resumed runs pass it.
        source: the sub data set's name.
        entities: table of titles, for recommendations alone.

    Returns:
        Metric name -> value, and the text after parsing (the raw prediction where nothing is parsed).

    Raises:
        ScorerError: where upstream crashes: elements that are no texts, no table of titles, no option to find.
    """
    parsed = answer_line(prediction)
    if "icl" in source:
        return text_metrics(parsed, gold), parsed
    if "eventqa" in source:
        found = share_found(prediction, gold)
        return text_metrics(parsed, gold) | {"eventqa_recall": float(found == 1)}, parsed
    if "infbench" in source and "choice_eng" in source:
        return choice_metrics(prediction, gold), parsed
    if "ruler_niah" in source:
        return {"ruler_recall": share_found(prediction, gold)}, prediction
    if "recsys" in source:
        return recsys_metrics(prediction, gold, entities), prediction
    return {name: best_reading(metric, prediction, gold) for name, metric in METRICS.items()}, parsed


def table_score(prediction: str, gold: Gold, source: str, entities: Mapping[str, int] | None = None) -> float:
    """The metric that MemoryAgentBench's tables show for a source. Arguments and errors as `post_process`."""
    name = next((metric for family, metric in TABLE_METRIC.items() if family in source), "substring_exact_match")
    if name not in METRICS or "choice" in source:
        return post_process(prediction, gold, source, entities)[0][name]
    # The same value without the other metrics, so that ROUGE's library is needed for ROUGE alone.
    if "icl" in source or "eventqa" in source:
        return best(METRICS[name], answer_line(prediction), gold)
    return best_reading(METRICS[name], prediction, gold)
