"""The commands. The docstring of each is its ``--help``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from memenvs.errors import SettingsError
from trainers.demo import DemoSettings
from trainers.settings import EnvSettings, TrainSettings

Settings = Annotated[TrainSettings, tyro.conf.arg(name="")]
Environment = Annotated[EnvSettings, tyro.conf.arg(name="")]
Demo = Annotated[DemoSettings, tyro.conf.arg(name="")]


def train(
    settings: Settings = TrainSettings(), out: Path = Path("runs/train"), resume: Literal["auto", "never"] = "never"
) -> None:
    """Train the candidate policy with GRPO and per-step group advantages.

    Builtin streams, Fine-Mem's total: memenvs train

    Another reward: memenvs train --reward outcome --out runs/outcome

    Your own wrapper: memenvs train --reward my_module:MyReward

    Real data in the Memalpha schema: memenvs train --data path/to/train.parquet

    Args:
        settings: the run.
        out: folder for settings.json, metrics.csv, TensorBoard events, checkpoints, curve.png and result.json.
        resume: "auto" goes on from the newest checkpoint in the folder, if there is one.
    """
    from rich.console import Console

    from trainers.figures import learning_curves
    from trainers.grpo import train as run
    from trainers.progress import bars as progress_bars
    from trainers.runlog import read_metrics
    from trainers.statistics import bootstrap

    with progress_bars() as bars:
        bar = bars.add_task("updates", total=settings.updates)
        shown = ""

        def progress(update: int, line: dict[str, float]) -> None:
            nonlocal shown
            if "heldout/r_global" in line:
                shown = f"  held-out {line['heldout/r_global']:.3f}"
            bars.update(bar, completed=update + 1, description=f"train {line['train/r_global']:.3f}{shown}")

        _, scores = run(settings, out, resume=resume == "auto", progress=progress)
    interval = bootstrap([score.r_global for score in scores])
    lines = read_metrics(out / "metrics.csv")
    curve = [(int(line["episodes"]), line["heldout/r_global"]) for line in lines if "heldout/r_global" in line]
    learning_curves({settings.reward: [curve]}, {}, out / "curve.png", str(out.name))
    Console().print(
        f"held-out r_global {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] over {len(scores)} streams "
        f"(data: {settings.env.data}); written to {out}"
    )


def evaluate(
    agents: tuple[str, ...] = ("controls",),
    env: Environment = EnvSettings(),
    split: str = "test",
    streams: int = 100,
    seed: int = 0,
    out: Path = Path("runs/evaluation"),
    records: bool = False,
) -> None:
    """Play held-out streams with agents side by side, and write the table as JSON and CSV.

    Every control: memenvs evaluate

    A trained policy beside them: memenvs evaluate --agents runs/train controls

    The same on real data: memenvs evaluate --agents runs/train controls --data path/to/test.parquet

    Args:
        agents: folders of runs, names of agents, or "controls" for all controls. The budgeted ones (first, last,
            random_budget) get, stream by stream, the memory size of the first agent named.
        env: the environment.
        split: of the data.
        streams: at most this many, from the first on.
        seed: of the agents' draws.
        out: folder for table.json, table.csv and, if asked for, records.
        records: also write one episode record per line and agent, as <agent>.jsonl.
    """
    from rich.console import Console
    from rich.progress import track

    from agents.base import AGENTS
    from agents.candidate import CandidateAgent
    from memenvs.errors import did_you_mean
    from trainers import checkpoint
    from trainers.comparison import BUDGETED, CONTROLS, evaluate_control, row, show_table, write_table
    from trainers.evaluation import evaluate as play_all

    made = env.make(split, evaluation=True)
    dataset = made.unwrapped.dataset  # type: ignore[attr-defined]
    indices = list(range(min(streams, len(dataset))))
    names = [n for name in agents for n in ((*CONTROLS, *BUDGETED) if name == "controls" else (name,))]
    rows, budgets = [], None
    out.mkdir(parents=True, exist_ok=True)
    for name in track(names, "agents"):
        if Path(name).is_dir():
            kept = out / f"{Path(name).name}.jsonl"
            with kept.open("w", encoding="utf-8") if records else _nowhere() as file:
                scores = play_all(
                    made, CandidateAgent(checkpoint.find(Path(name))), indices, seed, _saver(file, records)
                )
        elif name in (*CONTROLS, *BUDGETED):
            if name in BUDGETED and budgets is None:
                raise SettingsError(
                    f"{name} needs a memory size: name an agent before it, for instance keep_everything"
                )
            scores = evaluate_control(name, env, split, indices, budgets, seed)
        else:
            raise SettingsError(
                f"{name!r} is neither a folder nor an agent; known: {', '.join(AGENTS)}.{did_you_mean(name, AGENTS)}"
            )
        if budgets is None and name != "nothing":
            budgets = [score.memory_tokens for score in scores]
        rows.append(row(name, [scores], kind="learned" if Path(name).is_dir() else "control"))
    facts = {
        "data": dataset.source,
        "split": dataset.split,
        "dataset": dataset.fingerprint,
        "streams": len(indices),
        "seed": seed,
        "reader": made.unwrapped.reader.name,  # type: ignore[attr-defined]
        "profile": made.unwrapped.settings.profile,  # type: ignore[attr-defined]
        "env": env.__dict__,
    }
    write_table(rows, facts, out / "table")
    heading: dict[str, tuple[str, Callable[[Any], str]]] = {
        "memory_tokens": ("memory tokens", "{:.0f}".format),
        "memory_share": ("of stream", "{:.0%}".format),
        "invalid_operations": ("invalid", "{:.1f}".format),
        "failures": ("failed", "{:.0f}".format),
    }
    shares: dict[str, tuple[str, Callable[[Any], str]]] = {
        source: (source.removeprefix("builtin-"), "{:.2f}".format)
        for source in sorted({key for entry in rows for key in entry} - set(_FIXED))
    }
    title = f"{dataset.source}, {dataset.split}: {len(indices)} streams, reader {facts['reader']}, profile {facts['profile']}"
    Console(width=None if sys.stdout.isatty() else 160).print(show_table(rows, title, heading | shares))
    Console().print(f"written: {out / 'table.json'}, {out / 'table.csv'}")


_FIXED = (
    "agent", "r_global", "low", "high", "memory_tokens", "memory_share", "invalid_operations", "failures", "seeds", "streams",
    "kind",
)  # fmt: skip


def _nowhere() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _saver(file: Any, wanted: bool) -> Any:
    if not wanted:
        return None
    return lambda record: file.write(record.to_json() + "\n")


def envs(as_json: bool = False) -> None:
    """List the registered environments.

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
    Console().print(table)


def play(env: Environment = EnvSettings(), split: str = "train", stream: int = 0) -> None:
    """Be the memory manager: read the chunks, choose what to keep, see what the reader makes of it.

    Args:
        env: the environment.
        split: of the data.
        stream: index of the stream.
    """
    from agents.human import Human, StoppedError
    from memenvs.render import render_episode

    made = env.make(split)
    agent = Human()
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

    Args:
        settings: its size.
    """
    from trainers.demo import main

    main(settings)


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "evaluate": evaluate,
    "envs": envs,
    "play": play,
    "demo": demo,
}
"""Name -> command."""
