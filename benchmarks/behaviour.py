"""What the policies of a finished demo do: operations per chunk, and right answers by question family.

python benchmarks/behaviour.py runs/demo --seeds 3
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
from trainers.arms import DemoSettings, arms, run_folder, run_settings
from trainers.evaluation import evaluate_policy

OPERATIONS = ("INSERT", "UPDATE", "DELETE")
FAMILIES = ("accurate-retrieval", "conflict-resolution", "test-time-learning", "long-range-understanding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder that memenvs demo wrote")
    parser.add_argument("--arms", choices=("ablation", "scale", "all"), default="ablation")
    parser.add_argument("--seeds", type=int, default=3, help="as the demo's")
    parser.add_argument("--T", type=int, default=20, help="as the demo's")
    parser.add_argument("--streams", type=int, default=20, help="held-out streams")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = DemoSettings(out=options.out, arms=options.arms, seeds=options.seeds, T=options.T)
    table = Table(title=f"greedy, {options.seeds} seeds x {options.streams} held-out streams", title_justify="left")
    for heading in ("arm", *OPERATIONS, *FAMILIES):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in track(arms(settings), "arms"):
        operations: Counter[str] = Counter()
        scores: defaultdict[str, list[float]] = defaultdict(list)
        steps = 0
        for seed in range(options.seeds):
            policy = load_policy(checkpoint.find(run_folder(arm, seed, settings)))
            envs = run_settings(arm, seed, settings).make_heldouts(options.streams)
            evaluate_policy(envs, policy, range(options.streams))
            for env in envs:
                record, stream = env.unwrapped.record, env.unwrapped.episode.stream
                steps += record.T
                operations.update(o.op for step in record.steps for o in step.operations if o.valid)
                for question, family in zip(record.questions, stream.metadata["families"], strict=True):
                    scores[family].append(question.score)
        done = [f"{operations[name] / steps:.2f}" for name in OPERATIONS]
        table.add_row(arm.name, *done, *(f"{sum(scores[f]) / len(scores[f]):.2f}" for f in FAMILIES))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
