"""How much memory it takes to go through contexts of 800,000 tokens: of one row, and of several.

Each file is written by one process and gone through by another, whose greatest resident size is measured, so that what pyarrow
allocates counts too. (A process inherits the greatest size of the one that starts it, which therefore stays small.) Only ratios
within one run mean anything.

Parquet packs values into pages, and a page can only be unpacked as a whole. pyarrow, as it is, writes all rows of such a file into
one page ("one page"); "row groups" has a page for each row.

    python benchmarks/lazy_reading.py            # files of 1, 4 and 8 rows
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from memenvs.memory import count_tokens
from memenvs.streams import load

TOKENS = 800_000
LAYOUTS = ("one page", "row groups")
_LETTERS = "etaoinshrdlucmfwyp"


def write(path: Path, rows: int, tokens: int, layout: str) -> None:
    """A file of MemoryAgentBench's form; every context has ``tokens`` words and full stops, none the words of another."""
    import pyarrow
    from pyarrow import parquet

    made = []
    for number in range(rows):
        draw = random.Random(number)
        words = ["".join(draw.choices(_LETTERS, k=draw.randint(2, 8))) for _ in range(20_000)]
        sentences = [" ".join(draw.choices(words, k=15)).capitalize() + "." for _ in range(tokens // 16)]
        metadata = {"source": "eventqa_full", "qa_pair_ids": [f"eventqa_full_no{number}"], "keypoints": ["none"]}
        asked = {"questions": ["What next?", "And then?"], "answers": [["a"], ["b"]]}
        made.append({"context": " ".join(sentences), "metadata": metadata} | asked)
    parquet.write_table(pyarrow.Table.from_pylist(made), path, row_group_size=1 if layout == LAYOUTS[1] else None)


def go_through(path: Path) -> str:
    """Every chunk of every stream; tells chunks, tokens of the longest stream, and kilobytes before and at most."""
    import pyarrow.parquet  # noqa: F401 - part of the base

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunks, longest = 0, 0
    data = load(path)
    for index in range(len(data)):
        stream = data[index]
        chunks += stream.T
        longest = max(longest, sum(count_tokens(chunk.text) for chunk in stream.chunks))
    return f"{chunks} {longest} {base} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}"


def _child(*arguments: object) -> str:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--layout", default=LAYOUTS[0], help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.write, given.rows[0], given.tokens, given.layout)
        return
    if given.read:
        print(go_through(given.read))
        return
    first = 0
    print(
        f"{'layout':<11} {'rows':>4} {'file MB':>8} {'chunks':>7} {'longest':>8} {'peak MB':>8} {'above base':>11} {'ratio':>6}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for layout, rows in ((layout, rows) for layout in LAYOUTS for rows in given.rows):
            path = Path(folder) / f"Accurate_Retrieval-{rows}.parquet"
            _child("--write", path, "--rows", rows, "--tokens", given.tokens, "--layout", layout)
            chunks, longest, base, peak = map(int, _child("--read", path).split())
            above = peak - base
            first = above if rows == given.rows[0] else first
            sizes = f"{peak / 1e3:>8.0f} {above / 1e3:>11.0f} {above / first:>6.2f}"
            print(
                f"{layout:<11} {rows:>4} {path.stat().st_size / 1e6:>8.1f} {chunks:>7} {longest:>8} {sizes}", flush=True
            )


if __name__ == "__main__":
    main()
