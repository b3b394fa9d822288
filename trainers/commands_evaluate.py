"""The command ``memenvs evaluate``. Its docstring is its ``--help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from memenvs.errors import SettingsError
from trainers.endpoint_options import EndpointOptions
from trainers.judge_options import Judging, judge_flags
from trainers.manager_options import ManagerOptions
from trainers.run_env import NOTHING_GIVEN, EnvOptions

Options = Annotated[EnvOptions, tyro.conf.arg(name="")]
Endpoint = Annotated[EndpointOptions, tyro.conf.arg(name="")]
Manager = Annotated[ManagerOptions, tyro.conf.arg(name="")]
Agents = Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--agent"])]
STREAMS = 100
"""Streams of an evaluation without a suite, where no number is given."""
STILL_OPEN = 3
"""Exit code of an evaluation that has something left to try again."""


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
    manager: Manager = {},  # noqa: B006 - likewise
    judging: Judging = {},  # noqa: B006 - likewise
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

    A run of a language model, with messages drawn as in training instead of the most probable ones; a hosted model, and what it
    costs:
        memenvs evaluate --agents lm:runs/lm controls --manager-temperature 1
        memenvs evaluate --agents endpoint:http://127.0.0.1:8000/v1#model controls --manager-price-in 0.5 --manager-price-out 2

    A model whose chat template knows no role "system", and one that has no chat template:
        memenvs evaluate --agents lm:path/to/model controls --manager-system off
        memenvs evaluate --agents lm:path/to/base-model controls --manager-chat-template path/to/template.jinja

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
    command would try something again: a question, a verdict, or a stream, on which a model failed. Without a suite, too, the other
    streams count, and what servers replied is kept.

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
        endpoint: how the reader is asked.
        manager: without a suite, how language models that manage a memory are asked.
        judging: with a suite, how the judge is asked.
    """
    if suite is not None:
        from trainers.commands_suite import evaluate_suite

        asked = {"revision": revision, "on_error": None if on_error == "raise" else on_error, "tokens": chunk_tokens}
        opening = {name: value for name, value in asked.items() if value is not None}
        named = [name for name in agents if name != "controls"]
        if manager:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in manager)
            raise SettingsError(
                f"{flags} is for an evaluation without a suite; leave it out. A suite asks lm:FOLDER as the prompt.json of "
                "that folder says (LanguageModelPolicy.save writes it)"
            )
        if split != "test":
            raise SettingsError(f"the suite {suite} has its own split; leave --split {split} out")
        if streams is not None and streams < 1:
            raise SettingsError(f"streams must be at least 1, got {streams}")
        left = evaluate_suite(
            suite, named, controls, env, profile=profile, judge=judge, entities=entities, streams=streams, seed=seed,
            out=out or Path("runs") / suite, resume=resume == "auto", published=not no_published,
            endpoint=endpoint, judging=judging, opening=opening, workers=workers, ray=ray, memory=memory,
        )  # fmt: skip
        if left:
            sys.exit(STILL_OPEN)
        return
    given = {
        "profile": profile,
        "judge": judge,
        **dict.fromkeys(judge_flags(judging), True),
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
    if alone or controls != ("all",):
        raise SettingsError(f"{' and '.join(alone) or '--controls'} needs a suite: --suite memalpha")
    from trainers.commands_environment import evaluate_environment

    failed = evaluate_environment(
        agents, env, split, STREAMS if streams is None else streams, seed, out or Path("runs/evaluation"), records,
        endpoint, manager,
    )  # fmt: skip
    if failed:
        sys.exit(STILL_OPEN)
