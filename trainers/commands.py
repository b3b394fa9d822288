"""The commands. The docstring of each is its ``--help``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trainers.arms import DemoSettings
from trainers.commands_bench import bench_rewards
from trainers.commands_data import DATA
from trainers.commands_evaluate import evaluate
from trainers.commands_lm import demo_lm, train_lm
from trainers.commands_results import compare, rescore
from trainers.settings import EnvSettings, TrainSettings

Settings = Annotated[TrainSettings, tyro.conf.arg(name="")]
Environment = Annotated[EnvSettings, tyro.conf.arg(name="")]
Demo = Annotated[DemoSettings, tyro.conf.arg(name="")]


def train(
    settings: Settings = TrainSettings(),
    out: Path = Path("runs/train"),
    resume: Literal["auto", "never"] = "never",
    workers: int = 0,
    ray: str | None = None,
) -> None:
    """Train the candidate policy with GRPO: Fine-Mem's method, another published one, or your own mix of slots.

    A language model has options of its own:
        memenvs train --agent lm --help

    Builtin streams, Fine-Mem's total, per-step groups:
        memenvs train

    Another method as published, or with one slot changed:
        memenvs train --preset dapo
        memenvs train --preset dapo --advantage leave_one_out

    A credit estimator as the reward:
        memenvs train --reward credit:loo-step

    Another reward, another folder:
        memenvs train --reward outcome --out runs/outcome

    Your own wrapper, from my_module.py in this directory:
        memenvs train --reward my_module:MyReward

    Real data in the Memalpha schema, with its held-out file beside it:
        memenvs train --data path/to/train.parquet

    A reader behind a server; its replies are kept in the run's folder:
        memenvs train --reader http://127.0.0.1:8000/v1#Qwen/Qwen3-32B --reader-concurrency 32

    Go on where a killed run stopped:
        memenvs train --resume auto

    Rollouts on four workers, here or on a Ray cluster:
        memenvs train --streams 4 --workers 4
        memenvs train --streams 4 --workers 4 --ray auto

    Args:
        settings: the run.
        out: folder for settings.json, metrics.csv, TensorBoard events, checkpoints, curve.png and result.json.
        resume: "auto" goes on from the newest checkpoint in the folder, if there is one.
        workers: Ray processes that play the rollouts, at most one per stream of an update; 0 for this one. No number depends on it.
        ray: the Ray cluster that the workers belong to: auto, or its head's host:port. This machine, if not given.
    """
    from rich.console import Console

    from trainers import reading_costs
    from trainers.figures import learning_curves
    from trainers.grpo import train as run
    from trainers.progress import bars as progress_bars
    from trainers.runlog import read_metrics
    from trainers.runs import read_result
    from trainers.statistics import bootstrap
    from trainers.workers import Workers

    with progress_bars() as bars:
        bar = bars.add_task("updates", total=settings.updates)
        shown = ""

        def progress(update: int, line: dict[str, float]) -> None:
            nonlocal shown
            if "heldout/r_global" in line:
                shown = f"  held-out {line['heldout/r_global']:.3f}"
            bars.update(bar, completed=update, description=f"train {line.get('train/r_global', math.nan):.3f}{shown}")

        _, scores = run(settings, out, resume=resume == "auto", progress=progress, workers=Workers(workers, ray))
    interval = bootstrap([score.r_global for score in scores])
    lines = read_metrics(out / "metrics.csv")
    curve = [(int(line["episodes"]), line["heldout/r_global"]) for line in lines if "heldout/r_global" in line]
    learning_curves({settings.credit: [curve]}, {}, out / "curve.png", str(out.name))
    Console().print(
        f"held-out r_global {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] over {len(scores)} streams "
        f"(data: {settings.env.source}); written to {out}"
    )
    if asked := reading_costs.line(read_result(out)["cost"]):
        Console().print(asked)


def envs(as_json: bool = False) -> None:
    """List the registered environments.

    As a table:
        memenvs envs

    For programs:
        memenvs envs --as-json

    Args:
        as_json: print JSON instead of a table.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    import memenvs

    found = [asdict(info) for info in memenvs.envs()]
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table(title="gymnasium.make(...) after import memenvs", title_justify="left")
    for name in found[0]:
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for info in found:
        table.add_row(*(str(value) for value in info.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def play(env: Environment = EnvSettings(), split: str = "train", stream: int = 0) -> None:
    """Be the memory manager: read the chunks, choose what to keep, see what the reader makes of it.

    The first training stream:
        memenvs play

    A short one, with six writes per step:
        memenvs play --T 5 --max-operations 6

    Another stream, of your own data:
        memenvs play --data path/to/train.parquet --stream 3

    Args:
        env: the environment.
        split: of the data.
        stream: index of the stream.
    """
    from agents.human import Human, StoppedError
    from memenvs.render import render_episode

    made = env.make(split)
    agent = Human(max_operations=env.max_operations, max_item_tokens=env.max_item_tokens)
    observation, info = made.reset(seed=0, options={"stream": stream})
    agent.reset(0)
    try:
        done = False
        while not done:
            observation, _, done, _, info = made.step(agent.act(observation, info))
            for outcome in info["operations"]:
                if not outcome.valid:
                    print(f"  refused: {outcome.op} {outcome.id or ''}: {outcome.reason}")
            scores = [r.score for r in info["chunk_questions"] if r.score is not None]
            if scores:
                print(f"  of {len(scores)} questions on this chunk, the reader now answers {sum(scores):.1f}")
    except StoppedError:
        print("stopped before the end; no questions were asked")
        return
    print(render_episode(made.unwrapped.episode))  # type: ignore[attr-defined]


def demo(settings: Demo = DemoSettings()) -> None:
    """Train the same policy with every reward on the same builtin streams; print one table next to every control.

    A shorter form of the README's table, and that table:
        memenvs demo
        memenvs demo --arms all --seeds 4 --updates 160

    A quick look, two minutes:
        memenvs demo --seeds 1 --updates 20 --arms ablation --out runs/quick

    Args:
        settings: its size.
    """
    from trainers.demo import main

    main(settings)


TRAINERS: dict[str, Callable[..., None]] = {"candidate": train, "lm": train_lm}
"""What ``memenvs train --agent NAME`` runs."""
COMMANDS: dict[str, Callable[..., None] | dict[str, Callable[..., None]]] = {
    "train": train,
    "evaluate": evaluate,
    "rescore": rescore,
    "compare": compare,
    "envs": envs,
    "play": play,
    "demo": demo,
    "demo-lm": demo_lm,
    "bench-rewards": bench_rewards,
    "data": DATA,
}
"""Name -> command, or the commands of that group."""
