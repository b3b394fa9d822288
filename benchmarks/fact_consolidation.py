"""FactConsolidation: what it takes to answer from the newest fact, and what the data allows.

    python benchmarks/fact_consolidation.py --data factconsolidation_6k_context.txt --out runs/facts.json

``--data`` is a file or folder that `memenvs.streams.load` knows (docs/data.md); rows of other sub-datasets are left out. Every
manager writes its memory, then each reader answers from the k best items; scores are the published ones (profile "mab"). "all" is
a k that no memory reaches, so that retrieval decides nothing; with every_fact and the reader facts this is the newest-fact oracle.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.console import Console
from rich.progress import track
from rich.table import Table

import memenvs  # noqa: F401 - registers the id
from agents.base import make_agent
from memenvs.reading.fact_paths import by_subject, reachable
from memenvs.streams import load
from memenvs.streams.facts import fact_list, newest
from memenvs.streams.types import Stream
from trainers import provenance
from trainers.evaluation import play

READERS = ("extractive", "facts")
ARMS = ("every_fact", "newest_fact", "keep_everything", "first", "last", "nothing")
BUDGETED = ("first", "last")
"""Arms that get as many tokens as newest_fact needs for the same stream."""
ALL = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--chunk-size", type=int, default=4096, help="tokens per chunk; the published code also has 512"
    )
    parser.add_argument("--k", default="5,10,all", help="items retrieved, separated by commas")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    widths = {name: ALL if name == "all" else int(name) for name in options.k.split(",")}
    data = load(options.data, split="test", families=["factconsolidation"], chunk_size=options.chunk_size)
    streams = [data[i] for i in range(len(data))]
    console = Console(width=140)
    rows: list[dict[str, Any]] = []
    budgets: dict[int, int] = {}
    facts: dict[str, Any] = {}
    cells = [(reader, k) for reader in READERS for k in widths]
    for reader, k in track(cells, "readers", console=console):
        env = gym.make("FineMem-Memalpha-v0", data=data, reader=reader, k=widths[k], profile="mab", max_chars=1_000_000)
        facts = facts or provenance.facts(env, chunk_size=options.chunk_size)
        for arm in ("newest_fact", *(name for name in ARMS if name != "newest_fact")):
            for index, stream in enumerate(streams):
                limits = {"memory_budget": budgets[index]} if arm in BUDGETED else {}
                record = play(env, make_agent(arm, **limits), index)
                if arm == "newest_fact":
                    budgets[index] = record.memory_tokens
                refused = sum(not o.valid for step in record.steps for o in step.operations)
                rows.append({
                    "agent": arm, "reader": reader, "k": k, "source": stream.source, "score": record.r_global,
                    "items": len(record.memory), "tokens": record.memory_tokens, "stream_tokens": record.stream_tokens,
                    "refused": refused + sum(step.error is not None for step in record.steps), "failure": record.failure,
                })  # fmt: skip
    console.print(_table(rows, [stream.source for stream in streams]))
    bounds = [_bound(stream) for stream in streams]
    for bound in bounds:
        console.print(
            f"{bound['source']}: {bound['facts']} facts, {bound['opaque']} of an unknown phrase, {bound['keys']} relations of "
            f"subjects, {bound['conflicts']} with several values; golds that newest facts lead to: "
            f"{bound['reachable']} of {bound['questions']}"
        )
        for stale in bound["beyond"]:
            console.print(f"  {stale['question']} gold {stale['golds']}: {stale['why']}", markup=False)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        shared = {name: value for name, value in facts.items() if name not in ("reader", "k")}
        options.out.write_text(json.dumps({"facts": shared, "bounds": bounds, "rows": rows}, indent=1), "utf-8")


def _table(rows: list[dict[str, Any]], sources: list[str]) -> Table:
    """One line per arm, reader and k; one column per source."""
    table = Table(title="FactConsolidation, profile mab", title_justify="left")
    for heading in ("agent", "reader", "k", *sources, "items", "tokens", "of stream", "refused"):
        table.add_column(heading, justify="left" if heading in ("agent", "reader") else "right")
    for arm in ARMS:
        for reader, k in dict.fromkeys((row["reader"], row["k"]) for row in rows):
            mine = [row for row in rows if (row["agent"], row["reader"], row["k"]) == (arm, reader, k)]
            scores = ["failed" if row["failure"] else f"{100 * row['score']:.0f}" for row in mine]
            one = mine[0]
            size = f"{one['tokens'] / one['stream_tokens']:.0%}"
            refused = str(sum(row["refused"] for row in mine))
            table.add_row(arm, reader, k, *scores, str(one["items"]), str(one["tokens"]), size, refused)
    return table


def _bound(stream: Stream) -> dict[str, Any]:
    """What the data allows: golds that can be reached from a question's names by newest facts, whatever it asks."""
    facts = fact_list(" ".join(chunk.text for chunk in stream.chunks)).facts
    now = newest(facts)
    current, ever = by_subject(now.values()), by_subject(facts)
    values: dict[tuple[str, str], set[str]] = {}
    for fact in facts:
        values.setdefault(fact.key, set()).add(fact.value)
    beyond = []
    for question in stream.questions:
        golds = set(question.references)
        if not golds & reachable(question.text, current):
            stale = bool(golds & reachable(question.text, ever))
            why = "only an outdated fact leads to it" if stale else "no fact leads to it"
            beyond.append({"question": question.text, "golds": sorted(golds), "why": why})
    return {
        "source": stream.source,
        "facts": len(facts),
        "opaque": sum(fact.relation is None for fact in facts),
        "keys": len(now),
        "conflicts": sum(len(found) > 1 for found in values.values()),
        "questions": len(stream.questions),
        "reachable": len(stream.questions) - len(beyond),
        "beyond": beyond,
    }


if __name__ == "__main__":
    main()
