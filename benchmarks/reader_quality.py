"""How well the extractive reader does on real questions: exact match and F1 on SQuAD and HotpotQA files.

Usage::

    python benchmarks/reader_quality.py --squad train-v1.1.json --hotpotqa hotpot_train.json --out quality.json

Each data set is read in two settings:

* ``gold``: the sentences of the passages that hold the answer are the memory's items;
* ``all``: the sentences of the whole article (SQuAD) or of all ten paragraphs (HotpotQA) are.

The five best items by BM25 go to the reader. Scores use the official SQuAD normalisation and the best reference.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from memenvs.memory.bank import MemoryBank
from memenvs.memory.operations import Operation
from memenvs.memory.retrieval import BM25Retriever
from memenvs.reading.base import Reading
from memenvs.reading.extractive import ExtractiveReader
from memenvs.streams.sentences import sentences

K = 5
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Case:
    """One question with the items of both settings."""

    question: str
    references: tuple[str, ...]
    gold: tuple[str, ...]
    all: tuple[str, ...]


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: as in the official SQuAD v1.1 evaluation."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, references: Iterable[str]) -> float:
    """1.0 where the normalised prediction equals a normalised reference."""
    return float(any(normalise(prediction) == normalise(reference) for reference in references))


def f1(prediction: str, references: Iterable[str]) -> float:
    """Best F1 over the words of the normalised prediction and reference."""
    return max(_f1(normalise(prediction).split(), normalise(reference).split()) for reference in references)


def _f1(predicted: list[str], wanted: list[str]) -> float:
    common = sum((Counter(predicted) & Counter(wanted)).values())
    if not predicted or not wanted or not common:
        return float(predicted == wanted)
    precision, recall = common / len(predicted), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def squad_cases(path: Path) -> Iterator[Case]:
    """Cases of a SQuAD v1.1 file."""
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        whole = tuple(s for paragraph in article["paragraphs"] for s in sentences(paragraph["context"]))
        for paragraph in article["paragraphs"]:
            gold = tuple(sentences(paragraph["context"]))
            for asked in paragraph["qas"]:
                references = tuple(answer["text"] for answer in asked["answers"])
                if references:
                    yield Case(asked["question"], references, gold, whole)


def hotpotqa_cases(path: Path) -> Iterator[Case]:
    """Cases of a HotpotQA file in distractor form; yes/no questions count too."""
    for record in json.loads(path.read_text(encoding="utf-8")):
        needed = {title for title, _ in record["supporting_facts"]}
        # The title goes along with each sentence, which often says "he" or "it".
        told = {title: [f"{title}: {s.strip()}" for s in parts if s.strip()] for title, parts in record["context"]}
        gold = tuple(s for title, parts in told.items() if title in needed for s in parts)
        yield Case(record["question"], (record["answer"],), gold, tuple(s for parts in told.values() for s in parts))


def measure(cases: list[Case], setting: str, title: str, console: Console) -> dict[str, Any]:
    """Exact match, F1 and the share of answers that stand in a retrieved item, each in percent."""
    reader = ExtractiveReader()
    retrievers: dict[tuple[str, ...], BM25Retriever] = {}
    readings = []
    for case in track(cases, f"{title}, {setting}", console=console, transient=True):
        items = getattr(case, setting)
        if items not in retrievers:
            retrievers[items] = BM25Retriever()
            retrievers[items].follow(MemoryBank().apply(Operation("INSERT", s) for s in items).changes)
        found = retrievers[items].top_k(case.question, K)
        readings.append(Reading(case.question, tuple((item.id, item.content) for _, item in found)))
    answers = reader.read(readings)
    pairs = list(zip(answers, cases, strict=True))
    present = [
        any(normalise(ref) in normalise(content) for ref in case.references for _, content in reading.items)
        for reading, case in zip(readings, cases, strict=True)
    ]
    return {
        "data": title,
        "items": setting,
        "questions": len(cases),
        "exact_match": 100 * sum(exact_match(a.text, c.references) for a, c in pairs) / len(pairs),
        "f1": 100 * sum(f1(a.text, c.references) for a, c in pairs) / len(pairs),
        "answered": 100 * sum(bool(a.text) for a, _ in pairs) / len(pairs),
        "answer_retrieved": 100 * sum(present) / len(pairs),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--squad", type=Path, help="a SQuAD v1.1 JSON file")
    parser.add_argument("--hotpotqa", type=Path, help="a HotpotQA JSON file in distractor form")
    parser.add_argument("--sample", type=int, default=1000, help="questions per data set (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default 0)")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    rows = []
    for title, path, cases_of in (
        ("squad", options.squad, squad_cases),
        ("hotpotqa", options.hotpotqa, hotpotqa_cases),
    ):
        if path is None or not path.is_file():
            console.print(
                f"{title}: skipped, {'no file given' if path is None else f'no file {path.name}'} (--{title} PATH)"
            )
            continue
        cases = list(cases_of(path))
        if len(cases) > options.sample:
            cases = random.Random(options.seed).sample(cases, options.sample)
        rows += [measure(cases, setting, title, console) for setting in ("gold", "all")]
    if not rows:
        return 0
    table = Table("data", "items", "questions", "exact match", "F1", "answered", "answer in top 5")
    for row in rows:
        numbers = [f"{row[name]:.1f}" for name in ("exact_match", "f1", "answered", "answer_retrieved")]
        table.add_row(row["data"], row["items"], str(row["questions"]), *numbers)
    Console().print(table)
    if options.out:
        report = {"reader": ExtractiveReader.name, "k": K, "seed": options.seed, "rows": rows}
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
