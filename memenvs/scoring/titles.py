"""Recommendations without the table of all titles: which right titles stand among the first five named.

MemoryAgentBench takes every line of a reply for the nearest of 31,161 titles, so that a blank line is one and "12 Monkeys" loses
its number. Here a right title is named if its words stand in one of the first five lines that say something. Years in parentheses,
articles and punctuation do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from memenvs.scoring.metrics import normalize
from memenvs.scoring.recsys import titles_of

CUTOFF = 5
"""Lines that count, as in the published recall@5."""
_PARENTHESES = re.compile(r"\([^()]*\)")
_NUMBER = re.compile(r"^\s*(?:\d{1,2}\s*[.):、]|[-*•])\s+")
_NUMBERED = re.compile(r"^\s*\d{1,2}\s*[.):、]\s+", re.M)


def named(reply: str) -> list[str]:
    """The lines of a list, normalised: the numbered ones if there are any, else all, else (one line) what stands between commas."""
    lines = [line for line in reply.splitlines() if normalize(line)]
    if any(_NUMBERED.match(line) for line in lines):
        lines = [line for line in lines if _NUMBERED.match(line)]
    elif len(lines) == 1:
        lines = lines[0].split(",")
    cleaned = (normalize(_PARENTHESES.sub(" ", _NUMBER.sub("", line))) for line in lines)
    return [line for line in cleaned if line]


def titles_recall(prediction: str, references: Sequence[str], entities: Mapping[str, int] | None = None) -> float:
    """Share of the right titles among the first `CUTOFF` named.

    Args:
        prediction: the reply.
        references: right titles; or their numbers in the table, which only the table can tell from a title such as "1917".
        entities: the table (`recsys.load_entities`): references that are its numbers become titles.
    """
    by_id = titles_of(entities).by_text if entities else {}
    right = {normalize(_PARENTHESES.sub(" ", by_id.get(reference, reference))) for reference in references} - {""}
    lines = [f" {line} " for line in named(prediction)[:CUTOFF]]
    return sum(any(f" {one} " in line for line in lines) for one in right) / len(right) if right else 0.0
