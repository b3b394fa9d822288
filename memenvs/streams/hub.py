"""Data sets of a hub at a commit that is named in results.

* `commit_of` - the commit that a revision stands for.
* `hub_folder` - files of a data set at one commit, downloaded once; what is there needs no network.
* `hub_table` - one split as lazy rows; the `datasets` library says which files a split consists of.
* `hub_file` - one file.
* `Snapshot` - where files are and which commit they are of.

The published benchmarks name no commits. Without ``revision`` the hub's newest one is taken, which changes: a warning names it, and
every result does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from memenvs.errors import DataError
from memenvs.streams.rows import ChainedRows, ParquetRows

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 20.0
_SHOWN = 8


class Snapshot(NamedTuple):
    """Files of a data set at one commit."""

    folder: Path
    """Where they are."""
    commit: str | None
    """40 hex digits; None for a folder that came from no hub."""


class HubTable(NamedTuple):
    """One split of a data set."""

    rows: ParquetRows | ChainedRows
    """Read one at a time."""
    commit: str | None
    """As in `Snapshot`."""


def commit_of(hub_id: str, revision: str | None = None) -> str | None:
    """The commit (40 hex digits) of a branch or tag; a commit is returned as it is, without asking the hub.

    None for a folder on this machine in a hub's layout, which has no commits.

    Raises:
        DataError: the hub's client is not installed, the hub does not answer, or has no such data set or revision.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    if Path(hub_id).is_dir():
        return None
    hub = _hub(hub_id)
    try:
        found = hub.HfApi().dataset_info(hub_id, revision=revision, timeout=_SECONDS).sha
    except (
        Exception
    ) as error:  # the transport's errors have no root of their own, and change with the library's version
        _refuse(hub_id, revision, error)
    if not found:
        raise DataError(f"the hub names no commit for {hub_id!r}")
    if revision is None:
        warnings.warn(
            f"{hub_id}: no revision was asked for; took the newest commit, which can change: revision={found!r} pins it",
            UserWarning,
            stacklevel=2,
        )
    return str(found)


def hub_folder(hub_id: str, revision: str | None = None, patterns: Sequence[str] | None = None) -> Snapshot:
    """A folder with the files of a data set.

    Args:
        hub_id: of the data set, or a folder on this machine.
        revision: commit, branch or tag; None for what is newest.
        patterns: shell patterns of the files that are needed; None for all.

    Raises:
        DataError: as `commit_of`, or the files of this commit can neither be downloaded nor found in the cache.
    """
    commit = commit_of(hub_id, revision)
    if commit is None:
        return Snapshot(Path(hub_id), None)
    wanted = None if patterns is None else list(patterns)
    try:
        folder = _hub(hub_id).snapshot_download(hub_id, repo_type="dataset", revision=commit, allow_patterns=wanted)
    except Exception as error:  # as in commit_of
        _refuse(hub_id, commit, error)
    return Snapshot(Path(folder), commit)


def hub_table(hub_id: str, split: str, revision: str | None = None, without: tuple[str, ...] = ()) -> HubTable:
    """One split of a data set of parquet files.

    Args:
        hub_id: of the data set, or a folder on this machine in a hub's layout.
        split: its name.
        revision: as in `hub_folder`.
        without: columns that are not read (`ParquetRows`).

    Raises:
        DataError: as `hub_folder`, or there is no such split, or it is of other files.
    """
    _hub(hub_id)
    import datasets

    folder, commit = hub_folder(hub_id, revision)
    name = named(hub_id, commit)
    try:
        # The library knows all ways in which a data set's card, folders and file names say what a split is.
        splits = datasets.load_dataset_builder(str(folder)).config.data_files or {}
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} is no data set of parquet files: {type(error).__name__}: {error}") from error
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}; it has: {', '.join(map(str, splits)) or 'none'}")
    parts = [ParquetRows(Path(file), without) for file in splits[split]]
    return HubTable(parts[0] if len(parts) == 1 else ChainedRows(name, parts), commit)


def hub_file(hub_id: str, name: str, revision: str | None = None) -> tuple[Path, str | None]:
    """Download one file of a data set, unless it is there already.

    Returns:
        Its path and the commit.

    Raises:
        DataError: as `hub_folder`, or there is no such file at this commit; says which there are.
    """
    folder, commit = hub_folder(hub_id, revision, [name])
    if not (folder / name).is_file():
        raise DataError(f"{named(hub_id, commit)} has no file {name!r}{_files_there(hub_id, commit)}")
    return folder / name, commit


def named(hub_id: str, commit: str | None) -> str:
    """A data set's name in results: its id and the commit."""
    return f"{hub_id}@{commit[:12]}" if commit else hub_id


def _hub(hub_id: str) -> Any:
    try:
        import datasets  # noqa: F401 - brings the hub's client, and is what the user is told to install
        import huggingface_hub
    except ImportError as error:
        raise DataError(
            f"loading {hub_id!r} from a hub needs the datasets library: pip install -e '.[data]'"
        ) from error
    return huggingface_hub


def _refuse(hub_id: str, revision: str | None, error: Exception) -> NoReturn:
    """The error in the words of what the user can do about it."""
    errors = _hub(hub_id).errors
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, errors.RevisionNotFoundError):
        raise DataError(
            f"the hub data set {hub_id!r} has no revision {revision!r}; expected a commit (40 hex digits), branch or tag of it, "
            f"or none for the newest{_cached(hub_id)}"
        ) from error
    if isinstance(error, errors.RepositoryNotFoundError):
        raise DataError(
            f"the hub has no data set {hub_id!r}, or it needs a login (HF_TOKEN): {first}. A path to files is accepted too"
        ) from error
    wanted = "" if revision is None else f" at {revision!r}"
    raise DataError(
        f"the hub data set {hub_id!r}{wanted} could not be loaded: {type(error).__name__}: {first}. Without network give the path "
        f"of a downloaded copy as data, or the commit of a cached one as revision (40 hex digits){_cached(hub_id)}"
    ) from error


def _cached(hub_id: str) -> str:
    """Which commits are on this machine, newest first, for messages."""
    hub = _hub(hub_id)
    try:
        repos = [repo for repo in hub.scan_cache_dir().repos if (repo.repo_type, repo.repo_id) == ("dataset", hub_id)]
    except hub.errors.CacheNotFound:
        repos = []
    found = sorted((-r.last_modified, r.commit_hash) for repo in repos for r in repo.revisions if r.size_on_disk)
    return f"; cached here: {', '.join(commit for _, commit in found[:_SHOWN])}" if found else "; none is cached here"


def _files_there(hub_id: str, commit: str | None) -> str:
    """Names of a commit's files, for messages; nothing where the hub cannot be asked."""
    hub = _hub(hub_id)
    try:
        names = hub.HfApi().list_repo_files(hub_id, repo_type="dataset", revision=commit)
    except Exception:  # as in commit_of; what is wrong is said already
        return " here, and the hub cannot be asked for it"
    return f"; it has: {', '.join(sorted(names)[:_SHOWN]) or 'none'}"
