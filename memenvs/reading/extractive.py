"""The embedded default reader: rules that pick the answer out of the retrieved items. No model, no network."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from memenvs.reading.analysis import NAME, NUMBER, WORDS, Passage, Sentence, Span, analyse
from memenvs.reading.base import Answer, Reading
from memenvs.reading.lexicon import FUNCTION_WORDS
from memenvs.reading.questions import Asked, understand

_LEAST_COVERAGE = 0.3
"""Share of the question's words (by weight) that a sentence must hold to be worth reading."""
_SYNONYM = 0.8
"""What a synonym counts; the word itself counts 1."""
_PLACEHOLDERS = frozenset({"number", "name", "kind", "type", "thing", "amount"})
"""Stems of nouns that announce an answer and are none."""
_NOT = frozenset({"not", "no", "never", "n't", "cannot"})
_BECAUSE = re.compile(r"\b(?:because of|because|due to|thanks to|as a result of|owing to)\s+([^,.;!?]+)", re.IGNORECASE)
_TIMES = re.compile(r"\b(\d+) times\b", re.IGNORECASE)


def _coverage(asked: Asked, sentence: Sentence) -> float:
    """Weight of the question's words that the sentence holds."""
    stems, concepts = sentence.stem_set, sentence.concept_set
    found = 0.0
    for word in asked.wanted:
        if word.stem in stems:
            found += word.weight
        elif word.concept in concepts:
            found += word.weight * _SYNONYM
    # It helps to hold something of the kind that is asked for. Not so names: the question's own are among them.
    if found and asked.type in sentence.kinds:
        found += 0.6
    return found


def _fits(span: Span, kind: str) -> float:
    """How well a span's kind fits the expected type."""
    if kind == "person":
        return 2.0 if span.kind == NAME and not span.temporal else -2.0
    if kind == "time":
        return 3.0 if span.temporal else 0.5 if span.kind == NUMBER else -1.5
    if kind == "number":
        return 3.0 if span.kind == NUMBER and not span.temporal else 1.0 if span.kind == NUMBER else -2.0
    if kind == "place":
        return 2.0 if span.kind == NAME and not span.temporal else -1.0
    return 0.0


def _pieces(asked: Asked, sentence: Sentence, span: Span) -> list[tuple[int, int]]:
    """Parts of a span that do not repeat the question."""
    stems, concepts = sentence.stems, sentence.concepts
    if span.kind != WORDS:
        # A name is one thing: "University of X" is not asked for by a question that holds all of its words.
        new = any(stems[i] and stems[i] not in asked.stems for i in range(span.start, span.end))
        return [(span.start, span.end)] if new else []
    found = []
    start = None
    for i in range(span.start, span.end):
        known = stems[i] in asked.stems or concepts[i] in asked.concepts or stems[i] in _PLACEHOLDERS
        if not known and start is None:
            start = i
        elif known and start is not None:
            found.append((start, i))
            start = None
    if start is not None:
        found.append((start, span.end))
    return found


def _best_span(asked: Asked, sentence: Sentence) -> str:
    """The piece of the sentence that answers best, or ""."""
    names = {word.stem for word in asked.wanted if word.name}
    anchors: list[int] = []
    weak: list[int] = []
    for i, (stemmed, conceived) in enumerate(zip(sentence.stems, sentence.concepts, strict=True)):
        if stemmed and (stemmed in asked.stems or conceived in asked.concepts):
            (weak if stemmed in names else anchors).append(i)
    anchors = anchors or weak
    best, answer = -math.inf, ""
    for span in sentence.spans:
        fit = _fits(span, asked.type) - (6.0 if span.negated else 0.0) - (4.0 if span.aside else 0.0)
        for start, end in _pieces(asked, sentence, span):
            distance = min((start - a if start > a else 1.5 * (a - end + 1) for a in anchors), default=start)
            score = fit - 0.3 * distance
            if span.kind == WORDS and end - start == 1 and sentence.tokens[start].endswith(("ed", "ly", "ing")):
                score -= 1.0  # Rather a verb or an adverb than the thing asked for.
            if end < span.end:
                score -= 0.6  # A modifier of a word of the question ("the proud owner").
            if score > best:
                best, answer = score, _text(sentence, start, end)
    return answer


def _text(sentence: Sentence, start: int, end: int) -> str:
    """Tokens ``start`` to ``end`` as they stand in the sentence."""
    pattern = r"\s*".join(re.escape(token) for token in sentence.tokens[start:end])
    match = re.search(rf"(?<!\w){pattern}(?!\w)", sentence.text)
    return match.group(0) if match else " ".join(sentence.tokens[start:end])


def _rank(asked: Asked, passages: Sequence[Passage]) -> list[tuple[float, int, Sentence]]:
    """All sentences as (coverage, item, sentence), best first; ties in retrieval order."""
    found = []
    for position, passage in enumerate(passages):
        for sentence in passage.sentences:
            coverage = _coverage(asked, sentence)
            if coverage >= _LEAST_COVERAGE * asked.total and coverage:
                found.append((coverage, position, sentence))
    found.sort(key=lambda entry: -entry[0])
    return found


