"""Data sets of a hub at a commit that is named in results.

* `commit_of` - the commit that a revision stands for.
* `hub_table` - one split as lazy rows, through the `datasets` library.
* `hub_file` - one file of a data set, for formats that `datasets` cannot hold (answers that are strings here and numbers there).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.streams.rows import TableRows

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 20.0


def commit_of(hub_id: str, revision: str | None = None) -> str | None:
    """The commit (40 hex digits) of a branch or tag; a commit is returned as it is, without asking the hub.

    None for a folder on this machine in a hub's layout, which has no commits.

    Raises:
        DataError: `datasets` is not installed, or the hub does not answer; says how to give a path instead.
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
        raise _unreachable(hub_id, error) from error
    if not found:
        raise DataError(f"the hub names no commit for {hub_id!r}")
    return str(found)


def hub_table(hub_id: str, split: str, revision: str | None = None, without: tuple[str, ...] = ()) -> TableRows:
    """One split of a data set.

    Args:
        hub_id: of the data set.
        split: its name.
        revision: commit, branch or tag; None for what is newest, which is then named in ``name``.
        without: see `TableRows`.

    Raises:
        DataError: as `commit_of`, or the split cannot be had.
    """
    commit = commit_of(hub_id, revision)
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id, split=split, revision=commit)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreachable(hub_id, error, f" (split {split!r})") from error
    return TableRows(named(hub_id, commit), loaded, without)


def hub_file(hub_id: str, name: str, revision: str | None = None) -> tuple[Path, str | None]:
    """Download one file of a data set, unless it is there already.

    Returns:
        Its path and the commit.

    Raises:
        DataError: as `commit_of`, or there is no such file.
    """
    commit = commit_of(hub_id, revision)
    try:
        return Path(_hub(hub_id).hf_hub_download(hub_id, name, repo_type="dataset", revision=commit)), commit
    except Exception as error:  # as in commit_of
        raise _unreachable(hub_id, error, f" (file {name!r})") from error


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


def _unreachable(hub_id: str, error: Exception, part: str = "") -> DataError:
    return DataError(
        f"the hub data set {hub_id!r}{part} could not be loaded: {type(error).__name__}: {error}. Without network "
        "give the path of a downloaded copy as data, or the commit of a cached one as revision (40 hex digits)"
    )
