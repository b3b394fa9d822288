"""What retrieval over a changing memory costs: BM25Index against rank_bm25 and bm25s.

Each step writes (one insert, one update, one delete), then queries. Reported are the milliseconds of making the index current
after a step's writes ("sync") and of one query, for

* BM25Index, which follows the writes;
* rank_bm25 rebuilt once per step from cached tokens;
* rank_bm25 rebuilt for every query with all items tokenised again, as the published memory servers do;
* bm25s rebuilt once per step from cached tokens.

The okapi variants must find the same items for every query; the run checks it.

    python benchmarks/retrieval.py --out retrieval.json
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import bm25s
import numpy as np
from harness import show, write
from rank_bm25 import BM25Okapi
from rich.progress import Progress
from rich.table import Table

from memenvs.memory import BM25Index, MemoryBank, Operation
from memenvs.memory.tokens import search_tokens

ITEM_WORDS, QUERY_WORDS, K = 40, 10, 10
VOCABULARY = [f"w{n}" for n in range(20_000)]
#: Word frequencies fall off as in text (Zipf).
WEIGHTS = list(np.cumsum(1 / (np.arange(len(VOCABULARY)) + 2.7)))
#: Tokenising without the cache that memenvs has: the peers pay it in full.
tokenise = search_tokens.__wrapped__


class Workload:
    """Items and what happens to them; the same for every contender of a size."""

    def __init__(self, items: int, steps: int, queries: int) -> None:
        self.rng = random.Random(items)
        self.start = {f"i{n}": self.words(ITEM_WORDS) for n in range(items)}
        self.steps = []
        known = list(self.start)
        for n in range(steps):
            updated, deleted = self.rng.sample(range(len(known)), 2)
            writes = (
                ("insert", f"n{n}", self.words(ITEM_WORDS)),
                ("update", known[updated], self.words(ITEM_WORDS)),
                ("delete", known[deleted], ""),
            )
            known[deleted] = f"n{n}"
            self.steps.append((writes, [self.words(QUERY_WORDS) for _ in range(queries)]))

    def words(self, count: int) -> str:
        """Random words, frequent ones often."""
        return " ".join(self.rng.choices(VOCABULARY, cum_weights=WEIGHTS, k=count))


class Ours:
    """BM25Index; ``idf`` decides its formula."""

    def __init__(self, start: dict[str, str], idf: str) -> None:
        self.index = BM25Index(idf=idf)
        for item_id, text in start.items():
            self.index.insert(item_id, text)

    def sync(self, writes) -> None:
        """Take over a step's writes."""
        for op, item_id, text in writes:
            if op == "delete":
                self.index.delete(item_id)
            else:
                getattr(self.index, op)(item_id, text)

    def query(self, query: str) -> list[str]:
        """Ids of the best items."""
        return [item_id for item_id, _ in self.index.top_k(query, K)]


class Rebuilt:
    """rank_bm25, built again per step (tokens kept) or per query (everything tokenised again)."""

    def __init__(self, start: dict[str, str], per_query: bool) -> None:
        self.per_query = per_query
        self.texts = dict(start)
        self.tokens = {item_id: tokenise(text) for item_id, text in start.items()}

    def write(self, writes) -> None:
        """Keep the texts, and the tokens where they are kept."""
        for op, item_id, text in writes:
            if op == "delete":
                del self.texts[item_id]
                self.tokens.pop(item_id, None)
            else:
                self.texts[item_id] = text
                if not self.per_query:
                    self.tokens[item_id] = tokenise(text)

    def sync(self, writes) -> None:
        """Take over a step's writes."""
        self.write(writes)
        if not self.per_query:
            self.index = BM25Okapi(list(self.tokens.values()))

    def query(self, query: str) -> list[str]:
        """Ids of the best items."""
        if self.per_query:
            self.index = BM25Okapi([tokenise(text) for text in self.texts.values()])
        scores = self.index.get_scores(tokenise(query))
        best = np.argsort(-np.round(scores, 9), kind="stable")[:K]
        ids = list(self.texts)
        return [ids[i] for i in best]


class Bm25s(Rebuilt):
    """bm25s (its Lucene variant), built again per step."""

    def sync(self, writes) -> None:
        """Take over a step's writes."""
        self.write(writes)
        self.index = bm25s.BM25(k1=1.5, b=0.75)
        self.index.index([list(tokens) for tokens in self.tokens.values()], show_progress=False)

    def query(self, query: str) -> list[str]:
        """Ids of the best items."""
        found, _ = self.index.retrieve([list(tokenise(query))], k=K, show_progress=False)
        ids = list(self.texts)
        return [ids[i] for i in found[0]]


