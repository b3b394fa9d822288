"""What the extractive reader sees in a text: sentences, words, spans and labelled examples. Cached by text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from memenvs.reading.lexicon import FUNCTION_WORDS, concept, stem, word_set
from memenvs.streams.sentences import sentences

MONTHS = word_set("""
    january february march april may june july august september october november december
""")
WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
_MINUS = "-−"
# A minus sign belongs to a number that it opens a word with ("is -4", "x=-4"); in "3-4" and "COVID-19" it is a mere dash.
_TOKEN = re.compile(
    rf"(?:(?<![^\s(=:])[{_MINUS}])?[$€£]?\d+(?:[:.,]\d+)*(?:st|nd|rd|th|%)?|[^\W\d_]+(?:[-.][^\W\d_]+)*|['’]s\b|\w+|[^\w\s]"
)
_NEGATION = frozenset({"not", "never", "without", "stopped", "formerly"})
_REPORTING = word_set("""
    mentioned say says said heard hear note out told me him her us them believe think claimed know
""")
_NAME_LINKS = frozenset({"of", "de", "da", "di", "del", "der", "la", "von", "van"})
_NUMBER_WORDS = word_set("""
    one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million
    billion
""")

NAME, NUMBER, WORDS = "name", "number", "words"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of words that could be an answer or hold one: tokens ``start`` to ``end`` (exclusive)."""

    start: int
    end: int
    kind: str
    """`NAME` (capitalised), `NUMBER` (figures, dates, times) or `WORDS` (lower-case content words)."""
    temporal: bool
    """Whether it reads as a date, a time or a weekday."""
    negated: bool
    """Whether it follows "no longer", "not" or "instead of" within its clause."""
    aside: bool
    """Whether it stands in an opening such as "Some people say that"."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an item."""

    text: str
    tokens: tuple[str, ...]
    stems: tuple[str, ...]
    """Per token; "" for function words and punctuation."""
    concepts: tuple[str, ...]
    stem_set: frozenset[str]
    concept_set: frozenset[str]
    spans: tuple[Span, ...]
    kinds: frozenset[str]
    """What could be asked for: the kinds of the spans that are not negated, and "time"."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled example inside an item."""

    stems: frozenset[str]
    label: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A whole item."""

    sentences: tuple[Sentence, ...]
    examples: tuple[Example, ...]


def _is_temporal(tokens: list[str]) -> bool:
    if any((token.lower() in MONTHS and token[0].isupper()) or token.lower() in WEEKDAYS for token in tokens):
        return True
    return len(tokens) == 1 and (
        ":" in tokens[0] or (len(tokens[0]) == 4 and tokens[0].isdigit() and tokens[0][0] in "12")
    )


def _kind(token: str, first: bool) -> str:
    """Kind of one content token, or "" where it cannot be in an answer."""
    if any(ch.isdigit() for ch in token) or token.lower() in _NUMBER_WORDS:
        return NUMBER
    if not token[0].isalpha():
        return ""
    return NAME if token[0].isupper() and not (first and token.lower() == token) else WORDS


def _spans(tokens: list[str], stems: list[str]) -> tuple[Span, ...]:
    found: list[Span] = []
    negated = False
    lows = [token.lower() for token in tokens]
    opening = lows.index("that") if "that" in lows[:8] else 0
    if opening and lows[opening - 1] not in _REPORTING:
        opening = 0
    position = 0
    while position < len(tokens):
        token = tokens[position]
        low = token.lower()
        following = tokens[position + 1].lower() if position + 1 < len(tokens) else ""
        if (
            low in _NEGATION
            or (low == "no" and following == "longer")
            or (low in ("instead", "rather") and following in ("of", "than"))
        ):
            negated = True
        elif low in ("but", "and", ",", ";", ".", ":"):
            negated = False
        if not stems[position]:
            position += 1
            continue
        kind = _kind(token, position == 0)
        end = position + 1
        if kind == NUMBER:
            # "14 March 2024", "March 14, 2024": a date is one span.
            while end < len(tokens) and (
                tokens[end].lower() in MONTHS
                or (tokens[end][0].isdigit() and tokens[end - 1].lower() in MONTHS)
                or tokens[end].lower() in ("million", "billion", "percent")
            ):
                end += 1
        elif kind == NAME and low in MONTHS and end < len(tokens) and tokens[end][0].isdigit():
            kind = NUMBER
            end += 1
            if end + 1 < len(tokens) and tokens[end] == "," and tokens[end + 1].isdigit() and len(tokens[end + 1]) == 4:
                end += 2
        elif kind == NAME:
            while end < len(tokens):
                if stems[end] and _kind(tokens[end], False) == NAME:
                    end += 1
                elif tokens[end] in _NAME_LINKS and end + 1 < len(tokens) and tokens[end + 1][0].isupper():
                    end += 2
                elif (
                    tokens[end] == "of"
                    and end + 2 < len(tokens)
                    and tokens[end + 1] == "the"
                    and tokens[end + 2][0].isupper()
                ):
                    end += 3
                else:
                    break
        elif kind == WORDS:
            while end < len(tokens) and stems[end] and _kind(tokens[end], False) == WORDS:
                end += 1
        if kind:
            found.append(Span(position, end, kind, _is_temporal(tokens[position:end]), negated, position < opening))
        position = end
    return tuple(found)


def _content_stem(token: str, position: int) -> str:
    """The stem of a content word; "" for punctuation and function words."""
    if token == "May" and position:
        return "may"  # The month; "may" is a function word.
    unsigned = token.lstrip(_MINUS) or " "
    if not (unsigned[0].isalnum() or unsigned[0] in "$€£") or token.lower() in FUNCTION_WORDS:
        return ""
    return stem(token)


@lru_cache(maxsize=65536)
def analyse_sentence(text: str) -> Sentence:
    """Words and spans of one sentence."""
    tokens = _TOKEN.findall(text)
    stems = [_content_stem(token, position) for position, token in enumerate(tokens)]
    concepts = [concept(word) if word else "" for word in stems]
    spans = _spans(tokens, stems)
    kinds = {span.kind for span in spans if not span.negated} | {
        "time" for span in spans if span.temporal and not span.negated
    }
    return Sentence(
        text,
        tuple(tokens),
        tuple(stems),
        tuple(concepts),
        frozenset(stems) - {""},
        frozenset(concepts) - {""},
        spans,
        frozenset(kinds),
    )


_LABEL = re.compile(
    r"\b(?:labels?|category|class|intent)\b\s*(?:(?:is|are|:|=|#|code)\s*)?[\"'“]?"
    r"(?:(?<=[:=\"'“])\s*(?P<any>[^\s.,;\"'”]+)|(?P<code>[A-Za-z]*\d[\w-]*))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
_BODY = re.compile(
    r"(?:^|\n|>)\s*(?:sentence|sample|text|input|example|utterance|query|message|question)\s*:\s*([^\n]+)",
    re.IGNORECASE,
)


def words_of(text: str) -> frozenset[str]:
    """All stems of ``text``, function words included."""
    unsigned = (token.lstrip(_MINUS) for token in _TOKEN.findall(text))
    return frozenset(stem(token) for token in unsigned if token and token[0].isalnum())


def body(text: str) -> str:
    """The part of a labelled example, or of a question for a label, that is being labelled."""
    quoted = _QUOTED.findall(text)
    if quoted:
        return str(max(quoted, key=len))
    match = _BODY.search(text)
    return match.group(1) if match else text


def _examples(text: str) -> tuple[Example, ...]:
    found = []
    start = 0
    matches = list(_LABEL.finditer(text))
    for match in matches:
        # With a single label the text may also stand behind it ("Label 3: the text").
        part = text[start : match.start()] if len(matches) > 1 else text[: match.start()] + " " + text[match.end() :]
        start = match.end()
        found.append(Example(words_of(body(part)), match.group("any") or match.group("code")))
    return tuple(found)


@lru_cache(maxsize=16384)
def analyse(text: str) -> Passage:
    """All that is read out of one item."""
    return Passage(tuple(analyse_sentence(part) for part in sentences(text)), _examples(text))
