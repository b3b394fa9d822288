"""Facts of FactConsolidation: numbered sentences, of which the newest counts.

A context is "Here is a list of facts:" and one sentence a line, "34. Acme was founded by Ann Lee."; the larger the serial
number, the newer the fact. A sentence is one of a few dozen phrases around a subject and a value. Two facts with one phrase and one
subject contradict each other unless their values are equal.

* `Fact` - one of them; `parse_fact` makes it from a sentence.
* `FactList`, `fact_list` - the numbered facts of a text, wherever it was cut.
* `facts_in` - all facts of a text, with or without numbers.
* `newest` - the newest fact of each relation and subject.

Form: HUST-AI-HYZ/MemoryAgentBench@455306d (ai-hyz/MemoryAgentBench, Conflict_Resolution); the sentences are those of MQuAKE (arXiv
2305.14795, princeton-nlp/MQuAKE@fb43dad), two of whose phrases have a slip of the pen ("univeristy", "origianl"). A value may end
with a stop of its own ("Acme Inc.."), so facts are told apart by their numbers, never by ends of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from memenvs.streams.sentences import sentences

HOLDER = "holder"
"""Relation of "The Lord Mayor of York is ...", whose subject is the office; any other "The ... is ..." is one too."""
_PHRASES = (
    # relation, words before the subject, between subject and value; the most particular first
    ("head of government", "The name of the current head of the ", " government is "),
    ("head of state", "The name of the current head of state in ", " is "),
    ("headquarters", "The headquarters of ", " is located in the city of "),
    ("educated at", "The university where ", " was educated is "),
    ("genre", "The type of music that ", " plays is "),
    ("producer", "The company that produced ", " is "),
    ("broadcaster", "The original broadcaster of ", " is "),
    ("official language", "The official language of ", " is "),
    ("original language", "The original language of ", " is "),
    ("executive", "The chief executive officer of ", " is "),
    ("twin town", "The twinned administrative body of ", " is "),
    ("capital", "The capital of ", " is "),
    ("author", "The author of ", " is "),
    ("chairperson", "The chairperson of ", " is "),
    ("director", "The director of ", " is "),
    ("coach", "The head coach of ", " is "),
    ("child", "", "'s child is "),
    ("born in", "", " was born in the city of "),
    ("died in", "", " died in the city of "),
    ("worked in", "", " worked in the city of "),
    ("founded in", "", " was founded in the city of "),
    ("created in", "", " was created in the country of "),
    ("country", "", " is located in the country of "),
    ("continent", "", " is located in the continent of "),
    ("place", "", " is located in "),
    ("written in", "", " was written in the language of "),
    ("speaks", "", " speaks the language of "),
    ("citizen of", "", " is a citizen of "),
    ("member of", "", " is a member of "),
    ("spouse", "", " is married to "),
    ("religion", "", " is affiliated with the religion of "),
    ("sport", "", " is associated with the sport of "),
    ("position", "", " plays the position of "),
    ("occupation", "", " works in the field of "),
    ("employer", "", " is employed by "),
    ("known for", "", " is famous for "),
    ("founder", "", " was founded by "),
    ("creator", "", " was created by "),
    ("performer", "", " was performed by "),
    ("developer", "", " was developed by "),
    ("owner", "", " is owned by "),
    ("representative", "", " is represented by "),
    (HOLDER, "The ", " is "),
)
RELATIONS = tuple(name for name, *_ in _PHRASES)
"""Names of the relations, ours."""
_SPELLINGS = (("The univeristy where ", "The university where "), ("The origianl ", "The original "))
# A number can only open a fact after the end of another one; "the director of Apollo 13. 14. ..." has one there, not two.
_NUMBER = re.compile(r"(?:(?<=[.!?:])\s+|\A\s*|\n\s*)(\d{1,9})\.(?=\s|\Z)")
# "A. B. Lee": such a stop ends no sentence.
_INITIAL = re.compile(r"\b[A-Z]\.$")


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence; an opaque one has a phrase that `RELATIONS` does not know."""

    serial: int | None
    """Its number, or None in a text without numbers."""
    text: str
    """The sentence without its number."""
    relation: str | None = None
    """One of `RELATIONS`, or None for an opaque fact."""
    subject: str = ""
    """What it is about; "" for an opaque fact."""
    value: str = ""
    """What it says; "" for an opaque fact."""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for facts of which only the newest counts: relation and subject, of an opaque fact its own text."""
        return ("", self.text) if self.relation is None else (self.relation, self.subject)

    @property
    def numbered(self) -> str:
        """The sentence with its number: "34. Acme was founded by Ann Lee."."""
        return self.text if self.serial is None else f"{self.serial}. {self.text}"


class FactList(NamedTuple):
    """What a text has of a list of numbered facts."""

    head: str
    """What stands before the first number: the heading, or the rest of a fact that an earlier text began."""
    facts: tuple[Fact, ...]
    """By number, each one more than the one before; a number without a sentence at the end is left out."""

    @property
    def sound(self) -> bool:
        """Whether it is one: at least half of the facts have a known phrase, the last, which may be cut, apart."""
        whole = self.facts[:-1] or self.facts
        known = sum(fact.relation is not None for fact in whole)
        return known > 0 and 2 * known >= len(whole)


@lru_cache(maxsize=65536)
def parse_fact(text: str, serial: int | None = None) -> Fact:
    """A sentence as a fact; one stop at its end belongs to the sentence, not to the value."""
    text = " ".join(text.split())
    said = text.removesuffix(".")
    for slip, meant in _SPELLINGS:
        if said.startswith(slip):
            said = meant + said[len(slip) :]
    for relation, before, between in _PHRASES:
        if not said.startswith(before):
            continue
        # The value of "The author of What is Art? is Leo Tolstoy" is behind the last "is".
        at = said.rfind(between, len(before)) if before else said.find(between)
        subject, value = said[len(before) : at], said[at + len(between) :]
        if at >= 0 and subject.strip() and value.strip():
            return Fact(serial, text, relation, subject.strip(), value.strip())
    return Fact(serial, text)


@lru_cache(maxsize=1024)
def fact_list(text: str) -> FactList:
    """The longest run of numbers, each one more than the one before, with the sentences behind them; the first of equally long."""
    marks = list(_NUMBER.finditer(text))
    best: list[re.Match[str]] = []
    used: set[int] = set()
    for i, start in enumerate(marks):
        if i in used:
            continue
        chain, wanted = [start], int(start[1]) + 1
        for j in range(i + 1, len(marks)):
            if int(marks[j][1]) == wanted:
                chain.append(marks[j])
                used.add(j)
                wanted += 1
        if len(chain) > len(best):
            best = chain
    if not best:
        return FactList(text.strip(), ())
    ends = [*(mark.start() for mark in best[1:]), len(text)]
    facts = [
        parse_fact(said, int(mark[1]))
        for mark, end in zip(best, ends, strict=True)
        if (said := text[mark.end() : end].strip())
    ]
    return FactList(text[: best[0].start()].strip(), tuple(facts))


@lru_cache(maxsize=65536)
def facts_in(text: str) -> tuple[Fact, ...]:
    """All facts of a text: its numbered ones or, where it has no numbers, those of its sentences whose phrase is known."""
    listed = fact_list(text)
    if listed.facts:
        return listed.facts
    parts: list[str] = []
    for sentence in sentences(text):
        if parts and _INITIAL.search(parts[-1]):
            parts[-1] += f" {sentence}"
        else:
            parts.append(sentence)
    return tuple(fact for part in parts if (fact := parse_fact(part)).relation is not None)


def newest(facts: Iterable[Fact]) -> dict[tuple[str, str], Fact]:
    """The fact of the largest serial for each key.

    A fact without a number is older than any that has one; of two such the first counts.
    """
    found: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        held = found.get(fact.key)
        if held is None or _age(fact) > _age(held):
            found[fact.key] = fact
    return found


def _age(fact: Fact) -> int:
    return -1 if fact.serial is None else fact.serial
