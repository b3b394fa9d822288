"""Which loader opens a file, folder or hub id.

* `Loader` - how one published form is opened.
* `loader_for_path`, `loader_for_hub` - the choice: for a path by content, for a hub id by name.
* `BENCHMARKS` - short names of benchmarks and the hub ids that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from memenvs.errors import DataError
from memenvs.streams import locomo, longmemeval, memory_agent_bench, perltqa, time_dialog
from memenvs.streams.memalpha import HUB_ID, SETTINGS, MemalphaStreams
from memenvs.streams.raw_material import described
from memenvs.streams.rows import JsonRows, ParquetRows
from memenvs.streams.types import StreamDataset

BENCHMARKS = {
    "memalpha": HUB_ID,
    "memalpha-full": "YuWangX/Memalpha-full",
    "memalpha-memoryagentbench": "YuWangX/Memalpha-Memoryagentbench",
    "memoryagentbench": memory_agent_bench.HUB_ID,
    "longmemeval": longmemeval.HUB_ID,
    "locomo": locomo.HUB_ID,
    "perltqa": perltqa.HUB_ID,
    "time-dialog": time_dialog.HUB_ID,
}
"""Short name -> hub id (for LoCoMo and PerLTQA the repository of their authors, which is no hub)."""
_FACTS_BEGIN = "Here is a list of facts:"
_FACT_QUESTIONS = "questions_golds.jsonl"


class Loader(NamedTuple):
    """How one published form is opened."""

    open: Callable[..., StreamDataset]
    """Takes a path or hub id, the split, and settings."""
    settings: tuple[str, ...]
    """Names of its settings."""


def loader_for_hub(hub_id: str) -> Loader:
    """The loader of a hub id: that of the benchmark with this name, else the Memalpha schema's."""
    if hub_id == memory_agent_bench.HUB_ID:
        return Loader(memory_agent_bench.open_hub, (*memory_agent_bench.SETTINGS, "revision"))
    if hub_id.startswith("xiaowu0162/longmemeval"):
        return Loader(longmemeval.open_hub, (*longmemeval.SETTINGS, "variant", "revision"))
    if "locomo" in hub_id.lower():
        return Loader(locomo.open_hub, (*locomo.SETTINGS, "revision"))
    if hub_id == time_dialog.HUB_ID:
        return Loader(time_dialog.open_hub, (*time_dialog.SETTINGS, "revision"))
    if hub_id.lower() == perltqa.HUB_ID.lower():
        return Loader(perltqa.open_hub, perltqa.SETTINGS)
    return Loader(MemalphaStreams.from_hub, (*SETTINGS, "revision", "evidence"))


def loader_for_path(path: Path) -> Loader:
    """The loader of a file or folder.

    Raises:
        DataError: the file is of no published form; says what it is, where that is known.
    """
    if path.is_dir():
        return _for_folder(path)
    if path.suffix == ".parquet":
        columns = set(ParquetRows(path).columns)
        if columns.issuperset(memory_agent_bench.COLUMNS):
            return _MEMORY_AGENT_BENCH
        if "haystack_sessions" in columns:
            return _LONGMEMEVAL
        if columns & {"chunks", "questions_and_answers", "data_source"}:
            return _MEMALPHA
    elif path.suffix == ".json":
        if found := _for_json(path):
            return found
    elif path.suffix == ".txt" and _begins(path, _FACTS_BEGIN):
        return Loader(_open_facts, memory_agent_bench.SETTINGS)
    raise described(path)


_MEMALPHA = Loader(MemalphaStreams.from_path, SETTINGS)
_MEMORY_AGENT_BENCH = Loader(memory_agent_bench.open_path, memory_agent_bench.SETTINGS)
_LONGMEMEVAL = Loader(longmemeval.open_path, (*longmemeval.SETTINGS, "variant"))
_LOCOMO = Loader(locomo.open_path, locomo.SETTINGS)
_PERLTQA = Loader(perltqa.open_path, perltqa.SETTINGS)
_TIME_DIALOG = Loader(time_dialog.open_path, time_dialog.SETTINGS)


def _for_folder(path: Path) -> Loader:
    names = [p.name for p in path.iterdir()] + [p.name for p in path.glob("data/*.parquet")]
    for begins, loader in (
        (tuple(memory_agent_bench.COMPETENCIES), _MEMORY_AGENT_BENCH),
        (tuple(longmemeval.VARIANTS.values()), _LONGMEMEVAL),
        ("locomo", _LOCOMO),
        ("perltmem", _PERLTQA),
        ("time_dial_", _TIME_DIALOG),
    ):
        if any(name.startswith(begins) and name.endswith((".parquet", ".json")) for name in names):
            return loader
    return _MEMALPHA


def _for_json(path: Path) -> Loader | None:
    if path.match(time_dialog.CONTEXTS):
        return _TIME_DIALOG
    if _begins(path, "{") and not longmemeval.is_training_form(path):
        return _PERLTQA if path.name.startswith("perltmem") else None
    rows = JsonRows(path)
    if not len(rows):
        raise DataError(f"{path.name}: the JSON array has no entries")
    try:
        names = set(rows[0].names)
    except DataError:
        return None
    if "haystack_sessions" in names:
        return _LONGMEMEVAL
    if names >= {"conversation", "qa"}:
        return _LOCOMO
    if names >= {"Question", "Gold Answer", "Context", "Task"}:
        return _TIME_DIALOG
    return _PERLTQA if path.name.startswith(("perltqa", "perltmem")) else None


def _begins(path: Path, with_: str) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.read(len(with_) + 64).lstrip().startswith(with_)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _open_facts(path: Path, split: str = "test", **settings: object) -> StreamDataset:
    questions = path.with_name(_FACT_QUESTIONS)
    if not questions.is_file():
        raise DataError(f"{path.name} holds facts alone; {_FACT_QUESTIONS} with the questions is expected beside it")
    return memory_agent_bench.open_fact_consolidation(path, questions, **settings)
