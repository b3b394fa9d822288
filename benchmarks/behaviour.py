"""What trained policies do: operations per chunk, memory, and right answers by question family.

    python benchmarks/behaviour.py runs/demo/runs/*
    python benchmarks/behaviour.py runs/bench-rewards/runs/*

Each folder holds the runs of one arm, one per seed.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.candidate import load_policy
from trainers import checkpoint
from trainers.evaluation import evaluate_policy
from trainers.run_env import NOTHING_GIVEN, env_for

OPERATIONS = ("INSERT", "UPDATE", "DELETE")
FAMILIES = ("accurate-retrieval", "conflict-resolution", "test-time-learning", "long-range-understanding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", type=Path, nargs="+", help="folders with one run per seed")
    parser.add_argument("--streams", type=int, default=20, help="held-out streams")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(title=f"greedy, {options.streams} held-out streams a seed", title_justify="left")
    for heading in ("arm", "seeds", *OPERATIONS, "of stream", *FAMILIES):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in track(options.arms, "arms"):
        operations: Counter[str] = Counter()
        scores: defaultdict[str, list[float]] = defaultdict(list)
        shares: list[float] = []
        steps = 0
        runs = sorted(path for path in arm.iterdir() if checkpoint.latest(path))
        for run in runs:
            settings = env_for([run], NOTHING_GIVEN)
            dataset = settings.open("test")
            envs = [settings.make("test", evaluation=True, dataset=dataset) for _ in range(options.streams)]
            evaluate_policy(envs, load_policy(checkpoint.find(run)), range(options.streams))
            for env in envs:
                record, stream = env.unwrapped.record, env.unwrapped.episode.stream
                steps += record.T
                shares.append(record.memory_tokens / record.stream_tokens)
                operations.update(o.op for step in record.steps for o in step.operations if o.valid)
                for question, family in zip(record.questions, stream.metadata["families"], strict=True):
                    scores[family].append(question.score)
        if runs:
            done = [f"{operations[name] / steps:.2f}" for name in OPERATIONS]
            right = [f"{sum(scores[family]) / len(scores[family]):.2f}" for family in FAMILIES]
            table.add_row(arm.name, str(len(runs)), *done, f"{sum(shares) / len(shares):.0%}", *right)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
