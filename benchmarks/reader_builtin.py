"""What the embedded reader makes of builtin streams: r_global of memories made by hand.

python benchmarks/reader_builtin.py --streams 40
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memenvs import Episode, EpisodeSettings
from memenvs.reading import ExtractiveReader
from memenvs.streams import Stream, load
from memenvs.streams.procedural import FAMILIES
from memenvs.streams.sentences import sentences


def evidence(stream: Stream) -> list[list[str]]:
    """Per step, exactly the evidence of the global questions."""
    told: list[list[str]] = [[] for _ in stream.chunks]
    for question in stream.questions:
        for piece in question.evidence:
            if piece.text not in told[piece.step]:
                told[piece.step].append(piece.text)
    return told


def stale(stream: Stream) -> list[list[str]]:
    """The evidence, but of each overwritten fact its first value."""
    old = {number: (step, text) for number, step, text in reversed(stream.metadata["stale"])}
    told: list[list[str]] = [[] for _ in stream.chunks]
    for number, question in enumerate(stream.questions):
        pieces = [old[number]] if number in old else [(piece.step, piece.text) for piece in question.evidence]
        for step, text in pieces:
            if text not in told[step]:
                told[step].append(text)
    return told


MEMORIES: dict[str, Callable[[Stream], list[list[str]]]] = {
    "exactly the evidence": evidence,
    "every sentence": lambda stream: [sentences(chunk.text) for chunk in stream.chunks],
    "first value of overwritten facts": stale,
    "empty": lambda stream: [[] for _ in stream.chunks],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=40, help="held-out streams")
    parser.add_argument("--T", type=int, default=20, help="steps per stream")
    parser.add_argument("--family", choices=FAMILIES, help="streams that ask for this alone; all families if not given")
    options = parser.parse_args()
    families = {"families": [options.family]} if options.family else {}
    data, reader = load("builtin", split="test", T=options.T, **families), ExtractiveReader()
    table = Table("memory", "r_global", title=f"T = {options.T}, {options.streams} held-out streams, BM25 top 5")
    for name, told_in in track(MEMORIES.items(), "memories"):
        scores = []
        for index in range(options.streams):
            stream = data[index]
            episode = Episode(stream, EpisodeSettings(chunk_questions=0))
            for told in told_in(stream):
                message = json.dumps([{"op": "INSERT", "content": text} for text in told] or [{"op": "SKIP"}])
                episode.answer(reader.read(episode.act(message)))
            scores.append(episode.record().r_global)
        table.add_row(name, f"{np.mean(scores):.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
