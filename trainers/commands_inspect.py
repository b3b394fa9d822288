"""The command ``memenvs data inspect``. Its docstring is its ``--help``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import tyro

from memenvs.memory.tokens import TokenCounter
from memenvs.streams import Stream, StreamDataset

_SHOWN = 300


def inspect(
    path: Annotated[Path, tyro.conf.Positional],
    split: str = "test",
    families: tuple[str, ...] = (),
    tokens: str = "words",
    as_json: bool = False,
) -> None:
    """Look at a data file or folder: what is in it, how long it is, and every problem found.

    A file of any published form:
        memenvs data inspect path/to/locomo10.json

    A folder, one split, for programs:
        memenvs data inspect path/to/MemoryAgentBench --split Conflict_Resolution --as-json

    Args:
        path: file, folder or hub id.
        split: of a folder or hub id; a file fixes it.
        families: question sources to look at; all if none is named.
        tokens: token counter: words, or o200k, cl100k, qwen, which need a vocabulary file.
        as_json: print JSON instead of a summary.
    """
    from rich.console import Console
    from rich.markup import escape

    from memenvs.memory.token_counters import token_counter
    from memenvs.streams import load

    settings: dict[str, Any] = {"families": list(families)} if families else {}
    found = report(load(path, split=split, on_error="skip", **settings), token_counter(tokens)) | {"tokens": tokens}
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=True))
        return
    console = Console()
    for name, value in found.items():
        if name in ("problems", "sample", "sources"):
            console.print(f"{name}:")
            lines = value if isinstance(value, list) else [f"{key}: {one}" for key, one in value.items()]
            for line in lines or ["none"]:
                console.print(f"  {escape(str(line))}", highlight=False)
        else:
            console.print(f"{name}: {escape(str(value))}", highlight=False)


def _spread(values: list[int]) -> dict[str, float]:
    return {"min": min(values), "mean": round(sum(values) / len(values), 1), "max": max(values), "sum": sum(values)}


def report(dataset: StreamDataset, count: TokenCounter) -> dict[str, Any]:
    """What a data set holds, as plain data.

    Args:
        dataset: opened with ``on_error="skip"``, so that malformed rows are counted rather than raised.
        count: token counter.

    Returns:
        Names, licence, contamination, fingerprint; numbers of streams, chunks, questions, chunk questions and skipped rows;
        questions per ``sources``; the spread of steps, of tokens per chunk and per stream; ``problems``; a ``sample``.
    """
    steps: list[int] = []
    chunk_tokens: list[int] = []
    stream_tokens: list[int] = []
    sources: Counter[str] = Counter()
    asked_at_chunks = with_evidence = 0
    problems = [one.reason for one in getattr(dataset, "skipped", ())]
    first: Stream | None = None
    for index in range(len(dataset)):
        stream = dataset[index]
        first = first or stream
        sizes = [count(chunk.text) for chunk in stream.chunks]
        steps.append(stream.T)
        chunk_tokens += sizes
        stream_tokens.append(sum(sizes))
        sources.update(question.source for question in stream.questions)
        asked_at_chunks += sum(len(chunk.questions) for chunk in stream.chunks)
        with_evidence += sum(bool(question.evidence) for question in stream.questions)
        problems += _oddities(stream)
    assert first is not None, "a data set has at least one stream"
    return {
        "source": dataset.source,
        "revision": getattr(dataset, "revision", None),
        "split": dataset.split,
        "licence": dataset.licence,
        "contamination": getattr(dataset, "contamination", ""),
        "fingerprint": dataset.fingerprint,
        "streams": len(dataset),
        "skipped": len(getattr(dataset, "skipped", ())),
        "chunks": sum(steps),
        "questions": sources.total(),
        "questions_with_evidence": with_evidence,
        "chunk_questions": asked_at_chunks,
        "sources": dict(sorted(sources.items())),
        "steps": _spread(steps),
        "tokens_per_chunk": _spread(chunk_tokens),
        "tokens_per_stream": _spread(stream_tokens),
        "problems": problems,
        "sample": {
            "stream": first.id,
            "chunk": first.chunks[0].text[:_SHOWN],
            "question": first.questions[0].text[:_SHOWN],
            "references": [one[:_SHOWN] for one in first.questions[0].references[:5]],
        },
    }


def _oddities(stream: Stream) -> list[str]:
    """What a loader noted about the stream, and what any stream can be checked for."""
    noted = [f"{stream.id}: {problem}" for problem in stream.metadata.get("problems", [])]
    blank = [step for step, chunk in enumerate(stream.chunks) if not chunk.text.strip()]
    noted += [f"{stream.id}: chunks without text: {blank[:10]}"] if blank else []
    empty = [i for i, q in enumerate(stream.questions) if not all(reference.strip() for reference in q.references)]
    noted += [f"{stream.id}: questions with an empty reference: {empty[:10]}"] if empty else []
    times = Counter(question.text for question in stream.questions)
    twice = sum(1 for n in times.values() if n > 1)
    noted += [f"{stream.id}: {twice} questions asked more than once"] if twice else []
    return noted
