"""The commands. The docstring of each is its ``--help``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from trainers.arms import DemoSettings
from trainers.commands_bench import bench_rewards
from trainers.commands_data import DATA
from trainers.commands_results import compare, rescore
from trainers.run_env import NOTHING_GIVEN, EnvOptions, env_for
from trainers.settings import EnvSettings, TrainSettings

Settings = Annotated[TrainSettings, tyro.conf.arg(name="")]
Environment = Annotated[EnvSettings, tyro.conf.arg(name="")]
Options = Annotated[EnvOptions, tyro.conf.arg(name="")]
Demo = Annotated[DemoSettings, tyro.conf.arg(name="")]


def train(
    settings: Settings = TrainSettings(), out: Path = Path("runs/train"), resume: Literal["auto", "never"] = "never"
) -> None:
    """Train the candidate policy with GRPO: Fine-Mem's method, another published one, or your own mix of slots.

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

    Go on where a killed run stopped:
        memenvs train --resume auto

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
            bars.update(bar, completed=update, description=f"train {line.get('train/r_global', math.nan):.3f}{shown}")

        _, scores = run(settings, out, resume=resume == "auto", progress=progress)
    interval = bootstrap([score.r_global for score in scores])
    lines = read_metrics(out / "metrics.csv")
    curve = [(int(line["episodes"]), line["heldout/r_global"]) for line in lines if "heldout/r_global" in line]
    learning_curves({settings.credit: [curve]}, {}, out / "curve.png", str(out.name))
    Console().print(
        f"held-out r_global {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] over {len(scores)} streams "
        f"(data: {settings.env.source}); written to {out}"
    )


def evaluate(
    agents: tuple[str, ...] = ("controls",),
    env: Options = NOTHING_GIVEN,
    split: str = "test",
    streams: int = 100,
    seed: int = 0,
    out: Path = Path("runs/evaluation"),
    records: bool = False,
) -> None:
    """Play held-out streams with agents side by side, and write the table as JSON and CSV.

    Trained runs are evaluated in the environment and on the held-out data that they were trained with, unless an option says
    otherwise. Every agent of a table plays in the same environment, which is printed.

    Every control:
        memenvs evaluate

    Trained policies beside them:
        memenvs evaluate --agents runs/a runs/b controls

    The same on other data:
        memenvs evaluate --agents runs/a controls --data path/to/test.parquet

    Other streams, with the manager that is exact on them:
        memenvs evaluate --agents adder controls --env-id RunningSum-v0

    With the record of every episode:
        memenvs evaluate --agents hindsight --streams 3 --records

    Args:
        agents: folders of runs; nothing, random, keep_everything, scripted, hindsight, first, last, random_budget; or "controls"
            for all of these. The last three get, stream by stream, the memory size of the first agent named that has a size of its
            own, so they come after one. Also adder, which is exact on running-sum streams.
        env: the environment.
        split: of the data.
        streams: at most this many, from the first on.
        seed: of the agents' draws.
        out: folder for table.json, table.csv and, if asked for, records.
        records: also write the records of all episodes, one per line, as records/<agent>.jsonl.
    """
    from rich.console import Console
    from rich.progress import track

    from agents.candidate import CandidateAgent
    from trainers.comparison import evaluate_control, question_sources, row, show_table, write_table
    from trainers.evaluation import EpisodeScore
    from trainers.evaluation import evaluate as play_all
    from trainers.provenance import facts

    for name, value, least in (("streams", streams, 1), ("seed", seed, 0)):
        if value < least:
            raise SettingsError(f"{name} must be at least {least}, got {value}")
    names, runs = named_agents(agents)
    policies = {name: CandidateAgent(folder) for name, folder in runs.items()}
    settings = env_for([Path(name) for name in runs], env)
    made = settings.make(split, evaluation=True)
    dataset = made.unwrapped.dataset  # type: ignore[attr-defined]
    indices = list(range(min(streams, len(dataset))))
    console = Console(width=None if sys.stdout.isatty() else 160)
    asked = {name: getattr(settings, name) for name in EnvOptions.__annotations__} | {"data": settings.source}
    console.print("environment: " + ", ".join(f"{name} {value}" for name, value in asked.items()))

    rows: list[dict[str, Any]] = []
    every: list[EpisodeScore] = []
    budgets, reference = None, None
    files = file_names(names)
    for name in track(names, "agents"):
        kept: list[EpisodeRecord] = []
        keep = kept.append if records else None
        if name in policies:
            scores = play_all(made, policies[name], indices, seed, keep)
        else:
            scores = evaluate_control(name, settings, split, indices, budgets, seed, dataset, keep)
        if budgets is None and name != "nothing":
            budgets, reference = [score.memory_tokens for score in scores], name
        origin = {"kind": "learned", "run": name} if name in policies else {"kind": "control"}
        rows.append(row(files[name], [scores], **origin))
        every += scores
        if records:
            path = out / "records" / f"{files[name]}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(record.to_json() + "\n" for record in kept), encoding="utf-8")
    known = facts(made, seed=seed, streams=len(indices), equal_memory_reference=reference, settings=asked)
    write_table(rows, known, out / "table")
    heading: dict[str, tuple[str, Callable[[Any], str]]] = {
        "memory_tokens": ("memory tokens", "{:.0f}".format),
        "memory_share": ("of stream", "{:.0%}".format),
        "invalid_operations": ("invalid", "{:.1f}".format),
        "failures": ("failed", "{:.0f}".format),
    }
    heading |= {s: (s.removeprefix("builtin-"), "{:.2f}".format) for s in question_sources(every)}
    title = f"{known['data']}, {known['split']}: {len(indices)} streams, reader {known['reader']}, profile {known['profile']}"
    console.print(show_table(rows, title, heading))
    console.print(f"written: {out / 'table.json'}, {out / 'table.csv'}" + (f", {out / 'records'}" if records else ""))


