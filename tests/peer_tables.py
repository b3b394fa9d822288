"""Which of our calls stands for which published function, and a run of vectors against them.

    python tests/peer_tables.py FOLDER     # a table: equal, not compared and why, different

A vector is a line of a ``.jsonl`` file: {function, source, inputs, output | raises, note}. Files may have any name: a vector is
known by the repository in its source and by its function. docs/vectors.md has the table in words.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from peer_memory import MEMORY
from peer_scoring import MAB_SCORING, MEMALPHA_SCORING
from peer_streams import MAB_STREAMS, MEMALPHA_STREAMS
from peer_vectors import NotComparedError, Row, Vector, read

from memenvs.errors import DataError, MemenvsError

TABLES = {
    "wangyu-ustc/Mem-alpha": (*MEMALPHA_SCORING, *MEMORY, *MEMALPHA_STREAMS),
    "HUST-AI-HYZ/MemoryAgentBench": (*MAB_SCORING, *MAB_STREAMS),
}
"""Repository -> rows."""


def row_of(vector: Vector) -> Row:
    """The row of the table that a vector belongs to: of its repository, the one whose name is the longest beginning.

    Raises:
        LookupError: there is none.
    """
    source, function = vector.record["source"], vector.record["function"]
    rows = [row for owner, table in TABLES.items() if source.startswith(owner) for row in table]
    found = [row for row in rows if function.startswith(row.function)]
    if not found:
        raise LookupError(f"no row of the table stands for {function!r} of {source!r}")
    return max(found, key=lambda row: len(row.function))


def verdict(vector: Vector) -> str:
    """ "equal", "not compared: why", or "different: how"."""
    row = row_of(vector)
    raises = "raises" in vector.record
    try:
        ours = row.ours(vector)
    except NotComparedError as why:
        return f"not compared: {why}"
    except DataError as error:
        if "MEMENVS_VOCABULARIES" in str(error):
            return "not compared: needs a vocabulary (MEMENVS_VOCABULARIES)"
        return "equal" if raises else f"different: ours raises {error}"
    except MemenvsError as error:
        return "equal" if raises else f"different: ours raises {error}"
    if raises:
        return f"different: ours gives {ours!r}, published raises {vector.record['raises']}"
    expected = row.expected(vector)
    same = _close(ours, expected, row.absolute, row.relative)
    return "equal" if same else f"different: ours {str(ours)[:600]!r}, published {str(expected)[:600]!r}"


def _close(ours: Any, theirs: Any, absolute: float, relative: float) -> bool:
    """Equal in structure; numbers (truth values among them) within the tolerance."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_close(ours[k], theirs[k], absolute, relative) for k in ours)
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(
            _close(a, b, absolute, relative) for a, b in zip(ours, theirs, strict=True)
        )
    if isinstance(ours, bool | int | float) and isinstance(theirs, bool | int | float):
        return math.isclose(ours, theirs, abs_tol=absolute, rel_tol=relative)
    return type(ours) is type(theirs) and bool(ours == theirs)


def counts(folder: Path) -> dict[tuple[str, str], Counter[str]]:
    """(file, function) -> how many vectors are equal, different, not compared (with the reason)."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for vector in read(folder):
        said = verdict(vector)
        key = (vector.file.name, vector.record["function"])
        found.setdefault(key, Counter())["different" if said.startswith("different") else said] += 1
        if said.startswith("different"):
            print(f"{vector}\n    {said}")
    return found


def main(folder: Path) -> int:
    """Print the table; 1 if something differs, 2 if there is nothing to run."""
    table = counts(folder)
    for (file, function), said in table.items():
        print(f"{file}: {function[:60]}: " + ", ".join(f"{number} {what}" for what, number in said.items()))
    total = sum(table.values(), Counter())
    run = total["equal"] + total["different"]
    print(f"{total.total()} vectors, {run} run, {total['equal']} equal, {total['different']} different")
    return 2 if not table else int(total["different"] > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
