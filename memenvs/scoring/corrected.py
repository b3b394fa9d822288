"""The profile `corrected`: which metric scores which source by default.

Where a published suite scores differently, it differs on purpose (docs/scoring.md says where and by how much):

* one metric per source, the same for agents, baselines and training (the published code has three paths);
* both sides are lower-cased and normalised everywhere;
* every reference counts, not the first alone;
* a substring match is one of whole words: "no" does not stand in "Norway", and a reference without words never matches;
* a question that the stream does not answer (LoCoMo's category 5, LongMemEval's "_abs") is right if the prediction says so;
* summaries are scored by the points that they tell (`points`), recommendations by the titles among the first five (`titles`);
* other sources that their paper gives to a model judge are scored by normalised substring match, which needs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memenvs.scoring.abstention import abstains
from memenvs.scoring.metrics import (
    exact_match,
    integer_match,
    keyword_list_share,
    keyword_share,
    label_match,
    option_match,
    substring_match,
    token_f1,
)
from memenvs.scoring.points import points_recall
from memenvs.scoring.time_dialog import option_order_or_time
from memenvs.scoring.titles import titles_recall

OWN: dict[str, Callable[[str, Sequence[str]], float]] = {
    "builtin-fact": exact_match,
    "builtin-count": exact_match,
    "builtin-label": label_match,
    "builtin-summary": keyword_share,
    "running-sum": integer_match,
}
"""The project's own sources. No publication scores them, so every profile scores them like this."""

CORRECTED: dict[str, Callable[[str, Sequence[str]], float]] = OWN | {
    "squad": substring_match,
    "hotpotqa": substring_match,
    "perltqa": keyword_list_share,
    "lme_train": substring_match,
    "pubmed-rct": label_match,
    "booksum": keyword_share,
    "icl": label_match,
    "infbench_sum": points_recall,
    "infbench_qa": token_f1,
    "infbench_choice": option_match,
    "ruler": substring_match,
    "longmemeval": substring_match,
    "longmemeval-abstention": abstains,
    "eventqa": substring_match,
    "detective_qa": substring_match,
    "factconsolidation": substring_match,
    "recsys": titles_recall,
    "locomo": token_f1,
    "locomo-5": abstains,
    "timedialog": option_order_or_time,
}
"""Source, or how it begins -> metric."""
