"""How questions speak of the relations of `memenvs.streams.facts`: everyday words, written by hand.

* `Cues` - the words that name a relation, and the kind of thing that its value is.
* `CUES` - of every relation.
* `asked_kind` - what kind of thing a question asks for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memenvs.reading.lexicon import stem, stem_set
from memenvs.streams.facts import HOLDER

KINDS = {
    "city": stem_set("city town capital place location where"),
    "country": stem_set("country nation state where"),
    "continent": stem_set("continent"),
    "place": stem_set("place location where city country"),
    "person": stem_set("person individual name people"),
    "language": stem_set("language"),
    "religion": stem_set("religion faith denomination"),
    "sport": stem_set("sport game sportsperson"),
    "position": stem_set("position role"),
    "occupation": stem_set("occupation job profession professional title"),
    "organization": stem_set("organization organisation company institution university school employer group"),
    "genre": stem_set("genre music"),
    "work": stem_set("work creation book"),
}
"""Words for kinds of values."""


class Cues(NamedTuple):
    """How questions speak of one relation."""

    kind: str
    """One of `KINDS`: what its value is."""
    words: frozenset[str]
    """Stems that name it."""


_WORDS = {
    "head of government": ("person", "head government chief executive mayor minister"),
    "head of state": ("person", "head state chief president monarch leader"),
    "headquarters": ("city", "headquarters headquarter based office"),
    "educated at": ("organization", "university educated education educational college school institution attended studied"),
    "genre": ("genre", "music genre musical kind type"),
    "producer": ("organization", "produced producer manufacturer made maker manufactured company"),
    "broadcaster": ("organization", "original broadcaster broadcast aired network channel producer"),
    "official language": ("language", "official officially language speak"),
    "original language": ("language", "original language"),
    "executive": ("person", "chief executive officer ceo"),
    "twin town": ("city", "twin twinned sister administrative"),
    "capital": ("city", "capital"),
    "author": ("person", "author writer wrote written book creator created"),
    "chairperson": ("person", "chairperson chair chairman chairwoman head"),
    "director": ("person", "director manager directs manages"),
    "coach": ("person", "coach trainer"),
    "child": ("person", "child son daughter offspring"),
    "born in": ("city", "born birth birthplace origin native"),
    "died in": ("city", "died death die dead pass passed away breath breathe last"),
    "worked in": ("city", "work worked working hours"),
    "founded in": ("city", "founded formed established existence formation start began"),
    "created in": ("country", "created origin originate originally country developed made birthplace come came hail rise"),
    "country": ("country", "country located"),
    "continent": ("continent", "continent located"),
    "place": ("place", "located location"),
    "written in": ("language", "written language write"),
    "speaks": ("language", "language speak spoken sign signed write written know"),
    "citizen of": ("country", "citizen citizenship nationality national hold held belong come came hail origin pertain"),
    "member of": ("organization", "member membership part belong"),
    "spouse": ("person", "spouse partner married wife husband marry"),
    "religion": ("religion", "religion religious faith affiliation affiliated belief believe follow belong"),
    "sport": ("sport", "sport associated play played athlete athletic sportsperson"),
    "position": ("position", "position play played specialty specialize specialise"),
    "occupation": ("occupation", "occupation job profession professional role title field kind work"),
    "employer": ("organization", "employer employed employ works worked company organization"),
    "known for": ("work", "famous known notable significant work creation renowned"),
    "founder": ("person", "founder founded founding found established establish"),
    "creator": ("person", "creator created create"),
    "performer": ("person", "performer performed perform singer sang sung artist song album actor played played portrayed"),
    "developer": ("organization", "developer developed develop"),
    "owner": ("organization", "owner owned own"),
    "representative": ("person", "represented represent representative agency"),
    HOLDER: ("person", "who whom name"),
}  # fmt: skip
CUES = {relation: Cues(kind, stem_set(words)) for relation, (kind, words) in _WORDS.items()}
"""Relation -> how questions speak of it."""
_WORD = re.compile(r"\w+")
_WHERE = stem("where")


def asked_kind(question: str) -> str:
    """The kind of thing a question asks for, by the words behind its first question word; "" if they do not say."""
    words = [stem(word) for word in _WORD.findall(question)]
    for i, word in enumerate(words):
        if word in ("who", "whom"):
            return "person"
        if word in ("what", "which"):
            for near in words[i + 1 : i + 7]:
                found = next((kind for kind, names in KINDS.items() if near in names and near != "nam"), "")
                if found:
                    return found
            return ""
        if word == _WHERE:
            return "place"
    return ""
