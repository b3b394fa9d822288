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
from functools import lru_cache
from pathlib import Path

from memenvs.errors import DataError, ScorerError

CUTOFFS = (1, 5, 10)
"""The k of recall@k."""
_LINES_AT_ONCE = 64
"""With the 31,161 published titles, 8 MB of distances."""
_LINES_KEPT = 100_000
"""Replies repeat each other's titles: so many lines are remembered with their nearest title."""

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


class Titles:
    """A table of titles, made once for all predictions.

    Args:
        entities: entity names or URIs to ids.
    """

    def __init__(self, entities: Mapping[str, int]) -> None:
        self.by_id = {number: title(entity) for entity, number in entities.items()}
        """Id -> title."""
        self.by_text = {str(number): known for number, known in self.by_id.items()}
        """The same, ids as texts."""
        # Of equally near titles the first of this order is taken, which is the last of the alphabet.
        self._known = sorted(set(self.by_id.values()), reverse=True)
        self._lowered = [known.lower() for known in self._known]
        self._found: dict[str, str] = {}

    def nearest(self, lines: Sequence[str]) -> list[str]:
        """For each line the title with the smallest edit distance, lower-cased; of several the last in the order of the alphabet.

        Raises:
            ScorerError: rapidfuzz is not installed.
        """
        try:
            from rapidfuzz.distance import Levenshtein
            from rapidfuzz.process import cdist
        except ImportError as error:
            raise ScorerError("recommendations need the library rapidfuzz: pip install -e '.[bench]'") from error
        if len(self._found) > _LINES_KEPT:
            self._found.clear()
        new = [line for line in dict.fromkeys(lines) if line not in self._found]
        for start in range(0, len(new), _LINES_AT_ONCE):
            some = new[start : start + _LINES_AT_ONCE]
            distances = cdist([line.lower() for line in some], self._lowered, scorer=Levenshtein.distance)
            self._found.update((line, self._known[at]) for line, at in zip(some, distances.argmin(axis=1), strict=True))
        return [self._found[line] for line in lines]


def titles_of(entities: Mapping[str, int]) -> Titles:
    """The titles of a table; for a table with the same content the same object."""
    return _titles(tuple(entities.items()))


@lru_cache(maxsize=4)
def _titles(entities: tuple[tuple[str, int], ...]) -> Titles:
    return Titles(dict(entities))


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
    table = titles_of(entities)
    try:
        right = [table.by_id[int(number)] for number in answer]
    except (KeyError, ValueError) as error:
        raise ScorerError(
            f"expected ids of the table of {len(table.by_id)} titles as the answer, got {list(answer)}"
        ) from error
    if not right:
        raise ScorerError("expected at least one right title, got none")
    named = table.nearest(recommendations(reply))
    return {f"recsys_recall@{k}": sum(film in named[:k] for film in right) / len(right) for k in CUTOFFS}, named, right
