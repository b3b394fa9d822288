"""Saved episodes: the records that ``memenvs evaluate --records`` wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from memenvs.errors import DataError
from memenvs.record import EpisodeRecord


def record_files(path: Path) -> list[Path]:
    """The files of records that a path means: itself, or those of a folder of an evaluation.

    Raises:
        DataError: nothing is there, or the folder holds no records.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"no such file or folder: {path}; expected records as memenvs evaluate --records writes them")
    found = sorted((path / "records").glob("*.jsonl")) or sorted(path.glob("*.jsonl"))
    if not found:
        raise DataError(
            f"{path} holds no records: expected {path / 'records'}/<agent>.jsonl. Evaluate with --records, which keeps them."
        )
    return found


def read_records(path: Path) -> list[EpisodeRecord]:
    """The records of a file, one per line.

    Raises:
        DataError: the file cannot be read, is empty, a line is no record, or a line stands there twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read records from {path}: {error}") from error
    records: list[EpisodeRecord] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if line in seen:
            raise DataError(f"{path}, line {number}: the same record as line {seen[line]}; an episode counts once")
        seen[line] = number
        try:
            records.append(EpisodeRecord.from_json(line))
        except DataError as error:
            raise DataError(
                f"{path}, line {number}: {error}. Records are made by memenvs evaluate --records, as records/<agent>.jsonl."
            ) from error
    if not records:
        raise DataError(f"{path} is empty; expected one episode record per line")
    return records


def agent_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, with as much of its path before it as tells the files apart."""
    parts = [(*(p for p in file.resolve().parent.parts[1:] if p != "records"), file.stem) for file in files]
    names = [path[-1] for path in parts]
    for length in range(2, max(map(len, parts), default=0) + 1):
        if len(set(names)) == len(names):
            break
        names = ["-".join(path[-length:]) for path in parts]
    return names


def facts_of(records: Iterable[EpisodeRecord], name: str) -> list[str]:
    """What records say under a name in their settings ("dataset", "seed", "profile", ...), each once, as text."""
    return sorted({str(record.settings.get(name)) for record in records})


def file_names(agents: Sequence[str]) -> dict[str, str]:
    """A file name for each agent: its name, or as much of a path, from its end, as tells the agents apart; "-" for ":" and such."""
    parts = {name: Path(name).resolve().parts[1:] if Path(name).is_dir() else (name,) for name in agents}
    ends: dict[str, str] = {}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        ends = {name: re.sub(r"[^\w.+-]+", "-", "-".join(path[-length:])) for name, path in parts.items()}
        if len(set(ends.values())) == len(ends):
            return ends
    return {name: f"{number}-{end}" for number, (name, end) in enumerate(ends.items(), 1)}
