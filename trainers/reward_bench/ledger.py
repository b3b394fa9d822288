"""What is finished already: one JSON line per part, so that a killed measurement goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memenvs.errors import DataError


class Ledger:
    """Results by key in a file of JSON lines. Its first line says what they depend on.

    A line is written at once and whole; one that a kill cut off is dropped, and its part is done again.

    Args:
        path: of the file.
        facts: everything that decides the results, as plain data.

    Raises:
        DataError: the file holds results of other facts, or is no such file.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self._path = path
        self.results: dict[str, dict[str, Any]] = {}
        """Key -> result, of what is finished."""
        kept: list[str] = []
        if path.is_file():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        if kept:
            there = _parsed(path, kept[0])
            if len(kept) > 1:
                self._check(there, json.loads(json.dumps(facts)))
            # Without a result there is nothing to keep apart: a wrapper that failed at once may be mended and tried again.
            kept[0] = json.dumps(facts) + "\n"
            for line in kept[1:]:
                entry = _parsed(path, line)
                self.results[entry["key"]] = entry["result"]
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = [json.dumps(facts) + "\n"]
        draft = path.with_name(path.name + ".tmp")
        draft.write_text("".join(kept), encoding="utf-8")
        draft.replace(path)

    def _check(self, there: dict[str, Any], here: dict[str, Any]) -> None:
        if there == here:
            return
        names = dict.fromkeys((*there, *here))
        differing = [f"{n} {there.get(n)!r} there, {here.get(n)!r} here" for n in names if there.get(n) != here.get(n)]
        raise DataError(
            f"{self._path} holds results of other settings ({'; '.join(differing)}); name another folder with --out, or delete it"
        )

    def add(self, key: str, result: dict[str, Any]) -> None:
        """Keep a result."""
        line = json.dumps({"key": key, "result": result}, allow_nan=False)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        # As it will be read again, so that a continued run works with the very same numbers.
        self.results[key] = json.loads(line)["result"]


def _parsed(path: Path, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path} is no file of results: {error}; delete it, or name another folder") from error
    if not isinstance(entry, dict):
        raise DataError(f"{path} is no file of results: {line[:80]!r}; delete it, or name another folder")
    return entry
