r"""Streams of labelled sentences, to be learned in context: PubMed-RCT, NLU, TREC, BANKING77, CLINC150.

* `LabelledRule` - sizes and wording of one source; `RULES` has them all.
* `label_ids` - names of labels as numbers.
* `labelled` - the instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from memenvs.errors import DataError
from memenvs.memory.tokens import TokenCounter, count_tokens
from memenvs.streams.builders.instance import BuiltQuestion, Instance, rng
from memenvs.streams.builders.wrapping import EXAMPLES, dialogue

Pair = tuple[str, str]
"""(text, label)."""


@dataclass(frozen=True, slots=True)
class LabelledRule:
    """Sizes and wording of one source. Source: wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py."""

    source: str
    """Name of the sub-dataset as published."""
    low: int
    """Least size of a chunk, tokens."""
    high: int
    """Greatest size of a chunk, tokens; drawn uniformly for every chunk."""
    counted: Literal["example", "text"] = "example"
    """What a size counts: whole examples, or (as published for NLU and TREC) only the sentences without their labels."""
    medical: bool = False
    """The wording of PubMed-RCT: "Sample:", "Labels:"."""
    chunks: int = 10
    """Chunks of an instance."""
    questions: int = 100
    """Questions of an instance, at most."""

    def example(self, text: str, label: str) -> str:
        """One labelled example."""
        first, second = ("Sample", "Labels") if self.medical else ("Sentence", "Label")
        return f"{first}: {text}\n{second}: {label}"

    def question(self, text: str) -> str:
        r"""The question for a label; its answer is the label, asked for in ``\boxed{}``."""
        what = "medical abstract sentence" if self.medical else "sentence"
        return f"Sentence: {text}\nWhat are the labels for the above {what}? Put your final answer as \\boxed{{label}}."


RULES: Mapping[str, LabelledRule] = {
    "pubmed": LabelledRule("pubmed-rct", 1024, 2048, medical=True),
    "nlu": LabelledRule("icl_nlu_8296shot_balance", 200, 200, "text"),
    "trec": LabelledRule("icl_trec_coarse_6600shot_balance", 200, 200, "text"),
    "banking77": LabelledRule("icl_banking77_5900shot_balance", 1024, 1024),
    "clinc150": LabelledRule("icl_clinic150_7050shot_balance", 1024, 1024),
}
"""By name of the raw source. 200 tokens a chunk are the published 2000 an instance; 1024 is the published chunk of the last two."""


def label_ids(labels: Sequence[str], seed: int) -> dict[str, str]:
    """Label -> number as a string, a random permutation that depends on the set of labels and the seed only.

    Labels that are all whole numbers keep them.
    """
    names = sorted(set(labels))
    if all(name.isdecimal() for name in names):
        return {name: name for name in names}
    numbers = list(range(len(names)))
    rng(seed, "labels", *names).shuffle(numbers)
    return {name: str(number) for name, number in zip(names, numbers, strict=True)}


def labelled(
    pool: Sequence[Pair],
    held_out: Sequence[Pair],
    rule: LabelledRule,
    instances: int,
    seed: int,
    split: str,
    count: TokenCounter = count_tokens,
) -> list[Instance]:
    """Instances whose chunks are examples of ``pool``, drawn anew for each.

    Every label of the pool has an example in the chunks if they have room for it, in a chunk that chance decides; a question's
    label always has one. (Published: the step that should care for this finds no label, and appends one more example of every
    label to the first chunk.) Examples and questions of an instance are different texts. Evidence: every chunk with an example
    of the question's label.

    Args:
        pool: examples, labels as numbers. The order does not matter: they are sorted, because samples depend on it.
        held_out: where the questions are drawn; empty: from the pool too.
        rule: sizes and wording.
        instances: how many.
        seed: of the draws.
        split: part of the draws' names, so that splits differ.
        count: of tokens.

    Raises:
        DataError: the pool is too small for two chunks and one question.
    """
    apart = sorted(set(held_out))
    taken = {text for text, _ in apart}
    every = sorted({pair for pair in pool if pair[0] not in taken})
    found = []
    for number in range(instances):
        draw = rng(seed, rule.source, split, number)
        first, others = _one_of_each(draw.sample(every, len(every)))
        asked = draw.sample(apart, len(apart))
        if not apart:
            # A small pool keeps four fifths for its examples.
            reserved = min(rule.questions, len(every) // 5)
            asked, others = others[:reserved], others[reserved:]
        groups = _fill([*first, *others], rule, draw.randint, count)
        order = [pair for group in groups for pair in group]
        draw.shuffle(order)
        sizes = [len(group) for group in groups]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        chunks = [order[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        at: dict[str, list[int]] = {}
        for step, chunk in enumerate(chunks):
            for label in {label for _, label in chunk}:
                at.setdefault(label, []).append(step)
        questions = tuple(
            BuiltQuestion(rule.question(text), label, tuple(at[label])) for text, label in asked if label in at
        )[: rule.questions]
        if len(chunks) < 2 or not questions:
            raise DataError(
                f"{rule.source}: {len(every)} examples make {len(chunks)} chunks and {len(questions)} questions; an instance "
                "needs two chunks and one question: give more examples"
            )
        texts = tuple(
            dialogue(step, "\n\n".join(rule.example(*pair) for pair in chunk), draw, EXAMPLES, rule.medical)
            for step, chunk in enumerate(chunks)
        )
        origin = {"sub_source": rule.source, "examples": len(order), "labels_covered": len(at)}
        found.append(Instance(rule.source, texts, questions, origin))
    return found


def _one_of_each(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The first example of every label, and the others."""
    seen: set[str] = set()
    first: list[Pair] = []
    others: list[Pair] = []
    for pair in pairs:
        (others if pair[1] in seen else first).append(pair)
        seen.add(pair[1])
    return first, others


def _fill(
    examples: Sequence[Pair], rule: LabelledRule, randint: Callable[[int, int], int], count: TokenCounter
) -> list[list[Pair]]:
    """Examples, as they come, until every chunk has reached its size."""
    groups: list[list[Pair]] = []
    filled, limit = 0, 0
    for text, label in examples:
        if not groups or filled >= limit:
            if len(groups) == rule.chunks:
                break
            groups.append([])
            filled, limit = 0, randint(rule.low, rule.high)
        groups[-1].append((text, label))
        filled += count(text if rule.counted == "text" else rule.example(text, label))
    return groups
