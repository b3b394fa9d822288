"""Streams of a book that is read part by part, with one question for its summary: BookSum and what resembles it.

* `Chapter` - a text with its summary.
* `keywords` - what a summary must mention.
* `books` - the instances.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.builders.instance import BuiltQuestion, Instance, rng
from memenvs.streams.builders.packing import whole_sentences
from memenvs.streams.builders.wrapping import date, reading
from memenvs.streams.chunking import pack_sentences

_NAME = re.compile(r"(?<![\w'’])[A-Z][\w’'-]*[a-z](?:[^\S\n]+(?:of[^\S\n]+(?:the[^\S\n]+)?)?[A-Z][\w’'-]*[a-z])*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:\"“”—]\s*|\n)\s*$")


@dataclass(frozen=True, slots=True)
class Chapter:
    """One text to read."""

    text: str
    """The text."""
    summary: str = ""
    """Written by people, where there is one."""
    title: str = ""
    """Of the book."""


@dataclass(frozen=True, slots=True)
class BookRule:
    """Sizes. Source: wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py."""

    tokens: int = 2048
    """Most tokens of a chunk."""
    least: int = 5
    """Chapters of fewer chunks are left out."""
    most: int = 20
    """Longer texts are left out, or cut into parts of so many chunks (``parts``)."""
    keywords: int = 20
    """Most keywords of an answer."""
    parts: bool = False
    """Whether a text of more than ``most`` chunks is cut into parts; for whole books."""


def names(text: str) -> Counter[str]:
    """Capitalised phrases of ``text`` that also stand elsewhere than at the start of a sentence, with how often they occur."""
    inside, every = set(), Counter[str]()
    for match in _NAME.finditer(text):
        name = re.sub(r"['’]s$", "", match.group())
        every[name] += 1
        if not _SENTENCE_START.search(text[max(0, match.start() - 4) : match.start()]):
            inside.add(name)
    # "I'm" and "I'll" are no names.
    return Counter({name: every[name] for name in sorted(inside) if len(name) > 2 and name[1] not in "'’"})


def keywords(summary: str, chunks: Sequence[str], most: int) -> list[str]:
    """Names that an account of the text should mention, in the order in which they occur.

    Of a summary: the names in it that the text holds too, the most frequent first if there are more than ``most``. Without one:
    the names that stand in most chunks, at least in two. None contains a comma. (Published: a model writes them.)
    """
    text = "\n".join(chunks)
    if summary:
        found = Counter({name: number for name, number in names(summary).items() if name in text})
    else:
        spread = Counter(name for chunk in chunks for name in names(chunk))
        found = Counter({name: number for name, number in spread.items() if number > 1})
    chosen = sorted(found, key=lambda name: (-found[name], name))[:most]
    return sorted(chosen, key=lambda name: (text.index(name), name))


def books(
    chapters: Iterable[Chapter],
    seed: int,
    rule: BookRule = BookRule(),
    count: TokenCounter = count_tokens,
) -> tuple[list[Instance], Counter[str]]:
    """One instance per chapter, or per part of one; between two parts pass one to three days.

    The answer is the keywords, joined by ", ". Evidence: the chunks that hold a keyword.

    Returns:
        Instances in the order of the chapters, and a count by reason of what was dropped.
    """
    found, dropped = [], Counter[str]()
    for number, chapter in enumerate(chapters):
        texts = pack_sentences(chapter.text, count, rule.tokens, whole_sentences)
        spans = [texts]
        if rule.parts:
            spans = [texts[start : start + rule.most] for start in range(0, len(texts), rule.most)]
        for part, span in enumerate(spans):
            wanted = keywords("" if len(spans) > 1 else chapter.summary, span, rule.keywords)
            if not rule.least <= len(span) <= rule.most:
                dropped[f"not {rule.least} to {rule.most} chunks"] += 1
            elif not wanted:
                dropped["no keywords"] += 1
            else:
                by = "summary" if chapter.summary and len(spans) == 1 else "names in several chunks"
                origin = {"sub_source": "booksum", "title": chapter.title, "part": part, "keywords_by": by}
                found.append(_read(span, wanted, origin, rng(seed, "booksum", number, part).randint))
    return found, dropped


def _read(
    texts: Sequence[str], wanted: Sequence[str], origin: dict[str, object], randint: Callable[[int, int], int]
) -> Instance:
    days = [0]
    for _ in texts[1:]:
        days.append(days[-1] + randint(1, 3))
    first, last = (date(day).strftime("%Y-%m-%d") for day in (days[0], days[-1]))
    evidence = tuple(step for step, text in enumerate(texts) if any(word in text for word in wanted))
    question = f"Summarize the content of the book I read from {first} to {last}"
    chunks = tuple(reading(day, text) for day, text in zip(days, texts, strict=True))
    return Instance("booksum", chunks, (BuiltQuestion(question, ", ".join(wanted), evidence),), origin)
