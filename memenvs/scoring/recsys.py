"""Recommendations (ReDial in MemoryAgentBench): numbered titles in free text against a table of known titles.

Every line of the reply counts as the known title nearest to it by edit distance, so that blank lines count as the shortest title
and "12 Monkeys" loses its number. Source: HUST-AI-HYZ/MemoryAgentBench@455306d: utils/eval_other_utils.py,
_process_recsys_dataset and what it calls. One difference on purpose: among equally near titles upstream takes whichever Python's
string hashing puts first, which changes from run to run; here it is the last in the order of the alphabet.

Edit distances need the library ``rapidfuzz``: ``pip install -e '.[bench]'``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from memenvs.errors import DataError, ScorerError

CUTOFFS = (1, 5, 10)
"""The k of recall@k."""

_PARENTHESES = re.compile(r"\([^()]*\)")
_NUMBER = re.compile(r"^\d+[.)、]?\s*[-—–]?\s*")
_SEPARATORS = str.maketrans("_->", "   ")


def load_entities(path: str | Path) -> dict[str, int]:
    """Read the data set's ``entity2id.json``: entity names or URIs to ids.

    Raises:
        DataError: not there, or no JSON object of numbers.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the table of titles {path}: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(number, int) for number in table.values()):
        raise DataError(f"{path}: expected a JSON object that gives every entity a number")
    return table


def title(entity: str) -> str:
    """The title in an entity's name or URI: its last path part without "_", "-", ">" and parentheses.

    Upstream: extract_movie_name.
    """
    return " ".join(_PARENTHESES.sub("", entity.split("/")[-1].translate(_SEPARATORS)).split())


def clean(line: str) -> str:
    """A line of a list without parentheses and leading number. Upstream: clean_text_elements."""
    return " ".join(_NUMBER.sub("", _PARENTHESES.sub("", line)).split())


def recommendations(reply: str) -> list[str]:
    """The recommended titles as written: the lines after the first "1.", else all lines, also split at commas.

    Upstream: extract_recommendation_list.
    """
    _, numbered, after = reply.partition("1.")
    return [clean(line.strip()) for line in (after if numbered else reply.replace(",", "\n")).split("\n")]


def nearest(written: str, titles: Sequence[str]) -> str:
    """The title with the smallest edit distance, lower-cased; of several the last in the order of the alphabet.

    Raises:
        ScorerError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise ScorerError("recommendations need the library rapidfuzz: pip install -e '.[bench]'") from error
    return max(titles, key=lambda known: (-Levenshtein.distance(written.lower(), known.lower()), known))


def recall(
    reply: str, answer: Sequence[str], entities: Mapping[str, int]
) -> tuple[dict[str, float], list[str], list[str]]:
    """recall@k of the answer's titles among the first k recommended ones.

    Args:
        reply: the prediction.
        answer: ids of the right entities, as texts.
        entities: the table of `load_entities`.

    Returns:
        ``recsys_recall@k`` for `CUTOFFS`, the recommended titles, the right titles.

    Raises:
        ScorerError: the answer is empty or names an id that is not in the table, or rapidfuzz is missing.
    """
    by_id = {number: title(entity) for entity, number in entities.items()}
    try:
        right = [by_id[int(number)] for number in answer]
    except (KeyError, ValueError) as error:
        raise ScorerError(
            f"expected ids of the table of {len(by_id)} titles as the answer, got {list(answer)}"
        ) from error
    if not right:
        raise ScorerError("expected at least one right title, got none")
    titles = tuple(dict.fromkeys(by_id.values()))
    named = [nearest(written, titles) for written in recommendations(reply)]
    return {f"recsys_recall@{k}": sum(film in named[:k] for film in right) / len(right) for k in CUTOFFS}, named, right
