"""Environment steps per second, against the same episodes done the way published memory agents do them.

One step carries out 5 inserts (a fifth of the chunk each), an update and a delete and answers 5 chunk questions; at the end all
global questions are asked.
"The peers' way" keeps a list of items, tokenises all of them and builds rank_bm25 anew for every question, and recounts the
memory's tokens every step. Streams, messages, reader, metrics and k are the same; the run checks that every question retrieves
the same items and that r_global is equal. Caches are emptied before each episode.

The embedded reader takes most of a step, and the same in both; "first item" is a reader that costs nothing, so that its rows
show everything else.

    python benchmarks/env_steps.py --out env_steps.json
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from harness import empty_caches, show, table_of, write
from rank_bm25 import BM25Okapi
from rich.progress import Progress

from memenvs.memory.tokens import count_tokens, search_tokens
from memenvs.reading import Answer, ExtractiveReader, Reader, Reading
from memenvs.scoring import score
from memenvs.streams import Stream

K, CHUNK_QUESTIONS = 5, 5
tokenise, count = search_tokens.__wrapped__, count_tokens.__wrapped__


class FirstItem:
    """Answers with the best item's text."""

    name = "first item"

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """One answer per reading."""
        return [Answer(r.items[0][1], (r.items[0][0],)) if r.items else Answer("") for r in readings]


READERS: dict[str, Callable[[], Reader]] = {"extractive": ExtractiveReader, "first item": FirstItem}


class Outcome(NamedTuple):
    """What both ways must agree on, and how long one took."""

    seconds: float
    retrieved: list[list[str]]
    tokens: list[int]
    r_global: float


def messages(stream: Stream) -> list[str]:
    """One message per chunk: the chunk in 5 items, an update and a delete of what the step before wrote."""
    found = []
    for step, chunk in enumerate(stream.chunks):
        sentences = re.split(r"(?<=[.!?])\s+", chunk.text)
        size = -(-len(sentences) // 5)
        parts = [" ".join(sentences[i : i + size]) for i in range(0, len(sentences), size)]
        operations = [{"op": "INSERT", "content": part} for part in parts[:5]]
        if step:
            operations.append({"op": "UPDATE", "id": f"{step - 1}.0", "content": parts[-1]})
            operations.append({"op": "DELETE", "id": f"{step - 1}.1"})
        found.append(json.dumps(operations))
    return found


def ours(env: gym.Env, sent: list[str], stream: int) -> Outcome:
    """The episode in MemoryEnv."""
    env.reset(options={"stream": stream})
    empty_caches()
    begin = time.perf_counter()
    for message in sent:
        *_, info = env.step(message)
    seconds = time.perf_counter() - begin
    record = env.unwrapped.record
    readings = [*(r for step in record.steps for r in step.readings), *record.questions]
    ids = [[item.id for item in reading.retrieved] for reading in readings]
    return Outcome(seconds, ids, [step.memory_tokens for step in record.steps], info["r_global"])


def peers(sent: list[str], stream: Stream, reader: Reader, bar: Callable[[], None]) -> Outcome:
    """The episode the peers' way."""
    items: list[dict[str, str]] = []
    retrieved, tokens = [], []

    def answers(questions) -> list[float]:
        readings = []
        for question in questions:
            index = BM25Okapi([tokenise(item["content"]) for item in items])
            scores = index.get_scores(tokenise(question.text))
            best = [items[i] for i in np.argsort(-np.round(scores, 9), kind="stable")[:K]]
            retrieved.append([item["id"] for item in best])
            readings.append(Reading(question.text, tuple((i["id"], i["content"]) for i in best), question.source))
        pairs = zip(questions, reader.read(readings), strict=True)
        return [score(answer.text, question.references, question.source) for question, answer in pairs]

    empty_caches()
    begin = time.perf_counter()
    for step, message in enumerate(sent):
        inserted = 0
        for operation in json.loads(message):
            if operation["op"] == "INSERT":
                items.append({"id": f"{step}.{inserted}", "content": operation["content"]})
                inserted += 1
            elif operation["op"] == "UPDATE":
                next(item for item in items if item["id"] == operation["id"])["content"] = operation["content"]
            else:
                items = [item for item in items if item["id"] != operation["id"]]
        answers(stream.chunks[step].questions[:CHUNK_QUESTIONS])
        tokens.append(sum(count(item["content"]) for item in items))
        bar()
    scores = answers(stream.questions)
    return Outcome(time.perf_counter() - begin, retrieved, tokens, sum(scores) / len(scores))


def measure(length: int, reader: str, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Episodes both ways, alternating, until the time is used up."""
    env = gym.make(
        "FineMem-Memalpha-v0",
        data_settings={"T": length, "sentences": options.sentences},
        reader=READERS[reader](),
        k=K,
        idf="okapi",
        chunk_questions=CHUNK_QUESTIONS,
    )
    times: dict[str, list[float]] = {"ours": [], "peers": []}
    bar = progress.add_task(f"T = {length}, {reader}", total=length)
    episode = 0
    while not times["peers"] or sum(times["ours"]) + sum(times["peers"]) < options.seconds:
        stream = env.unwrapped.dataset[episode]
        sent = messages(stream)
        progress.reset(bar)
        mine = ours(env, sent, episode)
        other = peers(sent, stream, READERS[reader](), lambda: progress.advance(bar))
        assert mine[1:] == other[1:], f"both ways must retrieve and score the same (T = {length}, stream {episode})"
        times["ours"].append(mine.seconds)
        times["peers"].append(other.seconds)
        episode += 1
    progress.remove_task(bar)
    rates = {name: length * episode / sum(values) for name, values in times.items()}
    bank = env.unwrapped.episode.bank
    return {
        "reader": reader,
        "T": length,
        "episodes": episode,
        "items": len(bank),
        "tokens_per_item": bank.tokens / len(bank),
        "questions": len(mine.retrieved),
        "r_global": mine.r_global,
        "ours_steps_per_s": rates["ours"],
        "peers_steps_per_s": rates["peers"],
        "ratio": rates["ours"] / rates["peers"],
    }


COLUMNS = {
    "reader": "{reader}",
    "T": "{T}",
    "episodes": "{episodes}",
    "items at the end": "{items}",
    "tokens an item": "{tokens_per_item:.0f}",
    "questions": "{questions}",
    "MemoryEnv": "{ours_steps_per_s:.0f}",
    "peers' way": "{peers_steps_per_s:.1f}",
    "ratio": "{ratio:.1f}x",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[20, 100, 300], help="steps per episode (T)")
    parser.add_argument(
        "--readers", nargs="+", choices=list(READERS), default=list(READERS), help="readers to run with"
    )
    parser.add_argument("--sentences", type=int, default=20, help="sentences per chunk; an item is a fifth of a chunk")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to repeat each row (one episode at least)")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    with Progress(transient=True) as progress:
        results = [measure(T, reader, options, progress) for reader in options.readers for T in options.lengths]

    title = "environment steps per second: 5 inserts, an update, a delete and 5 chunk questions a step"
    show(table_of(results, COLUMNS, title), "Retrieved items, token counts and r_global were equal in every episode.")
    write(options.out, "env_steps", results)


if __name__ == "__main__":
    main()
