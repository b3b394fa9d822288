"""The environment in which trained runs are evaluated: their own, as far as nothing else was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from memenvs.errors import DataError, SettingsError
from memenvs.streams.sources import GENERATED
from trainers import checkpoint
from trainers.settings import EnvSettings

LIMITS = ("max_operations", "max_item_tokens", "memory_budget")
"""Settings that decide which operations are valid."""


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
    """Who answers."""


NOTHING_GIVEN: EnvOptions = {}


def env_for(runs: Sequence[Path], options: EnvOptions = NOTHING_GIVEN) -> EnvSettings:
    """The environment for an evaluation.

    An option that was given wins; one that was not is as the runs were trained, on their held-out data.

    Args:
        runs: folders of runs, or of checkpoints.
        options: what was given.

    Raises:
        DataError: a folder holds no checkpoint of a run.
        SettingsError: the runs differ in something that was not given; or a limit differs between the runs or from the option, so
            that operations which a policy was trained to write would be refused.
    """
    trained = {str(run): _trained(run) for run in runs}
    chosen: dict[str, Any] = dict(options)
    for name in EnvOptions.__annotations__:
        if name == "T" and chosen.get("data") not in (None, *GENERATED):
            continue  # a setting of generated data
        values = {run: env[name] for run, env in trained.items()}
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
    return EnvSettings(**chosen)


def _trained(run: Path) -> dict[str, Any]:
    """What a run was trained with, by the names of `EnvOptions`; ``data`` is its held-out data."""
    folder = checkpoint.find(run)
    try:
        settings = checkpoint.read_state(folder)["settings"]
        env = {name: settings["env"][name] for name in EnvOptions.__annotations__}
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: state.json does not say with what settings the run was trained: {error}") from error
    if settings.get("eval_data"):
        env["data"] = settings["eval_data"]
    elif env["data"] is not None and Path(env["data"]).is_file():
        # As in training: the held-out file lies beside the training file.
        env["data"] = str(Path(env["data"]).with_name("test.parquet"))
    return env
