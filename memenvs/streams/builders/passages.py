"""Streams of passages with questions: SQuAD and HotpotQA.

* `Paragraph`, `squad` - paragraphs that carry their questions.
* `MultiHop`, `hotpotqa` - questions that need several articles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.builders.instance import BuiltQuestion, Instance, rng, sample
from memenvs.streams.builders.packing import packed
from memenvs.streams.builders.wrapping import dialogue

Choice = Callable[[Sequence[BuiltQuestion]], list[BuiltQuestion]]
"""Takes the questions of an instance that have short answers; gives those that stay, in their order."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One SQuAD paragraph."""

    context: str
    """The text."""
    title: str = ""
    """Of its article."""
    questions: tuple[tuple[str, str], ...] = ()
    """(question, first answer)."""


@dataclass(frozen=True, slots=True)
class MultiHop:
    """One HotpotQA question."""

    question: str
    """What is asked."""
    answer: str
    """The answer."""
    articles: tuple[tuple[str, str], ...]
    """(title, text) of the articles named by the supporting facts."""
    key: str = ""
    """Its id in the source."""


@dataclass(frozen=True, slots=True)
class PassageRule:
    """Sizes. The defaults are SQuAD's; `HOTPOTQA` has the other ones. Source: wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py."""

    low: int = 100
    """Least target of a chunk, tokens."""
    high: int = 2048
    """Greatest target of a chunk, tokens; a target is drawn uniformly for every chunk."""
    chunks: int = 10
    """Chunks of an instance (SQuAD)."""
    tokens: int = 10_000
    """Tokens of the articles of an instance, on average (HotpotQA)."""
    raw: int = 50
    """An instance needs so many questions before any are left out."""
    answer_tokens: int = 5
    """Questions are kept whose answer has fewer tokens."""
    least: int = 30
    """An instance needs so many kept questions."""
    most: int = 100
    """So many questions are drawn of the kept ones."""


HOTPOTQA = PassageRule(raw=30, least=10)
"""Sizes for HotpotQA. The builder keeps up to 200 questions, the published files 100."""


def squad(
    paragraphs: Iterable[Paragraph],
    seed: int,
    rule: PassageRule = PassageRule(),
    count: TokenCounter = count_tokens,
    stay: Choice = list,
) -> tuple[list[Instance], Counter[str]]:
    """Instances of ``rule.chunks`` consecutive chunks of different paragraphs, and why others were left out.

    A question's evidence is the chunk that its paragraph was packed into. (Published: the first chunk that contains the paragraph
    as a substring.)

    Args:
        paragraphs: in the order of the source.
        seed: of the draws.
        rule: sizes.
        count: token counter.
        stay: leaves out questions, such as those that a model answers without the text (as published); all stay by default.

    Returns:
        Instances in the order of the paragraphs, and a count by reason of what was dropped.
    """
    asked: dict[str, list[tuple[str, str]]] = {}
    titles: dict[str, str] = {}
    for paragraph in paragraphs:
        if context := paragraph.context.strip():
            asked.setdefault(context, []).extend(paragraph.questions)
            titles.setdefault(context, paragraph.title)
    contexts = list(asked)
    draw = rng(seed, "squad", "chunks")
    groups = packed(contexts, count, rule.low, rule.high, draw)
    found: list[Instance] = []
    dropped: Counter[str] = Counter()
    for number in range(0, len(groups), rule.chunks):
        part = groups[number : number + rule.chunks]
        questions = [
            BuiltQuestion(question, answer, (step,))
            for step, (_, group) in enumerate(part)
            for i in group
            for question, answer in dict.fromkeys(asked[contexts[i]])
        ]
        texts = [text for text, _ in part]
        origin = {"sub_source": "squad", "titles": list(dict.fromkeys(titles[contexts[i]] for _, g in part for i in g))}
        _finish("squad", texts, questions, origin, seed, rule, count, stay, found, dropped)
    return found, dropped


def hotpotqa(
    questions: Sequence[MultiHop],
    seed: int,
    rule: PassageRule = HOTPOTQA,
    count: TokenCounter = count_tokens,
    stay: Choice = list,
) -> tuple[list[Instance], Counter[str]]:
    """Instances of consecutive questions with the articles of their supporting facts.

    Questions are added until they need more than ``rule.tokens`` / (average tokens of an article) different articles. Articles
    stand in the order in which questions first need them (published: the order of a set, which the hash seed decides), and are
    never cut. Evidence: the chunks of the supporting articles. Arguments as `squad`.

    Returns:
        Instances in the order of the questions, and a count by reason of what was dropped.
    """
    every = {article for question in questions for article in question.articles}
    found: list[Instance] = []
    dropped: Counter[str] = Counter()
    if not every:
        return found, dropped
    most = rule.tokens * len(every) // sum(count(text) for _, text in every)
    group: list[MultiHop] = []
    articles: dict[tuple[str, str], None] = {}
    draw = rng(seed, "hotpotqa", "chunks")
    for number, question in enumerate(questions):
        group.append(question)
        articles.update(dict.fromkeys(question.articles))
        if len(articles) <= most and number + 1 < len(questions):
            continue
        texts = [f"Title: {title}\n{text}".strip() for title, text in articles]
        chunks = packed(texts, count, rule.low, rule.high, draw)
        names = list(articles)
        at = {names[i]: step for step, (_, inside) in enumerate(chunks) for i in inside}
        built = [
            BuiltQuestion(q.question, q.answer, tuple(sorted({at[article] for article in q.articles}))) for q in group
        ]
        origin = {"sub_source": "hotpotqa", "records": [q.key for q in group]}
        _finish("hotpotqa", [text for text, _ in chunks], built, origin, seed, rule, count, stay, found, dropped)
        group, articles = [], {}
    return found, dropped


def _finish(
    source: str,
    texts: Sequence[str],
    questions: Sequence[BuiltQuestion],
    origin: Mapping[str, object],
    seed: int,
    rule: PassageRule,
    count: TokenCounter,
    stay: Choice,
    found: list[Instance],
    dropped: Counter[str],
) -> None:
    """Filter and draw the questions, wrap the chunks; the instance goes to ``found`` or its reason to ``dropped``."""
    number = len(found) + dropped.total()
    draw = rng(seed, source, number)
    short = [q for q in questions if count(q.answer) < rule.answer_tokens]
    if len(questions) < rule.raw:
        dropped[f"fewer than {rule.raw} questions"] += 1
    elif len(short) < rule.least:
        dropped[f"fewer than {rule.least} questions with a short answer"] += 1
    elif len(kept := stay(short)) < rule.least:
        dropped[f"fewer than {rule.least} questions that need the text"] += 1
    else:
        chunks = tuple(dialogue(step, text, draw) for step, text in enumerate(texts))
        found.append(Instance(source, chunks, tuple(sample(kept, rule.most, draw)), origin))


def relaxed(rule: PassageRule, least: int) -> PassageRule:
    """The same rule for small files: instances with ``least`` questions are kept."""
    return replace(rule, raw=least, least=least)
