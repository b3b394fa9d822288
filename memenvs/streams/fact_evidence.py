"""Evidence of FactConsolidation's single-hop questions, which the data does not name: the newest fact that says the gold.

Published rows tell a question and its gold, not the fact behind it. `newest_fact` finds it only where there is no doubt: the newest
fact of its relation and subject, whose subject the question names and whose value is a gold. Nothing is named for chains of facts
(``mh``), where the gold is outdated, or where two facts would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from memenvs.streams.facts import Fact, fact_list, newest
from memenvs.streams.types import Chunk, Evidence


def single_hop(source: str) -> bool:
    """Whether the questions of a sub-dataset of MemoryAgentBench ask for one fact of a list."""
    return source.startswith("factconsolidation_sh")


def newest_facts(context: str) -> tuple[Fact, ...]:
    """Of the facts of a context with a known phrase those that no newer one contradicts."""
    return tuple(fact for fact in newest(fact_list(context).facts).values() if fact.relation is not None)


def newest_fact(question: str, golds: Iterable[str], facts: Iterable[Fact]) -> Fact | None:
    """The one fact that answers a question with a gold; of several the one with the longest subject, None if that leaves a choice.

    Args:
        question: names the subject.
        golds: accepted answers.
        facts: as made by `newest_facts`.
    """
    accepted = {" ".join(gold.split()).lower() for gold in golds}
    asked = " ".join(question.split())
    found = [fact for fact in facts if fact.value.lower() in accepted and _stands_in(fact.subject, asked)]
    longest = max((len(fact.subject) for fact in found), default=0)
    found = [fact for fact in found if len(fact.subject) == longest]
    return found[0] if len(found) == 1 else None


def place(fact: Fact, chunks: Sequence[Chunk]) -> Evidence | None:
    """Where a fact stands, with its number unless that ends an earlier chunk; None where the sentence itself is cut."""
    for words in (fact.numbered, fact.text):
        for step, chunk in enumerate(chunks):
            if _stands_in(words, chunk.text):
                return Evidence(step, words)
    return None


def _stands_in(words: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
