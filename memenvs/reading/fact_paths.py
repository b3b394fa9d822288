"""Following facts from what a question names along the relations that its words name.

* `Path` - facts, each of which is about the value of the one before.
* `best_path` - the one that explains most of a question's words.
* `by_subject` - facts as both want them.
* `reachable` - what any path leads to, whatever the words say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from memenvs.reading.fact_words import CUES, KINDS, asked_kind
from memenvs.reading.lexicon import stem
from memenvs.streams.facts import HOLDER, Fact

MAX_HOPS = 4
"""Longest path; MQuAKE asks for two to four hops (arXiv 2305.14795, section 3)."""
_KIND_WEIGHT = 0.5
"""What a word for the kind of a value explains; a word for the relation itself explains 1."""
_UNNAMED = 1.0
"""Cost of a relation that no word of the question names."""
_HOP = 0.1
"""Cost of a hop, so that of equal paths the shorter one wins."""
_ASKED = 1.0
"""What it is worth that the last value is of the kind asked for."""
_WORD = re.compile(r"\w+")

Facts = Mapping[str, list[Fact]]
"""Subject -> the facts about it."""


class Path(NamedTuple):
    """A chain of facts and how well it explains the question."""

    facts: tuple[Fact, ...]
    score: float


def best_path(question: str, facts: Facts) -> Path | None:
    """The path that explains most of the question; None where no path's relations are named at all. Ties go to the first found.

    Args:
        question: its text.
        facts: by subject; one value for each relation and subject.
    """
    best: Path | None = None
    kind = asked_kind(question)
    for subject, start, end in _named(question, facts):
        words = [stem(word) for word in _WORD.findall(question[:start] + " " + question[end:])]
        name = len(_WORD.findall(subject))
        for path in _paths(subject, facts, MAX_HOPS, frozenset({subject})):
            explained = _explained(path, words, kind)
            if explained is not None and (best is None or name + explained > best.score):
                best = Path(path, name + explained)
    return best


def reachable(question: str, facts: Facts) -> frozenset[str]:
    """The values that facts lead to from the subjects that a question names, within `MAX_HOPS`: a bound on what can be answered.

    Args:
        question: its text.
        facts: by subject; of one relation and subject there may be several, which shows what outdated facts lead to.
    """
    starts = [subject for subject, *_ in _named(question, facts)]
    paths = (path for subject in starts for path in _paths(subject, facts, MAX_HOPS, frozenset({subject})))
    return frozenset(path[-1].value for path in paths)


def by_subject(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Facts of a known phrase by their subject, each subject's in the order of their numbers."""
    found: dict[str, list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: -1 if fact.serial is None else fact.serial):
        if fact.relation is not None:
            found.setdefault(fact.subject, []).append(fact)
    return found


def _named(question: str, facts: Facts) -> list[tuple[str, int, int]]:
    """Subjects that the question names, with where; none that is part of a longer one. Case counts only if that finds any."""
    for ask, fold in ((question, str), (question.lower(), str.lower)):
        found = []
        for subject in facts:
            at = ask.find(fold(subject))
            while at >= 0:
                end = at + len(subject)
                if not (ask[:at][-1:].isalnum() or ask[end:][:1].isalnum()):
                    found.append((subject, at, end))
                at = ask.find(fold(subject), at + 1)
        whole = [
            (name, a, b) for name, a, b in found if not any(c <= a and b <= d and d - c > b - a for _, c, d in found)
        ]
        if whole:
            return whole
    return []


def _paths(subject: str, facts: Facts, hops: int, seen: frozenset[str]) -> Iterator[tuple[Fact, ...]]:
    for fact in facts.get(subject, ()):
        yield (fact,)
        if hops > 1 and fact.value not in seen:
            for rest in _paths(fact.value, facts, hops - 1, seen | {fact.value}):
                yield (fact, *rest)


def _explained(path: tuple[Fact, ...], words: list[str], kind: str) -> float | None:
    """Weight of the question's words that the path's relations explain, less its costs; None if it explains none."""
    weights = [0.0] * len(words)
    cost = 0.0
    used: set[str] = set()
    for fact in path:
        cues = CUES[fact.relation or ""]
        kinds = KINDS[cues.kind]
        named = fact.relation == HOLDER  # its subject names it
        for i, word in enumerate(words):
            weight = 1.0 if word in cues.words else _KIND_WEIGHT if word in kinds else 0.0
            named = named or (weight > 0 and fact.relation not in used)
            weights[i] = max(weights[i], weight)
        cost += _HOP + (0.0 if named else _UNNAMED)
        used.add(fact.relation or "")
    total = sum(weights)
    last = CUES[path[-1].relation or ""].kind
    fits = last == kind or (kind == "place" and last in ("city", "country", "continent"))
    return total - cost + (_ASKED if fits else 0.0) if total else None
