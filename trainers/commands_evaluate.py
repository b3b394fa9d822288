"""The command ``memenvs evaluate``. Its docstring is its ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

from agents.base import MODEL_AGENTS, make_agent
from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from memenvs.streams.types import StreamDataset
from trainers.endpoint_options import EndpointOptions
from trainers.run_env import NOTHING_GIVEN, EnvOptions, env_for
from trainers.settings import EnvSettings

Options = Annotated[EnvOptions, tyro.conf.arg(name="")]
Endpoint = Annotated[EndpointOptions, tyro.conf.arg(name="")]
Agents = Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--agent"])]
STREAMS = 100
"""Streams of an evaluation without a suite, where no number is given."""
STILL_OPEN = 3
"""Exit code of an evaluation of a suite that has something left to try again."""


def evaluate(
    agents: Agents = ("controls",),
    suite: str | None = None,
    env: Options = NOTHING_GIVEN,
    controls: tuple[str, ...] = ("all",),
    profile: str | None = None,
    judge: str | None = None,
    entities: Path | None = None,
    split: str = "test",
    streams: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    resume: Literal["auto", "never"] = "auto",
    no_published: bool = False,
    revision: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    chunk_tokens: str | None = None,
    memory: Literal["flat", "memalpha", "memalpha-strict"] | None = None,
    records: bool = False,
    workers: int = 0,
    ray: str | None = None,
    endpoint: Endpoint = {},  # noqa: B006 - tyro's way of saying that nothing was given
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

    A published table: sub-tasks, both averages, memory length and cost, for every control, baseline and oracle, and the paper's
    rows beneath:
        memenvs evaluate --suite memalpha
        memenvs evaluate --suite memalpha --data path/to/folder --agent runs/a
        memenvs evaluate --suite memalpha --agent runs/a --reader http://127.0.0.1:8000/v1 --out runs/memalpha-a

    The same with a model as judge, for sources that the paper gives to one:
        memenvs evaluate --suite memoryagentbench --judge http://127.0.0.1:8000/v1#model

    A first look that needs no data:
        memenvs evaluate --suite builtin --streams 5

    A large one, with four processes here, or sixteen on a Ray cluster:
        memenvs evaluate --suite memalpha --agent runs/a --workers 4
        memenvs evaluate --suite memalpha --agent runs/a --workers 16 --ray auto

    An evaluation of a suite that was killed goes on with the same command; questions on which the reader failed are asked again.
    With another --profile or --judge, its predictions are scored anew without reading again. The exit code is 3 while the same
    command would try something again: a question, a verdict, or a stream, on which a model failed.

    Args:
        agents: folders of runs; nothing, random, keep_everything, scripted, hindsight, first, last, random_budget; or "controls"
            for all of these. The last three get, stream by stream, the memory size of the first agent named that
            has a size of its own, so they come after one. Also adder, which is exact on running-sum streams; and language models:
            lm:FOLDER or lm:HUB_ID, and endpoint:http://host:port/v1#model.
        suite: a published table: memalpha, memalpha-mab, memoryagentbench, longmemeval, longmemeval-m, longmemeval-oracle, locomo,
            perltqa, factconsolidation; or builtin. Its data comes from a hub unless ``data`` names a path.
        env: the environment; of a suite only data, T, k, reader and the limits can be chosen.
        controls: with a suite, what is played beside the agents: all, none, or names (shuffled, rag, rag_mab, long_context,
            oracle_evidence and the names above).
        profile: with a suite, whose scoring rules; the paper's if not given.
        judge: with a suite, the address of a model that judges, as http://host/v1#model. Without one, judged sources have no score.
        entities: with a suite, entity2id.json of MemoryAgentBench, which its recommendations need.
        split: of the data; a suite has its own.
        streams: at most this many, from the first on; 100, or all that a suite has, if not given.
        seed: of the agents' draws.
        out: folder for table.json, table.csv and, if asked for, records; a suite's also gets table.png, runs/<agent>.json and
            always records. runs/evaluation, or runs/<suite>, if not given.
        resume: with a suite, "auto" goes on with what the folder holds, "never" drops it.
        no_published: with a suite, leave the paper's rows out.
        revision: with a suite, commit, branch or tag of a hub's data set.
        on_error: with a suite, "skip" leaves malformed rows of the data out, and their number goes into the results.
        chunk_tokens: with a suite of MemoryAgentBench, the counter of its chunks' 4096 tokens: o200k as published, which needs a
            vocabulary; words if not given.
        memory: with a suite, what a language model under test writes: Mem-alpha's three parts (memalpha; memalpha-strict counts as
            valid what was carried out) or flat. A run is played in the memory of its training, the flat one is the default.
        records: also write the records of all episodes, one per line, as records/<agent>.jsonl.
        workers: with a suite, processes that play its streams; 0 for this one. The table is the same.
        ray: with a suite, the Ray cluster that the workers belong to: auto, or its head's host:port.
        endpoint: with a suite, how its reader is asked.
    """
    if suite is not None:
        from trainers.commands_suite import evaluate_suite

        asked = {"revision": revision, "on_error": None if on_error == "raise" else on_error, "tokens": chunk_tokens}
        opening = {name: value for name, value in asked.items() if value is not None}
        named = [name for name in agents if name != "controls"]
        if split != "test":
            raise SettingsError(f"the suite {suite} has its own split; leave --split {split} out")
        if streams is not None and streams < 1:
            raise SettingsError(f"streams must be at least 1, got {streams}")
        left = evaluate_suite(
            suite, named, controls, env, profile=profile, judge=judge, entities=entities, streams=streams, seed=seed,
            out=out or Path("runs") / suite, resume=resume == "auto", published=not no_published,
            endpoint=endpoint, opening=opening, workers=workers, ray=ray, memory=memory,
        )  # fmt: skip
        if left:
            sys.exit(STILL_OPEN)
        return
    given = {
        "profile": profile,
        "judge": judge,
        "entities": entities,
        "revision": revision,
        "chunk-tokens": chunk_tokens,
        "memory": memory,
        "resume": None if resume == "auto" else resume,
        "on-error": None if on_error == "raise" else on_error,
        "no-published": no_published or None,
        "workers": workers or None,
        "ray": ray,
    }
    alone = [f"--{name}" for name, value in given.items() if value is not None]
    alone += [f"--{name}" for name in endpoint]
    if alone or controls != ("all",):
        raise SettingsError(f"{' and '.join(alone) or '--controls'} needs a suite: --suite memalpha")
    _play_and_tabulate(
        agents, env, split, STREAMS if streams is None else streams, seed, out or Path("runs/evaluation"),
        records,
    )  # fmt: skip