def named_agents(agents: Sequence[str]) -> tuple[list[str], dict[str, Path]]:
    """The agents that `evaluate` plays, each once, and the checkpoints of those that are runs.

    Raises:
        SettingsError: a name is not accepted, or one that needs a memory size comes too early.
        DataError: a folder holds no checkpoint.
    """
    from memenvs.errors import did_you_mean
    from trainers import checkpoint
    from trainers.comparison import BUDGETED, CONTROLS, EXACT

    controls = (*CONTROLS, *BUDGETED)
    known = (*controls, *EXACT)
    names = list(dict.fromkeys(n for name in agents for n in (controls if name == "controls" else (name,))))
    if not names:
        raise SettingsError("name at least one agent, for instance controls")
    runs: dict[str, Path] = {}
    for number, name in enumerate(names):
        if name in BUDGETED and not set(names[:number]) - {"nothing", *BUDGETED}:
            raise SettingsError(f"{name} needs a memory size: name an agent before it, for instance keep_everything")
        if name in known:
            continue
        if not Path(name).is_dir():
            accepted = ("controls", *known)
            raise SettingsError(
                f"{name!r} cannot be evaluated; accepted: the folder of a run (memenvs train --out ...), or one of "
                f"{', '.join(accepted)}.{did_you_mean(name, accepted)}"
            )
        runs[name] = checkpoint.find(Path(name))
    return names, runs


def file_names(agents: Sequence[str]) -> dict[str, str]:
    """A file name for each agent: the end of its path, as much of it as tells the agents apart."""
    parts = {name: Path(name).resolve().parts[1:] if Path(name).is_dir() else (name,) for name in agents}
    ends: dict[str, str] = {}
    for length in range(1, max(map(len, parts.values())) + 1):
        ends = {name: "-".join(path[-length:]) for name, path in parts.items()}
        if len(set(ends.values())) == len(ends):
            return ends
    return {name: f"{number}-{end}" for number, (name, end) in enumerate(ends.items(), 1)}


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

    The table of the README:
        memenvs demo

    A quick look, two minutes:
        memenvs demo --seeds 1 --updates 20 --arms ablation --out runs/quick

    Args:
        settings: its size.
    """
    from trainers.demo import main

    main(settings)


COMMANDS: dict[str, Callable[..., None] | dict[str, Callable[..., None]]] = {
    "train": train,
    "evaluate": evaluate,
    "rescore": rescore,
    "compare": compare,
    "envs": envs,
    "play": play,
    "demo": demo,
    "bench-rewards": bench_rewards,
    "data": DATA,
}
"""Name -> command, or the commands of that group."""
