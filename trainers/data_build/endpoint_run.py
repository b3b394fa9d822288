"""All chunks of a file through an endpoint, in a way that survives being killed.

* `Ledger` - one line per finished chunk.
* `run` - the chunks that are not in it yet.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, ScorerError, SettingsError
from trainers.data_build.asked import Questions, Task
from trainers.data_build.endpoint import EndpointSettings, Models, ReplyError, Spent, ask_chunk
from trainers.extra_parameters import canonical

_DECIDING = ("endpoint", "generator", "verifier", "per_chunk", "rounds")
"""Settings that a resumed run must share."""


class Ledger:
    """A file with a line of settings and then one line of JSON per entry, each written in one piece and kept on disk.

    A line that a killed run left unfinished is cut off.

    Args:
        path: of the file, made if it is not there.
        settings: what the entries belong to.

    Raises:
        SettingsError: the file belongs to other settings.
        DataError: a line of the file is broken.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self._lock = path, threading.Lock()
        self.entries: list[dict[str, Any]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.is_file() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(path, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: expected JSON ({error}); delete the file to start anew"
                ) from error
            self.entries.append(entry)
        if not self.entries:
            self._append({"settings": dict(settings)})
        elif self.entries[0] != {"settings": dict(settings)}:
            raise SettingsError(
                f"{path} belongs to {json.dumps(self.entries[0].get('settings'))}, asked for is {json.dumps(dict(settings))}; "
                "give another --out, or delete the file to start anew"
            )
        self.entries = self.entries[1:]

    def add(self, entry: dict[str, Any]) -> None:
        """Write one entry."""
        self._append(entry)
        self.entries.append(entry)

    def _append(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        with self._lock, self.path.open("ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())


@dataclass
class Outcome:
    """What a run did."""

    asked: dict[tuple[int, int], Questions] = field(default_factory=dict)
    """Questions of every finished chunk, of this run and those before, by (row, step)."""
    resumed: int = 0
    """Chunks that were finished before this run."""
    failures: list[str] = field(default_factory=list)
    """Why chunks failed in this run."""
    untried: int = 0
    """Chunks that were not begun, because the run gave up."""
    usage: Spent = field(default_factory=Spent)
    """Cost of all runs on this file, failures included."""


def run(
    found: Sequence[Task],
    out: Path,
    settings: EndpointSettings,
    models: Models,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Ask about every chunk that ``<out>.progress.jsonl`` does not hold yet.

    A chunk that fails gets no line there; it is tried again by the next run. Why it failed and what it cost stands in
    ``<out>.failures.jsonl``.

    Args:
        found: the chunks.
        out: where the finished data will be written by the caller; only its name is used here.
        settings: models and limits.
        models: who is asked.
        progress: called after every chunk.

    Raises:
        SettingsError: the files belong to other settings.
        DataError: a line in them is broken.
    """
    deciding = {name: getattr(settings, name) for name in _DECIDING}
    if (extra := canonical(settings.extra, "models")) is not None:
        deciding["extra"] = extra
    done = Ledger(out.with_suffix(".progress.jsonl"), deciding)
    failed = Ledger(out.with_suffix(".failures.jsonl"), deciding)
    outcome = Outcome()
    for entry in (*done.entries, *failed.entries):
        outcome.usage.add(**entry["usage"])
    finished = {(entry["row"], entry["step"], entry["digest"]): entry["questions"] for entry in done.entries}
    waiting = []
    for task in found:
        questions = finished.get((task.row, task.step, task.digest))
        if questions is None:
            waiting.append(task)
        else:
            outcome.asked[task.row, task.step] = questions
    outcome.resumed = len(outcome.asked)
    lock = threading.Lock()
    in_a_row = 0

    def work(task: Task) -> None:
        nonlocal in_a_row
        with lock:
            if in_a_row >= settings.give_up:
                outcome.untried += 1
                return
        asked = models.counted_apart()
        entry: dict[str, Any] = {"row": task.row, "step": task.step, "digest": task.digest}
        try:
            questions = ask_chunk(asked, settings, task.text, task.source)
        except (ReplyError, ScorerError) as error:
            failed.add({**entry, "error": str(error), "usage": asked.spent.plain()})
            with lock:
                in_a_row += 1
                outcome.failures.append(str(error))
        else:
            done.add({**entry, "questions": questions, "usage": asked.spent.plain()})
            with lock:
                in_a_row = 0
                outcome.asked[task.row, task.step] = questions
        outcome.usage.add(**asked.spent.plain())
        progress()

    with ThreadPoolExecutor(settings.concurrency) as pool:
        try:
            for future in [pool.submit(work, task) for task in waiting]:
                future.result()
        except BaseException:
            # What is in work is finished and written; what is not begun stays undone.
            pool.shutdown(cancel_futures=True)
            raise
    return outcome