def _play_and_tabulate(
    agents: Sequence[str], env: EnvOptions, split: str, streams: int, seed: int, out: Path, records: bool
) -> None:
    """An evaluation in a registered environment."""
    from rich.console import Console
    from rich.progress import track

    from agents.candidate import CandidateAgent
    from trainers.comparison import evaluate_control, question_sources, row, show_table, write_table
    from trainers.evaluation import EpisodeScore
    from trainers.evaluation import evaluate as play_all
    from trainers.playing_together import evaluate_together
    from trainers.provenance import facts
    from trainers.saved import file_names

    for name, value, least in (("streams", streams, 1), ("seed", seed, 0)):
        if value < least:
            raise SettingsError(f"{name} must be at least {least}, got {value}")
    names, runs = named_agents(agents)
    policies = {name: CandidateAgent(folder) for name, folder in runs.items()}
    settings = env_for([Path(name) for name in runs], env)
    made = settings.make(split, evaluation=True)
    dataset = made.unwrapped.dataset  # type: ignore[attr-defined]
    models = {name: _model(name, settings, split, dataset) for name in names if is_model(name)}
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
        keep = kept.append if records or name in models else None
        if name in policies:
            scores = play_all(made, policies[name], indices, seed, keep)
        elif name in models:
            scores = evaluate_together(models[name][1], models[name][0], indices, seed, keep)
        else:
            scores = evaluate_control(name, settings, split, indices, budgets, seed, dataset, keep)
        if budgets is None and name != "nothing":
            budgets, reference = [score.memory_tokens for score in scores], name
        origin: dict[str, Any] = {"kind": "learned", "run": name} if name in policies else {"kind": "control"}
        if name in models:
            # Messages without any operation to carry out or refuse, per episode: not SKIP, and not among the invalid operations.
            unread = sum(step.error is not None for record in kept for step in record.steps) / len(kept)
            origin = {"kind": "language model", "dialect": models[name][0].dialect, "unreadable_messages": unread}
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
    heading |= {"unreadable_messages": ("unreadable", "{:.1f}".format)} if models else {}
    heading |= {s: (s.removeprefix("builtin-"), "{:.2f}".format) for s in question_sources(every)}
    title = f"{known['data']}, {known['split']}: {len(indices)} streams, reader {known['reader']}, profile {known['profile']}"
    console.print(show_table(rows, title, heading))
    console.print(f"written: {out / 'table.json'}, {out / 'table.csv'}" + (f", {out / 'records'}" if records else ""))


def is_model(name: str) -> bool:
    """Whether this names a language model, see `agents.base.MODEL_AGENTS`."""
    kind, _, model = name.partition(":")
    return kind in MODEL_AGENTS and bool(model)


def _model(
    name: str, settings: EnvSettings, split: str, dataset: StreamDataset
) -> tuple[Any, Callable[[], gym.Env[Any, Any]]]:
    """A language model that knows the environment's limits, and what makes environments that read its dialect."""
    agent: Any = make_agent(
        name,
        max_operations=settings.max_operations,
        max_item_tokens=settings.max_item_tokens,
        memory_budget=settings.memory_budget,
    )
    own = replace(settings, dialect=agent.dialect)
    return agent, lambda: own.make(split, evaluation=True, dataset=dataset)


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
    every = (n for name in agents for n in (controls if name == "controls" else (checkpoint.agent_name(name),)))
    names = list(dict.fromkeys(every))
    if not names:
        raise SettingsError("name at least one agent, for instance controls")
    runs: dict[str, Path] = {}
    for number, name in enumerate(names):
        if name in BUDGETED and not set(names[:number]) - {"nothing", *BUDGETED}:
            raise SettingsError(f"{name} needs a memory size: name an agent before it, for instance keep_everything")
        if name in known or is_model(name):
            continue
        if not Path(name).is_dir():
            accepted = ("controls", *known, *(f"{kind}:MODEL" for kind in MODEL_AGENTS))
            raise SettingsError(
                f"{name!r} cannot be evaluated; accepted: the folder of a run (memenvs train --out ...), or one of "
                f"{', '.join(accepted)}.{did_you_mean(name, accepted)}"
            )
        runs[name] = checkpoint.find(Path(name))
    return names, runs
