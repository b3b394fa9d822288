"""Builtin streams: what a memory must hold to answer their questions with the default retriever and reader."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import pytest

from memenvs.memory.bank import MemoryBank
from memenvs.memory.operations import Operation
from memenvs.memory.retrieval import BM25Retriever
from memenvs.reading.base import Reading
from memenvs.reading.extractive import ExtractiveReader
from memenvs.scoring import score
from memenvs.streams.procedural import FAMILIES, ProceduralStreams
from memenvs.streams.sentences import sentences
from memenvs.streams.types import Question, Stream


def grade(contents: Iterable[str], questions: Sequence[Question]) -> float:
    """Mean score of the default reader over a memory of ``contents``, five items retrieved."""
    retriever = BM25Retriever()
    retriever.follow(MemoryBank().apply(Operation("INSERT", content) for content in contents).changes)
    readings = []
    for question in questions:
        items = tuple((item.id, item.content) for _, item in retriever.top_k(question.text, 5))
        readings.append(Reading(question.text, items, question.source))
    answers = ExtractiveReader().read(readings)
    return statistics.mean(score(a.text, q.references, q.source) for a, q in zip(answers, questions, strict=True))


def evidence_of(stream: Stream) -> list[str]:
    return list(dict.fromkeys(e.text for question in stream.questions for e in question.evidence))


def told(stream: Stream) -> list[str]:
    return [sentence for chunk in stream.chunks for sentence in sentences(chunk.text)]


def oracle(count: int = 40, **settings: object) -> float:
    data = ProceduralStreams(split="test", **settings)
    return statistics.mean(grade(evidence_of(data[i]), data[i].questions) for i in range(count))


def test_the_evidence_answers_the_questions() -> None:
    assert oracle() >= 0.95


@pytest.mark.parametrize(("T", "count"), [(4, 40), (40, 20), (100, 8)])
def test_the_evidence_answers_the_questions_at_other_lengths(T: int, count: int) -> None:
    assert oracle(count, T=T) >= 0.93


@pytest.mark.parametrize("family", FAMILIES)
def test_the_evidence_answers_the_questions_of_each_family(family: str) -> None:
    assert oracle(20, families=(family,)) >= 0.93


def test_an_empty_memory_scores_nothing() -> None:
    assert statistics.mean(grade([], ProceduralStreams()[i].questions) for i in range(10)) == 0


def test_storing_everything_is_clearly_worse_than_storing_what_matters() -> None:
    data = ProceduralStreams(split="test")
    everything = statistics.mean(grade(told(data[i]), data[i].questions) for i in range(20))
    assert 0.45 <= everything <= 0.8


def test_outdated_facts_lose_their_questions() -> None:
    data = ProceduralStreams(split="test", families=("conflict-resolution",))
    for i in range(10):
        stream = data[i]
        first = {j: text for j, _, text in reversed(stream.metadata["stale"])}
        assert grade(first.values(), stream.questions) == 0


def test_stale_items_beside_current_ones_cost_score() -> None:
    data = ProceduralStreams(split="test", families=("conflict-resolution",))
    scores = []
    for i in range(20):
        stream = data[i]
        scores.append(
            grade([*(text for _, _, text in stream.metadata["stale"]), *evidence_of(stream)], stream.questions)
        )
    assert statistics.mean(scores) <= 0.6


@pytest.mark.parametrize(("relevance", "least"), [(1.0, 0.95), (0.5, 0.93), (0.0, 0.93)])
def test_a_chunk_answers_its_own_questions(relevance: float, least: float) -> None:
    data = ProceduralStreams(split="test", relevance=relevance)
    chunks = [chunk for i in range(10) for chunk in data[i].chunks if chunk.questions]
    assert statistics.mean(grade(sentences(chunk.text), chunk.questions) for chunk in chunks) >= least
