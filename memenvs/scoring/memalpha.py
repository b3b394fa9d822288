r"""Mem-alpha's three scorers: of the reward, of the evaluation script and of the baselines. They disagree with each other.

Source: wangyu-ustc/Mem-alpha@9c0e1f6: verl/workers/reward_manager/naive.py (`train_score`), evaluate_agent_results.py
(`eval_score`), long_context_eval.py (`baseline_score`), memalpha/llm_agent/metrics.py (`by_source`, where all three end up for
sources that they do not name). Bugs are kept: they are what the published numbers were made with.

Answers are stored as a text or as a list of texts, and the code treats the two differently. A tuple of one reference, as
`memenvs.streams.Question` holds it, stands for the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from memenvs.errors import ScorerError
from memenvs.scoring import mab
from memenvs.scoring.published import METRICS, Gold, answer_line, best, best_reading, boxed_answer, contains

Entities = Mapping[str, int] | None

_DIGITS = re.compile(r"^\d+$")
_LEVELS = re.compile(r"^\d+\s*>\s*\d+\s*>\s*\d+$")


def stored(gold: Gold) -> Any:
    """The answer as the data set stores it: a tuple of one is its text, other tuples are lists."""
    if isinstance(gold, tuple):
        return gold[0] if len(gold) == 1 else list(gold)
    return gold


def after_thinking(prediction: str, both_tags: bool) -> str:
    """The prediction without its thinking; "Empty" where that never ends.

    Args:
        prediction: the reader's answer.
        both_tags: whether ``</think>`` counts only after a ``<think>`` (reward) or on its own (evaluation, baselines).
    """
    if "</think>" in prediction and ("<think>" in prediction or not both_tags):
        prediction = prediction.split("</think>")[1].strip()
    return "Empty" if "<think>" in prediction else prediction


def first_contained(prediction: str, gold: Gold) -> float:
    """1 if the answer, or the first of a list, stands in the prediction, both lower-cased (SQuAD, HotpotQA).

    An empty list counts as "", which stands everywhere; of an object its ``text`` is the answer.

    Raises:
        ScorerError: an object without a text.
    """
    answer = stored(gold)
    if isinstance(answer, list):
        answer = answer[0] if answer else ""
    elif isinstance(answer, dict) and not isinstance(answer := answer.get("text"), str):
        raise ScorerError(f"expected an answer, or an object with its text, got {gold!r}")
    return float(str(answer).lower() in prediction.lower())


def number_match(prediction: str, answer: object) -> float:
    r"""1 if the prediction, or the content of its ``\boxed{}``, is nothing but the answer's digits; quotes are dropped."""
    written = boxed_answer(prediction).strip("\"'").strip()
    return float(_DIGITS.match(written) is not None and written == str(answer).strip("\"'").strip())


def level_match(prediction: str, answer: object) -> float:
    """Labels "a > b > c": 0.5 for the first, 0.3 more for the second, 0.2 more for the third, up to the first wrong one.

    Source: wangyu-ustc/Mem-alpha@294299a: long_context_eval.py, source wos46985.
    """
    written = boxed_answer(prediction).strip("\"'").strip()
    levels = [part.strip() for part in str(answer).strip("\"'").strip().split(">")]
    if not _LEVELS.match(written) or len(levels) != 3:
        return 0.0
    earned = 0.0
    for ours, theirs, weight in zip(written.split(">"), levels, (0.5, 0.3, 0.2), strict=True):
        if ours.strip() != theirs:
            break
        earned += weight
    return earned


def keyword_hits(prediction: str, keywords: Sequence[object]) -> float:
    """Share of the keywords that stand in the prediction, both lower-cased; "" always does.

    Raises:
        ScorerError: no keyword, or one that is no text.
    """
    if not keywords or not all(isinstance(keyword, str) for keyword in keywords):
        raise ScorerError(f"expected keywords, got {list(keywords)!r}")
    text = prediction.lower()
    return sum(str(keyword).lower() in text for keyword in keywords) / len(keywords)


def perltqa(prediction: str, gold: Gold) -> float:
    """Share of the ";"-separated keywords found; several are lower-cased but the prediction is not, one alone is compared rightly.

    Raises:
        ScorerError: the answer is a list.
    """
    answer = _text(gold, "perltqa")
    if ";" not in answer:
        return float(answer.lower() in prediction.lower())
    keywords = answer.split(";")
    return sum(keyword.lower().strip() in prediction for keyword in keywords) / len(keywords)


