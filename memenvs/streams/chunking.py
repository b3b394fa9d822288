r"""How the published benchmarks cut texts into chunks. Pure functions; the caller says what a token is.

Mem-alpha (wangyu-ustc/Mem-alpha@9c0e1f6, process_data.py; its tokens are ``token_counter("qwen")``):

* `pack_contexts` - whole paragraphs (its ``create_chunks``): SQuAD.
* `pack_articles` - articles with their titles (``create_chunks_with_titles``): HotpotQA.
* `pack_sentences` - sentences of one long text (``create_chunks_use_sent_tokenizer``): BookSum and its copy of MemoryAgentBench.
* `memenvs.streams.session_chunks` - sessions of a conversation: LongMemEval.

MemoryAgentBench (HUST-AI-HYZ/MemoryAgentBench@455306d; tokens ``token_counter("o200k")``):

* `mab_chunks` - sentences of the context (``chunk_text_into_sentences``).
* `mab_questions` - which answer belongs to which question (``ConversationCreator``).

The published code finds sentences with nltk's punkt model; here they end after ``.``, ``!`` or ``?`` and white space, unless
``split=nltk.sent_tokenize`` is given.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from memenvs.errors import DataError, SettingsError
from memenvs.memory.tokens import TokenCounter

Splitter = Callable[[str], Sequence[str]]
"""Text in, its sentences out."""
SPECIAL = "<|endoftext|>"
"""Special token that contexts hold as text."""
_BREAK = re.compile(r"(?<=[.!?])\s+")


def split_sentences(text: str) -> list[str]:
    """Pieces of ``text`` that end after ``.``, ``!`` or ``?`` and white space; none is empty."""
    return [piece for piece in _BREAK.split(text) if piece]


def pack_contexts(
    contexts: Iterable[str],
    count: TokenCounter,
    most: int = 2048,
    least: int = 100,
    rng: random.Random | None = None,
) -> list[str]:
    """Whole contexts, joined by an empty line, as long as they stay within a target.

    Args:
        contexts: texts; none is ever split, so one alone may exceed its target.
        count: token counter.
        most: the target, or the largest one.
        least: the smallest target, with ``rng``.
        rng: draws a target from ``least`` to ``most`` for each chunk, as the published code does with
            ``random.seed(s)``: ``random.Random(s)``. None: every target is ``most``.

    Returns:
        Chunks, in order. The tokens of a chunk are added up, those of each empty line included, not counted anew.

    Raises:
        SettingsError: the targets are no range.
    """
    return [chunk for chunk, _ in _packed(((text, "") for text in contexts), count, _targets(most, least, rng), "\n\n")]


def pack_articles(
    titles: Sequence[str],
    texts: Sequence[str],
    count: TokenCounter,
    most: int = 2048,
    least: int = 100,
    rng: random.Random | None = None,
) -> list[tuple[str, tuple[str, ...]]]:
    """Articles under their titles, packed as by `pack_contexts`.

    An article beyond the target of the chunk then open is cut to 4 * (target - 100) characters, and left out if still too long.

    Args:
        titles: one per text.
        texts: the articles.
        count, most, least, rng: see `pack_contexts`.

    Returns:
        (chunk, titles of its articles), in order.

    Raises:
        SettingsError: the targets are no range.
        ValueError: not as many titles as texts.
    """
    articles = zip(texts, titles, strict=True)

    def fitted(text: str, title: str, limit: int) -> str | None:
        whole = f"Title: {title}\n{text}"
        if count(whole) > limit:
            # Below 100 tokens the published bound is negative and cuts from the end.
            whole = f"Title: {title}\n{text[: min(len(text), (limit - 100) * 4)]}"
        return whole if count(whole) <= limit else None

    return _packed(articles, count, _targets(most, least, rng), "\n\n", fitted)


def pack_sentences(
    text: str, count: TokenCounter, most: int = 2048, split: Splitter = split_sentences, published: bool = True
) -> list[str]:
    """The sentences of a text, joined by spaces, within ``most`` tokens; a longer sentence is a chunk of its own.

    Args:
        text: one text.
        count: token counter.
        most: tokens per chunk; Mem-alpha takes 2048, for labelled examples 1024.
        split: finds the sentences.
        published: as Mem-alpha: a line break stands where the text says ``<|endoftext|>``. False: as MemoryAgentBench's copy
            of the function (HUST-AI-HYZ/MemoryAgentBench@455306d, utils/eval_other_utils.py; tokens cl100k), which keeps it.
    """
    sentences = (s.replace(SPECIAL, "\n") if published else s for s in split(text))
    return [chunk for chunk, _ in _packed(((s, "") for s in sentences), count, lambda: most, " ")]


def mab_chunks(
    text: str, count: TokenCounter, most: int = 4096, split: Splitter = split_sentences, published: bool = True
) -> list[str]:
    """The sentences of a context, joined by spaces, within ``most`` tokens; a longer sentence is a chunk of its own.

    Args:
        text: the context.
        count: token counter; ``<|endoftext|>`` counts as one token whatever it says.
        most: tokens per chunk: 4096, or the agent's own number.
        split: finds the sentences.
        published: keep a fault of the published code: where the first sentence alone exceeds ``most``, the first chunk is
            empty. False: no chunk is empty.

    Source: HUST-AI-HYZ/MemoryAgentBench@455306d, utils/eval_other_utils.py.
    """
    chunks: list[str] = []
    held: list[str] = []
    tokens = 0
    for sentence in split(text):
        size = sum(map(count, sentence.split(SPECIAL))) + sentence.count(SPECIAL)
        if tokens + size > most:
            chunks.append(" ".join(held))
            held, tokens = [], 0
        held.append(sentence)
        tokens += size
    if held:
        chunks.append(" ".join(held))
    return chunks if published else [chunk for chunk in chunks if chunk]


def mab_questions(
    questions: Sequence[str], answers: Sequence[Sequence[str]], published: bool = True
) -> list[tuple[str, list[Any]]]:
    """Question and references, in order.

    Args:
        questions: a row's questions.
        answers: a row's references, one list per question.
        published: keep a fault of the published code: with a single question the references are the whole nested list
            (``[["a"]]``, so that a judge is shown a list within a list). False: they are the question's own (``["a"]``).

    Raises:
        DataError: not as many lists of references as questions.

    Source: HUST-AI-HYZ/MemoryAgentBench@455306d, conversation_creator.py.
    """
    if len(questions) != len(answers):
        raise DataError(
            f"expected a list of references per question, got {len(answers)} for {len(questions)} questions"
        )
    if published and len(questions) == 1:
        return [(questions[0], [list(answers[0])])]
    return [(question, list(own)) for question, own in zip(questions, answers, strict=True)]


def _targets(most: int, least: int, rng: random.Random | None) -> Callable[[], int]:
    if rng is None:
        return lambda: most
    if not 1 <= least <= most:
        raise SettingsError(f"targets must satisfy 1 <= least <= most, got least={least}, most={most}")
    return lambda: rng.randint(least, most)


def _as_it_is(text: str, tag: str, limit: int) -> str | None:
    return text


def _packed(
    texts: Iterable[tuple[str, str]],
    count: TokenCounter,
    target: Callable[[], int],
    between: str,
    fit: Callable[[str, str, int], str | None] = _as_it_is,
) -> list[tuple[str, tuple[str, ...]]]:
    """Greedy packing of (text, tag) into (chunk, tags); a text that `fit` gives None for is left out."""
    chunks: list[tuple[str, tuple[str, ...]]] = []
    chunk, tokens, limit = "", 0, target()
    tags: tuple[str, ...] = ()
    for raw, tag in texts:
        text = fit(raw, tag, limit)
        if text is None:
            continue
        size = count(text)
        if chunk and tokens + size > limit:
            chunks.append((chunk.strip(), tags))
            chunk, tokens, tags, limit = text, size, (tag,), target()
        elif chunk:
            chunk, tokens, tags = chunk + between + text, tokens + size + count(between), (*tags, tag)
        else:
            # Also where all texts so far were empty: they leave no trace but their tags.
            chunk, tokens, tags = text, size, (*tags, tag)
    return [*chunks, (chunk.strip(), tags)] if chunk else chunks
