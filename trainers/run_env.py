"""The environment in which trained runs are evaluated: their own, as far as nothing else was asked for.

* `env_for` - that environment.
* `trained_folder` - where an agent's training says what its environment was; `is_run` - whether a folder is that of a run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from memenvs.errors import DataError, SettingsError
from memenvs.streams.sources import GENERATED
from trainers import checkpoint
from trainers.endpoint_options import EndpointOptions, check_options, is_served
from trainers.extra_parameters import left_out
from trainers.reader_settings import CHANGE_REPLIES, REPLIES, ReaderSettings, reader_fields
from trainers.settings import EnvSettings

LIMITS = ("max_operations", "max_item_tokens", "memory_budget")
"""Settings that decide which operations are valid."""
_ASKING = tuple(entry.name for entry in fields(ReaderSettings) if entry.name != "reader")
"""How a reader is asked."""


class EnvOptions(TypedDict, total=False):
    """What was asked for. What is left out is as the runs were trained; without a run it is `EnvSettings`'s default."""

    env_id: str
    """Registered id; see ``memenvs envs``. Where this or a later option is not given, it is as the named runs were trained;
    without a run it is the default of ``memenvs train``."""
    data: str | None
    """"builtin", "running-sum", a parquet file or folder in the Memalpha schema, or a hub id; None for the id's own."""
    T: int | None
    """Steps per stream, builtin and running-sum data only."""
    max_operations: int | None
    """Writes per step; None for no quota. With runs it must be theirs."""
    max_item_tokens: int | None
    """Tokens of one item. With runs it must be theirs."""
    memory_budget: int | None
    """Tokens of the whole memory. With runs it must be theirs."""
    k: int
    """Items retrieved per question."""
    reader: str
    """Who answers. Of a run's own reader, how it was asked in training holds as well."""


NOTHING_GIVEN: EnvOptions = {}


def trained_folder(agent: str) -> Path | None:
    """The folder that says how an agent was trained.

    Args:
        agent: the folder of a run or of a checkpoint, or ``lm:`` with one of these or with what `LanguageModelPolicy.save` wrote.

    Returns:
        None for any other name.
    """
    folder = Path(agent.removeprefix("lm:"))
    return folder if is_run(folder) or (agent.startswith("lm:") and _is_saved(folder)) else None


def env_for(
    runs: Sequence[Path],
    options: EnvOptions = NOTHING_GIVEN,
    asking: EndpointOptions = {},  # noqa: B006 - only read
) -> EnvSettings:
    """The environment for an evaluation.

    An option that was given wins; one that was not is as the runs were trained, on their held-out data.

    Args:
        runs: folders of runs, of checkpoints, or of saved language models, which say their limits alone.
        options: what was given.
        asking: what was given about how the reader is asked.

    Raises:
        DataError: a folder holds no checkpoint of a run.
        SettingsError: the runs differ in something that was not given; a limit differs between the runs or from the option, so
            that operations which a policy was trained to write would be refused; or ``asking`` is for another kind of reader.
    """
    trained = {str(run): _trained(run) for run in runs}
    chosen: dict[str, Any] = dict(options)
    for name in EnvOptions.__annotations__:
        if name == "T" and chosen.get("data") not in (None, *GENERATED):
            continue  # a setting of generated data
        values = {run: env[name] for run, env in trained.items() if name in env}
        if name in options and name in LIMITS:
            values["the option"] = chosen[name]
        if len(set(values.values())) > 1 and (name in LIMITS or name not in options):
            differing = ", ".join(f"{who}: {value}" for who, value in values.items())
            advice = (
                "it decides which operations are valid, so evaluate each run under its own"
                if name in LIMITS
                else f"say which with --{name.replace('_', '-')}"
            )
            raise SettingsError(f"{name} is not the same everywhere ({differing}); {advice}")
        if values:
            chosen.setdefault(name, next(iter(values.values())))
    if "reader" not in options:
        chosen |= _as_asked(trained, asking)
        for name in left_out(asking.get("extra", "{}")):  # not taken from the runs either
            chosen.pop(f"reader_{name}", None)
    check_options(chosen.get("reader", ReaderSettings.reader), asking)
    return EnvSettings(**chosen | reader_fields(asking))


def _as_asked(trained: Mapping[str, Mapping[str, Any]], asking: Collection[str]) -> dict[str, Any]:
    """How the runs' reader was asked; where they differ in what changes no reply, nothing is said about it."""
    found = {}
    for name in _ASKING:
        values = {run: env[name] for run, env in trained.items() if name in env}
        if len(set(values.values())) == 1:
            found[name] = next(iter(values.values()))
        elif values and name in CHANGE_REPLIES and (flag := name.removeprefix("reader_")) not in asking:
            differing = ", ".join(f"{who}: {value}" for who, value in values.items())
            raise SettingsError(
                f"{name} is not the same everywhere ({differing}); say which with --{flag.replace('_', '-')}"
            )
    return found


def _trained(run: Path) -> dict[str, Any]:
    """What a run was trained with, by the names of `EnvSettings`; ``data`` is its held-out data, ``reader_cache`` is there."""
    if not is_run(run) and _is_saved(run):
        from agents.language_model.policy import saved_settings

        prompt = saved_settings(run)["prompt"]
        return {name: prompt[name] for name in LIMITS}
    folder = checkpoint.find(run)
    try:
        settings = checkpoint.read_state(folder)["settings"]
        env = {name: settings["env"][name] for name in EnvOptions.__annotations__}
        env |= {name: settings["env"].get(name) for name in _ASKING}  # runs of older versions say less
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: state.json does not say with what settings the run was trained: {error}") from error
    if settings.get("eval_data"):
        env["data"] = settings["eval_data"]
    elif env["data"] is not None and Path(env["data"]).is_file():
        # As in training: the held-out file lies beside the training file.
        env["data"] = str(Path(env["data"]).with_name("test.parquet"))
    # A folder of a run may have been moved, and its replies with it.
    kept = [Path(file) for file in (env["reader_cache"], folder.parent / REPLIES) if file is not None]
    env["reader_cache"] = (
        next((str(file) for file in kept if file.is_file()), None) if is_served(env["reader"]) else None
    )
    return env


def is_run(folder: Path) -> bool:
    """Whether it is the folder of a run with a checkpoint, or a checkpoint."""
    return (folder / "state.json").is_file() or checkpoint.latest(folder) is not None


def _is_saved(folder: Path) -> bool:
    return (folder / "prompt.json").is_file()