def _span(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    for _, position, sentence in _rank(asked, passages)[:3]:
        answer = _best_span(asked, sentence)
        if answer:
            return answer, (position,)
    return "", ()


def _why(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    for _, position, sentence in _rank(asked, passages):
        match = _BECAUSE.search(sentence.text)
        if match:
            return match.group(1).strip(), (position,)
    return _span(asked, passages)


def _summary(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    """The sentences about the topic, or all of them where everything is to be summarised."""
    if asked.whole:
        kept = [(position, sentence) for position, passage in enumerate(passages) for sentence in passage.sentences]
    else:
        ranked = _rank(asked, passages)
        best = ranked[0][0] if ranked else 0.0
        # Points about another topic share "point" and perhaps one word of the name: half of the words is too little.
        kept = [(p, s) for coverage, p, s in ranked if coverage >= 0.85 * best and coverage > 0.5 * asked.total]
    texts = dict.fromkeys(sentence.text for _, sentence in kept)
    return " ".join(texts), tuple(sorted({position for position, _ in kept}))


def _count(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    """How many different sentences tell of the event."""
    ranked = [entry for entry in _rank(asked, passages) if entry[0] >= 0.9 * asked.total]
    if not ranked:
        return "", ()
    said = _TIMES.search(ranked[0][2].text)
    if said:  # A note that keeps the tally itself.
        return said.group(1), (ranked[0][1],)
    texts = {sentence.text for _, _, sentence in ranked}
    return str(len(texts)), tuple(sorted({position for _, position, _ in ranked}))


def _label(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    """The label whose examples resemble the request most."""
    examples = [(position, example) for position, passage in enumerate(passages) for example in passage.examples]
    if not examples:
        return "", ()
    frequency: dict[str, int] = {}
    for _, example in examples:
        for word in example.stems:
            frequency[word] = frequency.get(word, 0) + 1
    votes: dict[str, float] = {}
    nearest: dict[str, tuple[float, int]] = {}
    for position, example in examples:
        similarity = 0.0
        # Sorted, because sums of floats depend on their order and that of a set on the hash seed.
        for word in sorted(asked.request & example.stems):
            weight = math.log(1 + len(examples) / frequency[word])
            similarity += weight * (0.2 if word in FUNCTION_WORDS else 1.0)
        similarity /= 2 + math.sqrt(len(example.stems))
        if similarity <= 0:
            continue
        votes[example.label] = votes.get(example.label, 0.0) + similarity**2
        if similarity > nearest.get(example.label, (0.0, 0))[0]:
            nearest[example.label] = (similarity, position)
    if not votes:
        return "", ()
    label = max(votes, key=lambda name: votes[name])
    return label, (nearest[label][1],)


def _yes_no(asked: Asked, passages: Sequence[Passage]) -> tuple[str, tuple[int, ...]]:
    """Yes if a sentence says so; no if it denies it or if nothing says it in so many words."""
    ranked = _rank(asked, passages)
    if not ranked:
        return "", ()
    coverage, position, sentence = ranked[0]
    denied = not _NOT.isdisjoint(sentence.tokens)
    return ("yes" if coverage >= 0.8 * asked.total and not denied else "no"), (position,)


_MODES = {"yes/no": _yes_no, "span": _span, "why": _why, "summary": _summary, "count": _count, "label": _label}


@lru_cache(maxsize=65536)
def _answer(question: str, source: str, texts: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """Answer and positions of the items used."""
    asked = understand(question, source)
    passages = [analyse(text) for text in texts]
    text, positions = _MODES[asked.mode](asked, passages)
    if asked.boxed and text:
        text = f"\\boxed{{{text}}}"
    return text, positions


class ExtractiveReader:
    r"""Reads by rule: takes the nearest fitting words from the sentence that holds most of the question's words.

    What it goes by: the question word (who: a name, when: a date, how many: a figure), capital letters, figures,
    stems, a short list of everyday synonyms (`memenvs.reading.lexicon`), negation ("no longer", "instead of") and
    nearness. Questions for a label ("Which label ...", ``\boxed{}``) get the label of the most similar labelled
    example; summaries get the sentences about the topic; "how many times" gets the number of sentences that tell of
    it.

    It knows nothing about time: of two items that answer equally well the one retrieved first counts, so an outdated
    item competes with the current one. Same input, same answer, in every process. Safe to share between threads.
    """

    name = "extractive"

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """Answer each reading, in order; ``Answer("", ())`` where no item is to the point. Never raises."""
        found = []
        for reading in readings:
            text, positions = _answer(reading.question, reading.source, tuple(content for _, content in reading.items))
            found.append(Answer(text, tuple(reading.items[position][0] for position in positions)))
        return found
