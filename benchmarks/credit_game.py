"""What exact credit costs: Shapley values of the step game per episode, and the readings that they need.

Episodes are builtin streams with a careless manager: some of each chunk's sentences are stored, now and then an item is deleted
or overwritten. Reported are means per episode: coalitions whose worth was asked for, readings that these needed, readings that
the reader had to answer (the unique ones), and process seconds with every cache of memenvs empty at the start.

"Naive" evaluates a coalition as a new episode in which the other steps say SKIP, index and all, and asks the reader each time;
its seconds are those of a sample of the same coalitions, scaled up. The run checks that both ways give the same worth.

    python benchmarks/credit_game.py --out credit_game.json
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import empty_caches, show, table_of, write
from rich.progress import Progress

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.reading import ExtractiveReader, extractive
from memenvs.streams import Stream, load
from memenvs.streams.sentences import sentences
from rewards.credit import StepGame, exact_shapley, leave_one_out, permutation_shapley

SKIP = '[{"op": "SKIP"}]'
Solution = Callable[[Callable[[frozenset[int]], float], Sequence[int]], Any]
ROWS: list[tuple[str, int, Solution]] = [
    ("exact Shapley", 10, exact_shapley),
    ("32 permutations", 10, permutation_shapley),
    ("32 permutations", 20, permutation_shapley),
    ("leave one out", 20, leave_one_out),
]
"""Solution, and how many steps its episodes have."""


def messages(stream: Stream, inserts: int, seed: int) -> list[str]:
    """One message per chunk: sentences to store, and every other time a delete or an update of something older."""
    rng, stored, found = random.Random(seed), [], []
    for step, chunk in enumerate(stream.chunks):
        told = sentences(chunk.text)
        chosen = rng.sample(told, min(inserts, len(told)))
        operations: list[dict[str, str]] = [{"op": "INSERT", "content": text} for text in chosen]
        if stored and rng.random() < 0.5:
            operations.append({"op": "DELETE", "id": rng.choice(stored)})
        if stored and rng.random() < 0.5:
            operations.append({"op": "UPDATE", "id": rng.choice(stored), "content": rng.choice(told)})
        stored += [f"{step}.{n}" for n in range(len(chosen))]
        found.append(json.dumps(operations))
    return found


def play(stream: Stream, sent: Sequence[str], questions: int) -> EpisodeRecord:
    """The episode with these messages; global questions alone."""
    asked = range(min(questions, len(stream.questions)))
    episode, reader = Episode(stream, EpisodeSettings(chunk_questions=0), asked), ExtractiveReader()
    for message in sent:
        episode.answer(reader.read(episode.act(message)))
    return episode.record()


def measure(
    name: str, T: int, solve: Solution, options: argparse.Namespace, advance: Callable[[], None]
) -> dict[str, Any]:
    """Means over episodes of one row."""
    data, rows = load("builtin", T=T), []
    for index in range(options.episodes):
        stream = data[index]
        sent = messages(stream, options.inserts, index)
        record = play(stream, sent, options.questions)
        asked: dict[frozenset[int], float] = {}

        empty_caches()
        begin = time.process_time()
        game = StepGame(record, ExtractiveReader())

        def value(steps: frozenset[int], game: StepGame = game, asked: dict = asked) -> float:
            asked[steps] = game.value(steps)
            return asked[steps]

        solve(value, game.players)
        seconds = time.process_time() - begin

        sample = random.Random(index).sample(sorted(asked, key=sorted), min(options.naive, len(asked)))
        begin = time.process_time()
        for steps in sample:
            extractive._answer.cache_clear()  # the reader's own memory of what it was asked
            alone = [message if t in steps else SKIP for t, message in enumerate(sent)]
            naive = play(stream, alone, options.questions).r_global
            assert naive == asked[steps], f"both ways must give the same worth (T = {T}, stream {index}, {steps})"
        slow = (time.process_time() - begin) * len(asked) / len(sample)
        reader = game.examiner.reader
        counts = [len(record.questions), len(record.memory), len(asked), reader.requests, reader.calls]
        rows.append([*counts, seconds, slow])
        advance()
    names = ("questions", "items", "coalitions", "requests", "unique", "seconds", "naive_seconds")
    means = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    return {"solution": name, "T": T} | means | {"ratio": means["naive_seconds"] / means["seconds"]}


COLUMNS = {
    "solution": "{solution}",
    "T": "{T}",
    "questions": "{questions:.0f}",
    "items": "{items:.0f}",
    "coalitions": "{coalitions:.0f}",
    "readings": "{requests:.0f}",
    "unique": "{unique:.0f}",
    "seconds": "{seconds:.3f}",
    "naive": "{naive_seconds:.2f}",
    "ratio": "{ratio:.0f}x",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=5, help="streams per row")
    parser.add_argument("--questions", type=int, default=12, help="global questions per episode")
    parser.add_argument("--inserts", type=int, default=4, help="sentences stored per step, of the six that a chunk has")
    parser.add_argument("--naive", type=int, default=64, help="coalitions per episode that are evaluated the naive way")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    with Progress(transient=True) as progress:
        bar = progress.add_task("episodes", total=options.episodes * len(ROWS))
        results = [measure(*row, options, lambda: progress.advance(bar)) for row in ROWS]

    title = f"the step game with the extractive reader: means of {options.episodes} episodes"
    show(table_of(results, COLUMNS, title), "All coalitions that were evaluated both ways had equal worth.")
    write(options.out, "credit_game", results)


if __name__ == "__main__":
    main()