def by_source(prediction: str, gold: Gold, source: str, entities: Entities = None) -> float:
    """Score by what the source's name contains. Upstream: evaluate_wrt_source.

    Args:
        prediction: the answer.
        gold: the data set's answer, a text or a list.
        source: its data source.
        entities: table of titles, for recommendations alone.

    Raises:
        ScorerError: where upstream crashes (``ruler_niah`` among others).
    """
    if "icl" in source:
        return best(contains, answer_line(prediction), gold)
    if "eventqa" in source:
        return float(mab.share_found(prediction, gold) == 1)
    if "infbench" in source:
        if "choice_eng" in source:
            mab.option_found(prediction, gold)
        return best_reading(METRICS["rougeL_f1"], prediction, gold)
    if "ruler_niah" in source:
        raise ScorerError(f"Mem-alpha's scorers have no metric for {source!r}; profile 'mab' has")
    if "recsys" in source:
        return mab.recsys_metrics(prediction, gold, entities)["recsys_recall@5"]
    if "detectiveqa" in source:
        return float(stored(gold) == boxed_answer(prediction))
    return best_reading(contains, prediction, gold)


def train_score(prediction: str, gold: Gold, source: str, entities: Entities = None) -> float:
    """The reward's score of one answer; lme_train, which a model judges, is left to the profile.

    Raises:
        ScorerError: where upstream crashes (lists for booksum and perltqa; as `by_source`).
    """
    prediction = after_thinking(prediction, both_tags=True)
    if source == "booksum":
        return keyword_hits(prediction, [keyword.strip() for keyword in _text(gold, source).split(",")])
    if source == "pubmed-rct" or "ttl_train" in source or "icl" in source:
        return number_match(prediction, stored(gold))  # of a list its Python notation, so never right
    if source == "perltqa":
        return perltqa(prediction, gold)
    if source in ("squad", "hotpotqa"):
        return first_contained(prediction, gold)
    return by_source(prediction, gold, source, entities)


def eval_score(prediction: str, gold: Gold, source: str, entities: Entities = None) -> float:
    """The evaluation script's score of one answer; lme_train and longmemeval_s* are left to the profile.

    Raises:
        ScorerError: where upstream crashes (lists for perltqa, lists of lists for booksum; as `by_source`).
    """
    prediction = after_thinking(prediction, both_tags=False)
    if source in ("booksum", "infbench_sum_eng_shots2"):
        return keyword_hits(prediction, _keywords(gold, source))
    if source == "pubmed-rct" or "icl" in source:
        answer = stored(gold)
        if isinstance(answer, list):
            if not answer:
                raise ScorerError(f"expected the answer of a {source} question, got an empty list")
            answer = answer[0]
        return number_match(prediction, answer)
    if source in ("squad", "hotpotqa"):
        return first_contained(prediction, gold)
    if source == "perltqa":
        return perltqa(prediction, gold)
    return by_source(prediction, gold, source, entities)


def baseline_score(prediction: str, gold: Gold, source: str, entities: Entities = None) -> float:
    """The baseline script's score of one answer; longmemeval_s* is left to the profile.

    Raises:
        ScorerError: as `eval_score`.
    """
    prediction = after_thinking(prediction, both_tags=False)
    if source in ("booksum", "infbench_sum_eng_shots2"):
        return keyword_hits(prediction, _keywords(gold, source))
    if source == "wos46985":
        return level_match(prediction, stored(gold))
    if source in ("test_time_learning", "arxiv-classification") or source.startswith("pubmed"):
        return number_match(prediction, stored(gold))
    if source == "perltqa":
        return perltqa(prediction, gold)
    if source in ("narrativeqa", "cr_train", "ruler_qa1_197K", "ruler_qa2_421K", "squad", "hotpotqa"):
        return first_contained(prediction, gold)
    return by_source(prediction, gold, source, entities)


def _keywords(gold: Gold, source: str) -> Sequence[object]:
    answer = stored(gold)
    return answer if isinstance(answer, list) else _text(gold, source).split(", ")


def _text(gold: Gold, source: str) -> str:
    answer = stored(gold)
    if not isinstance(answer, str):
        raise ScorerError(f"expected the answer of a {source} question as one text, got {answer!r}")
    return answer
