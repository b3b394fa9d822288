"""``memenvs evaluate`` without a suite: agents side by side in a registered environment."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from agents.base import MODEL_AGENTS, make_agent
from memenvs.errors import DataError, SettingsError
from memenvs.record import EpisodeRecord
from memenvs.streams.types import StreamDataset
from trainers.endpoint_options import EndpointOptions
from trainers.evaluation import EpisodeScore
from trainers.lock import alone_in
from trainers.manager_options import ManagerOptions, check_managers, manager_arguments
from trainers.run_env import EnvOptions, env_for, trained_folder
from trainers.settings import EnvSettings


def evaluate_environment(
    agents: Sequence[str], env: EnvOptions, split: str, streams: int, seed: int, out: Path, records: bool,
    endpoint: EndpointOptions, manager: ManagerOptions,
) -> int:  # fmt: skip
    """Play, score, and write the table. Arguments as ``memenvs evaluate`` explains them.

    Returns:
        How many episodes failed.

    Raises:
        SettingsError: arguments that do not fit, or another command is writing to ``out``.
    """
    for name, value, least in (("streams", streams, 1), ("seed", seed, 0)):
        if value < least:
            raise SettingsError(f"{name} must be at least {least}, got {value}")
    names, runs = named_agents(agents)
    check_managers(names, manager)
    with alone_in(out):  # replies are kept there too
        return _evaluate(names, runs, env, split, streams, seed, out, records, endpoint, manager)


def _evaluate(
    names: Sequence[str], runs: Mapping[str, Path], env: EnvOptions, split: str, streams: int, seed: int, out: Path, records: bool,
    endpoint: EndpointOptions, manager: ManagerOptions,
) -> int:  # fmt: skip
    """The same for the agents that `named_agents` found."""
    from rich.console import Console
    from rich.progress import track

    from agents.candidate import CandidateAgent
    from trainers.comparison import evaluate_control, question_sources, row, show_table, write_table
    from trainers.evaluation import evaluate as play_all
    from trainers.provenance import facts
    from trainers.saved import file_names
    from trainers.suites.costs import grown, usage_of

    policies = {name: CandidateAgent(folder) for name, folder in runs.items()}
    settings = env_for([folder for name in names if (folder := trained_folder(name))], env, endpoint).keeping_replies(
        out
    )
    made = settings.make(split, evaluation=True)
    base: Any = made.unwrapped
    dataset, reader = base.dataset, base.reader
    models = {name: Model(name, settings, split, dataset, reader, manager, out) for name in names if is_model(name)}
    indices = list(range(min(streams, len(dataset))))
    console = Console(width=None if sys.stdout.isatty() else 160)
    asked = {name: getattr(settings, name) for name in EnvOptions.__annotations__} | {"data": settings.source}
    console.print("environment: " + ", ".join(f"{name} {value}" for name, value in asked.items()))

    rows: list[dict[str, Any]] = []
    every: dict[str, list[EpisodeScore]] = {}
    budgets: list[int | None] | None = None
    reference = None
    files = file_names(names)
    for name in track(names, "agents"):
        kept: list[EpisodeRecord] = []
        keep = kept.append if records else None
        before = usage_of(reader)
        if name in policies:
            scores = play_all(made, policies[name], indices, seed, keep)
        elif name in models:
            scores = models[name].play(indices, seed, kept.append)
        else:
            scores = evaluate_control(name, settings, split, indices, budgets, seed, dataset, keep, reader)
        if budgets is None and name != "nothing":
            budgets, reference = [int(score.memory_tokens) if score.played else None for score in scores], name
        origin: dict[str, Any] = {"kind": "learned", "run": name} if name in policies else {"kind": "control"}
        if name in models:
            origin = models[name].facts(kept)
        rows.append(row(files[name], [scores], **origin, **grown("reader", before, usage_of(reader))))
        every[name] = scores
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
    sources = question_sources(score for scores in every.values() for score in scores)
    heading |= {s: (s.removeprefix("builtin-"), "{:.2f}".format) for s in sources}
    title = f"{known['data']}, {known['split']}: {len(indices)} streams, reader {known['reader']}, profile {known['profile']}"
    console.print(show_table(rows, title, heading))
    for name, scores in every.items():
        if failed := [score for score in scores if score.failure is not None]:
            told = f"{name} failed on {len(failed)} of {len(scores)} streams, first on {failed[0].stream}: {failed[0].failure}"
            console.print(told, markup=False)
    written = f"written: {out / 'table.json'}, {out / 'table.csv'}" + (f", {out / 'records'}" if records else "")
    console.print(written, markup=False)
    return sum(row["failures"] for row in rows)


class Model:
    """A language model under test, which knows the environment's limits, in environments that read its dialect.

    Args:
        name: of the agent.
        settings: of the environment.
        split: of its data.
        dataset: these data.
        reader: who answers.
        manager: what was given about language models.
        out: folder of the evaluation.
    """

    def __init__(
        self, name: str, settings: EnvSettings, split: str, dataset: StreamDataset, reader: Any, manager: ManagerOptions, out: Path
    ) -> None:  # fmt: skip
        own = manager_arguments(name, manager, out)
        folder = trained_folder(name)
        self._batch = None if folder is None else _trained_batch(folder)
        if self._batch is not None:
            own["batch"] = self._batch
        agent: Any = make_agent(
            name,
            max_operations=settings.max_operations,
            max_item_tokens=settings.max_item_tokens,
            memory_budget=settings.memory_budget,
            **own,
        )
        self.agent = agent
        self._settings, self._split = replace(settings, dialect=agent.dialect), split
        self._dataset, self._reader = dataset, reader

    def play(self, streams: Sequence[int], seed: int, keep: Callable[[EpisodeRecord], None]) -> list[EpisodeScore]:
        """Play streams side by side: those of a run as its training plays held-out streams, so that its scores are these."""
        from trainers.evaluation import evaluate_policy
        from trainers.playing_together import evaluate_together

        if self._batch is None:
            return evaluate_together(self._make, self.agent, streams, seed, keep)
        from trainers.grpo import EVALUATED_TOGETHER

        envs = [self._make() for _ in range(min(EVALUATED_TOGETHER, len(streams)))]
        policy = self.agent.policy
        return evaluate_policy(envs, policy, streams, keep=keep, drawn=seed if policy.sampling.temperature else None)

    def facts(self, kept: Sequence[EpisodeRecord]) -> dict[str, Any]:
        """Columns of its row, among them what its server was asked.

        ``unreadable_messages`` are those without any operation to carry out or refuse, per episode: not SKIP, and not among the
        invalid operations.
        """
        from trainers.suites.costs import grown, usage_of

        unread = sum(step.error is not None for record in kept for step in record.steps)
        return {
            "kind": "language model",
            "dialect": self.agent.dialect,
            "unreadable_messages": unread / len(kept) if kept else math.nan,
            **grown("manager", {}, usage_of(self.agent)),
        }

    def _make(self) -> gym.Env[Any, Any]:
        env = self._settings.make(self._split, evaluation=True, dataset=self._dataset)
        env.unwrapped.reader = self._reader  # type: ignore[attr-defined]
        return env


def is_model(name: str) -> bool:
    """Whether this names a language model, see `agents.base.MODEL_AGENTS`."""
    kind, _, model = name.partition(":")
    return kind in MODEL_AGENTS and bool(model)


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


def _trained_batch(folder: Path) -> int | None:
    """How many prompts a run of a language model forwards together; None where no run says so."""
    from trainers import checkpoint

    newest = folder if (folder / "state.json").is_file() else checkpoint.latest(folder)
    if newest is None:
        return None
    try:
        return int(checkpoint.read_state(newest)["settings"]["lm"]["batch"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{newest}: state.json does not say how a language model was trained; name the run of one (memenvs train --agent lm)"
        ) from error