CONTENDERS: dict[str, Callable[[dict[str, str]], Ours | Rebuilt]] = {
    "BM25Index, okapi": lambda start: Ours(start, "okapi"),
    "BM25Index, lucene": lambda start: Ours(start, "lucene"),
    "rank_bm25 per step": lambda start: Rebuilt(start, per_query=False),
    "rank_bm25 per query": lambda start: Rebuilt(start, per_query=True),
    "bm25s per step": lambda start: Bm25s(start, per_query=False),
}


def measure(make, workload: Workload, steps: int) -> tuple[float, float, list[list[str]]]:
    """Milliseconds per sync and per query (medians over steps), and what was found."""
    search_tokens.cache_clear()
    contender = make(workload.start)
    syncs, queries, found = [], [], []
    for writes, asked in workload.steps[:steps]:
        begin = time.perf_counter()
        contender.sync(writes)
        between = time.perf_counter()
        found += [contender.query(query) for query in asked]
        syncs.append(between - begin)
        queries.append((time.perf_counter() - between) / len(asked))
    return statistics.median(syncs) * 1e3, statistics.median(queries) * 1e3, found


def snapshot_cost(items: int) -> dict[str, float]:
    """Microseconds of a snapshot, of a restore and of the first write after one, at ``items`` items."""
    bank = MemoryBank()
    bank.apply([Operation("INSERT", f"item {n} of the memory") for n in range(items)])
    times: dict[str, list[float]] = {
        "snapshot": [],
        "restore": [],
        "digest": [],
        "first write after": [],
        "next write": [],
    }
    for n in range(50):
        write = [Operation("UPDATE", f"changed {n}", f"0.{n}")]
        calls = (
            ("snapshot", bank.snapshot),
            ("restore", lambda: bank.restore(bank.snapshot())),
            ("digest", bank.digest),
            ("first write after", lambda write=write: bank.apply(write)),
            ("next write", lambda write=write: bank.apply(write)),
        )
        for name, call in calls:
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) * 1e6 for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 500, 5000], help="numbers of items")
    parser.add_argument(
        "--steps", type=int, default=200, help="steps per size (fewer for the rebuilt ones where large)"
    )
    parser.add_argument("--queries", type=int, default=5, help="queries per step")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    results = []
    with Progress(transient=True) as progress:
        bar = progress.add_task("measuring", total=len(options.sizes) * len(CONTENDERS))
        for size in options.sizes:
            workload = Workload(size, options.steps, options.queries)
            found = {}
            for name, make in CONTENDERS.items():
                # A rebuild at 5,000 items takes a tenth of a second; its median needs no 200 steps.
                slow = 0 if name.startswith("BM25Index") else size * (options.queries if "query" in name else 1)
                steps = max(3, min(options.steps, 25_000 // slow)) if slow else options.steps
                sync, query, found[name] = measure(make, workload, steps)
                results.append({"contender": name, "items": size, "sync_ms": sync, "query_ms": query, "steps": steps})
                progress.advance(bar)
            for peer in ("rank_bm25 per step", "rank_bm25 per query"):
                mine = found["BM25Index, okapi"][: len(found[peer])]
                assert mine == found[peer], f"BM25Index and {peer} must find the same items at {size}"
    snapshots = snapshot_cost(10_000)

    table = Table(
        title=f"milliseconds per step's sync / per query (k = {K}, {QUERY_WORDS} words); x: a step against BM25Index, okapi"
    )
    table.add_column("")
    for size in options.sizes:
        table.add_column(f"{size:,} items", justify="right")
    by_key = {(r["contender"], r["items"]): r for r in results}
    for name in CONTENDERS:
        cells = []
        for size in options.sizes:
            row, base = by_key[name, size], by_key["BM25Index, okapi", size]
            ratio = step_ms(row, options.queries) / step_ms(base, options.queries)
            row["step_against_ours"] = ratio
            cells.append(f"{row['sync_ms']:.3f} / {row['query_ms']:.3f}  {ratio:6.1f}x")
        table.add_row(name, *cells)
    costs = ", ".join(f"{name} {value:.1f} us" for name, value in snapshots.items())
    show(table, f"MemoryBank at 10,000 items: {costs}")
    write(options.out, "retrieval", results, snapshot_us=snapshots, bm25s=bm25s.__version__)


def step_ms(row: dict, queries: int) -> float:
    """One whole step: the sync and its queries."""
    return row["sync_ms"] + queries * row["query_ms"]


if __name__ == "__main__":
    main()
