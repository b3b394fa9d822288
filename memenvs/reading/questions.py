"""What the extractive reader makes of a question: what is asked for, which words to find. Cached by text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from memenvs.reading.analysis import analyse_sentence, body, words_of
from memenvs.reading.lexicon import stem_set, word_set

_QUESTION_TOKEN = re.compile(r"[\w'’]+")
_AGGREGATE_CUE = re.compile(
    r"\b(?:summar\w+|overview|recap)\b|\b(?:list|what|which) (?:\w+ ){0,2}(?:points|keywords|topics|things|items)\b",
    re.IGNORECASE,
)
_COUNT_CUE = re.compile(r"\bhow (?:many times|often)\b", re.IGNORECASE)
_LABEL_CUE = re.compile(r"\b(?:labels?|classif\w+|categor\w+ (?:does|is|of|for))\b", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{")
_AGGREGATE_WORDS = stem_set(
    "summary summarise summarize overview recap list points keywords topics content main things items"
)
_COUNT_WORDS = stem_set("times often")
_WHOLE_WORDS = stem_set("book story novel text document chapter article conversation dialogue read reading")

_AUXILIARIES = word_set("is are was were am do does did has have had can could will would should")
_NUMBER_NOUNS = word_set("""
    number size amount percentage percent age population score price cost code quantity total
""")
_TIME_NOUNS = word_set("time day date year month decade century weekday birthday")
_PLACE_NOUNS = word_set("city town country state place location continent county village street region")
_PERSON_NOUNS = word_set("""
    person name author president actor actress singer king queen scientist leader man woman team company
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One content word of a question."""

    stem: str
    concept: str
    weight: float
    name: bool
    """Whether it is capitalised (or a figure): it says who or what, the other words say what about it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question understood."""

    mode: str
    """"label", "summary", "count", "why", "yes/no" or "span"."""
    type: str
    """Expected kind of a span: "person", "place", "time", "number" or "any"."""
    wanted: tuple[Wanted, ...]
    total: float
    """Sum of the weights."""
    stems: frozenset[str]
    concepts: frozenset[str]
    boxed: bool
    r"""Whether the answer goes into ``\boxed{}``."""
    whole: bool
    """Whether a summary of everything is asked for ("summarise the book") and not of one topic."""
    request: frozenset[str]
    """Label questions: stems of the text to be labelled."""


def _type(words: list[str]) -> str:
    """The expected answer type from the question word and the noun behind it."""
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word in ("who", "whom", "whose"):
            return "person"
        if word == "when":
            return "time"
        if word == "where":
            return "place"
        if word == "how" and following in ("many", "much", "old", "long", "far", "tall", "big", "large", "high"):
            return "number"
        if word in ("what", "which"):
            # "What is the locker number of": the noun may stand a little further on.
            near = words[position + 1 : position + 3] + words[position + 3 : position + 6] * (
                following in ("is", "was", "are", "were")
            )
            for noun in near:
                if noun in _NUMBER_NOUNS:
                    return "number"
                if noun in _TIME_NOUNS:
                    return "time"
                if noun in _PLACE_NOUNS:
                    return "place"
                if noun in _PERSON_NOUNS:
                    return "person"
            return "any"
    return "any"


@lru_cache(maxsize=65536)
def understand(question: str, source: str = "") -> Asked:
    """Read one question. ``source`` only helps to tell label questions that consist of nothing but the text."""
    words = [word.lower() for word in _QUESTION_TOKEN.findall(question)]
    boxed = _BOXED.search(question) is not None
    if boxed or _LABEL_CUE.search(question) or source.startswith(("icl", "pubmed")):
        mode = "label"
    elif _COUNT_CUE.search(question):
        mode = "count"
    elif _AGGREGATE_CUE.search(question):
        mode = "summary"
    else:
        first = words[0] if words else ""
        mode = "why" if first == "why" else "yes/no" if first in _AUXILIARIES and " or " not in question else "span"
    expected = _type(words)
    sentence = analyse_sentence(question)
    wanted: dict[str, Wanted] = {}
    whole = mode == "summary"
    for position, (token, stemmed, conceived) in enumerate(
        zip(sentence.tokens, sentence.stems, sentence.concepts, strict=True)
    ):
        if not stemmed or stemmed in wanted:
            continue
        name = (token[0].isupper() and position > 0) or token[0].isdigit()
        weight = 2.0 if name else 0.3 if token.lower() in _TIME_NOUNS and expected == "time" else 1.0
        if mode == "summary":
            if stemmed in _AGGREGATE_WORDS:
                weight = 0.5
            elif stemmed not in _WHOLE_WORDS and not token[0].isdigit():
                whole = False
        if mode != "count" or stemmed not in _COUNT_WORDS:
            wanted[stemmed] = Wanted(stemmed, conceived, weight, name)
    return Asked(
        mode,
        expected,
        tuple(wanted.values()),
        sum(word.weight for word in wanted.values()),
        frozenset(wanted),
        frozenset(word.concept for word in wanted.values()),
        boxed,
        whole,
        words_of(body(question)) if mode == "label" else frozenset(),
    )
