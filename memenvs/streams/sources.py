"""Opening a data source: "builtin", "running-sum", a benchmark's name, a path to published files, or a hub id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.streams.types import StreamDataset

GENERATED = ("builtin", "running-sum")
"""Sources that are made from a seed; the setting T is theirs alone."""


def load(source: str | Path = "builtin", split: str = "train", **settings: Any) -> StreamDataset:
    """Open a data source.

    Args:
        source: ``"builtin"`` (the embedded generator), ``"running-sum"`` (a dictionary, then keys to add up), a path to a file or
            folder in a published form (Memalpha, MemoryAgentBench, LongMemEval, LoCoMo, PerLTQA; docs/data.md), a hub id such as
            ``"YuWangX/Memalpha"``, or a benchmark's name such as ``"memoryagentbench"``; after an id or name, ``@`` and a commit,
            branch or tag say at which ``revision``.
        split: name of the split; a path to one file fixes it.
        settings: further keyword arguments of the source, for instance ``T=40`` for `GENERATED` ones.

    Returns:
        A `StreamDataset`. There is no fallback: what cannot be opened raises.

    Raises:
        DataError: the source cannot be opened or its schema is not the expected one.
        SettingsError: a setting is unknown or out of range.
    """
    source = str(source)
    if source == "builtin":
        from memenvs.streams.procedural import ProceduralStreams

        return ProceduralStreams(split=split, **settings)
    if source == "running-sum":
        from memenvs.streams.running_sum import RunningSumStreams

        return RunningSumStreams(split=split, **settings)
    from memenvs.streams.forms import BENCHMARKS, loader_for_hub, loader_for_path

    path = Path(source)
    try:
        path = path.expanduser()
        exists = path.exists()
    except (OSError, RuntimeError):  # a name that the system cannot even look up
        exists = False
    if exists:
        loader = loader_for_path(path)
        _check_known(source, settings, loader.settings)
        return loader.open(path, split=split, **settings)
    source, at, revision = source.partition("@")
    if at:
        if settings.get("revision", revision) != revision or not revision:
            raise SettingsError(
                f"expected one revision after the @ of a hub id, got {source + at + revision!r} and revision="
                f"{settings.get('revision')!r}; give it in one place"
            )
        settings["revision"] = revision
    source = BENCHMARKS.get(source.lower(), source)
    is_file_name = path.suffix in (".parquet", ".json", ".jsonl", ".csv", ".arrow")
    looks_like_hub_id = source.count("/") == 1 and not is_file_name and not source.startswith((".", "/", "~"))
    if looks_like_hub_id:
        loader = loader_for_hub(source)
        _check_known(source, settings, loader.settings)
        return loader.open(source, split=split, **settings)
    raise DataError(
        f"no such file or folder: {source!r}; expected {', '.join(map(repr, GENERATED))}, a path to a published file or folder, "
        f"a hub id, or one of {', '.join(BENCHMARKS)}.{did_you_mean(source, [*GENERATED, *BENCHMARKS])}"
    )


def _check_known(source: str, settings: Iterable[str], known: Sequence[str]) -> None:
    for name in settings:
        if name not in known:
            raise SettingsError(
                f"unknown setting {name!r} for the source {source!r}; known: {', '.join(known)}.{did_you_mean(name, known)}"
            )
