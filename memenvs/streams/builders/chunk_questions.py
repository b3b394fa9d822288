"""Questions on single chunks for the step reward, without a model.

* `by_rule` - verified questions for every chunk of a stream.
* `candidates` - what could be asked about one chunk.
* `verified` - whether a reader answers from the chunk, and not from nothing.
* `normal` - the form in which two questions are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from memenvs.reading.analysis import NAME, NUMBER, Sentence, Span, analyse_sentence
from memenvs.reading.asking import ask
from memenvs.reading.base import Reader, Reading
from memenvs.reading.extractive import ExtractiveReader
from memenvs.scoring.profiles import score
from memenvs.streams.sentences import sentences

_EXAMPLE = re.compile(r"^(?:Sentence|Sample): (?P<text>[^\n]+)\nLabels?: (?P<label>[^\n]+)$", re.MULTILINE)
_TAG = re.compile(r"^<[^<>\n]{1,40}>\s*")
_WRAPPER = re.compile(r"^(?:\[(?:Dialogue|Event)\b|<System>)|:$")
_OPENING = re.compile(r"(?:^|[.!?:\"“”‘—]|--)[\s\"“‘(]*$")
_LEAST_WORDS = 4
"""Content words that a question must share with its sentence."""
_GAP = "____"


def by_rule(
    chunks: Sequence[str], source: str, most: int = 5, reader: Reader | None = None
) -> list[list[dict[str, str]]]:
    """At most ``most`` questions per chunk, as the column ``chunk_questions`` holds them.

    Fine-Mem's chunk-level step reward asks five verified questions per chunk, written and verified by models; here rules write
    (`candidates`) and the extractive reader verifies (`verified`). No two questions of a stream are the same, and no two of a
    chunk have the same answer. A chunk in which too little can be asked gets fewer.

    Args:
        chunks: of one stream.
        source: which scores decide (``data_source``).
        most: questions per chunk.
        reader: the extractive one if None.

    Returns:
        Per chunk a list of {question, answer}.

    Raises:
        ReaderError: the reader failed.
        ScorerError: no metric for the source.
    """
    reader = reader or ExtractiveReader()
    seen: set[str] = set()
    found = []
    for chunk in chunks:
        kept: list[dict[str, str]] = []
        answers: set[str] = set()
        for question, answer in candidates(chunk, most):
            if len(kept) == most:
                break
            if normal(question) in seen or normal(answer) in answers:
                continue
            if verified(reader, question, answer, chunk, source):
                seen.add(normal(question))
                answers.add(normal(answer))
                kept.append({"question": question, "answer": answer})
        found.append(kept)
    return found


def verified(reader: Reader, question: str, answer: str, chunk: str, source: str) -> bool:
    """Whether the reader's answer scores 1 when it reads the chunk alone, and less when it reads nothing.

    Raises:
        ReaderError: the reader failed.
        ScorerError: no metric for the source.
    """
    informed, uninformed = ask(reader, [Reading(question, (("1", chunk),), source), Reading(question, (), source)])
    return score(informed.text, (answer,), source) == 1 > score(uninformed.text, (answer,), source)


def normal(text: str) -> str:
    """Words in lower case: equal where two questions or answers differ in form only."""
    return " ".join(re.findall(r"\w+", text.lower()))


def candidates(chunk: str, most: int = 5) -> Iterator[tuple[str, str]]:
    r"""Questions with answers, one of each sentence, then the second ones, and so on.

    The sentences come in an order that spreads the first ``most`` over the whole chunk. A labelled example asks for its label in
    ``\boxed{}``. Other sentences ask for a name, a date or a number in them: who or what, where the sentence starts with a name,
    otherwise as a gap to be filled.
    """
    examples = [(match["text"], match["label"]) for match in _EXAMPLE.finditer(chunk)]
    if examples:
        asked = [
            [(f"Sentence: {text}\nWhat is the label of this sentence? Put your answer as \\boxed{{label}}.", label)]
            for text, label in examples
        ]
    else:
        texts = [text for text in sentences(chunk) if not _WRAPPER.search(text)]
        asked = [_of_sentence(analyse_sentence(_TAG.sub("", text))) for text in texts]
    spread = sorted(range(len(asked)), key=lambda i: (i * most % len(asked), i))
    for rank in zip_longest(*(asked[i] for i in spread)):
        yield from (candidate for candidate in rank if candidate is not None)


def _of_sentence(sentence: Sentence) -> list[tuple[str, str]]:
    """What can be asked about one sentence, dates and numbers first."""
    spans = sorted(
        (s for s in sentence.spans if s.kind in (NUMBER, NAME) and not s.negated and not s.aside),
        key=lambda span: (not span.temporal, span.kind != NUMBER, span.start),
    )
    found = []
    for span in spans:
        where = _place(sentence, span)
        if where is None:
            continue
        start, end = where
        # A single capitalised word at the start of a sentence or of speech need not be a name.
        if span.kind == NAME and span.end - span.start == 1 and _OPENING.search(sentence.text[:start]):
            continue
        answer = sentence.text[start:end]
        question = _question(sentence, span, sentence.text[:start], sentence.text[end:])
        others = {stem for i, stem in enumerate(sentence.stems) if stem and not span.start <= i < span.end}
        if len(others) >= _LEAST_WORDS and normal(answer) and f" {normal(answer)} " not in f" {normal(question)} ":
            found.append((question, answer))
    return found


def _place(sentence: Sentence, span: Span) -> tuple[int, int] | None:
    """Characters of the span in the sentence's text; None where its words stand there twice or not in so many words."""
    pattern = r"\s*".join(re.escape(token) for token in sentence.tokens[span.start : span.end])
    matches = list(re.finditer(rf"(?<!\w){pattern}(?!\w)", sentence.text))
    return matches[0].span() if len(matches) == 1 else None


def _question(sentence: Sentence, span: Span, before: str, after: str) -> str:
    if span.start == 0 and span.kind == NAME and not after.startswith((",", "'", "’")):
        return f"Who or what{after.rstrip('.!? ')}?"
    asked = "When" if span.temporal else "How many" if span.kind == NUMBER else "What"
    return f"{asked}? Fill the gap: “{before}{_GAP}{after}”"
