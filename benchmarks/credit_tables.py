"""The tables of docs/credit.md and of the README's credit section, from the files of `memenvs bench-rewards --train`.

    python benchmarks/credit_tables.py runs/bench-rewards                      # prints them
    python benchmarks/credit_tables.py runs/bench-rewards --pages docs/credit.md README.md

The folder holds both studies of docs/credit.md. With pages, each table takes the place of the one with the same heading there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
BUILTIN = "builtin"
HALF = "advantage, half trained"
MEASURES = {
    HALF: "advantage fidelity, half-trained policy",
    "spearman": "attribution fidelity (Spearman)",
    "advantage": "advantage fidelity, mixed behaviour",
    "linear_datamodelling": "LDS",
}
FAMILIES = {
    "clean": "behaviour clean", "mixed": "behaviour mixed", "messy": "behaviour messy",
    "retrieval": "family accurate-retrieval", "test-time learning": "family test-time-learning",
    "long range": "family long-range-understanding", "conflict": "family conflict-resolution",
}  # fmt: skip
README = {
    "trajectory": "outcome, spread evenly",
    "evidence": "evidence, retrieved (the paper's formula)",
    "evidence-cited": "evidence, cited",
    "loo-step": "leave one step out",
    "prefix": "difference of prefixes",
    "permutation-shapley": "Shapley, 32 sampled orders",
    "chunk": "chunk questions alone",
    "wrapper finemem-cited": "Fine-Mem's total, cited",
}
"""Rows of the README's table."""


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heading), *lines[1:]])


def interval(row: Row, name: str, digits: int = 2) -> str:
    """Mean and interval, or a dash."""
    if row.get(name) is None:
        return "–"
    return f"{row[name]:.{digits}f} [{row[f'{name}_low']:.{digits}f}, {row[f'{name}_high']:.{digits}f}]"


def number(row: Row, name: str, show: str = ".2f") -> str:
    """A number, or a dash."""
    return "–" if row.get(name) is None else format(row[name], show)


class Folder:
    """The files of both studies."""

    def __init__(self, path: Path, compression: str = "0.05") -> None:
        def read(name: str) -> dict[str, Any]:
            return json.loads((path / name).read_text(encoding="utf-8"))

        self.measured: list[Row] = read("table.json")["rows"]
        self.half = {r["method"]: r for r in read("half-trained/table.json")["rows"] if r["scope"] == BUILTIN}
        self.plain, self.compressed = read("study.json"), read(f"study-compression-{compression}.json")

    def scope(self, name: str) -> list[Row]:
        """Rows of the methods that served something in a scope."""
        return [r for r in self.measured if r["scope"] == name and (r["episodes"] or "advantage" in r)]


def main_table(folder: Folder) -> str:
    """Every fidelity."""
    rows = []
    for row in folder.scope(BUILTIN):
        total = row["episodes"] + row["unserved"]
        name = row["method"] + (f" ({row['unserved']} of {total} not served)" if row["unserved"] else "")
        cells = [number(row, key) for key in ("kendall_b", "top1", "negative_recall", "normalised_l1")]
        cells += [number(row, key) for key in ("linear_datamodelling", "efficiency_gap")]
        cells += [number(row, "degenerate", "d"), number(row, "calls", ".0f"), number(row, "seconds", ".3f")]
        half = interval(folder.half.get(row["method"], {}), "advantage")
        rows.append([name, interval(row, "advantage"), half, interval(row, "spearman"), *cells])
    heading = ["credit", "advantage fidelity", "half-trained policy", "Spearman", "Kendall", "top-1", "negative recall"]
    return table([*heading, "L1", "LDS", "gap", "degenerate", "reader calls", "CPU s"], rows)


def scope_table(folder: Folder) -> str:
    """Spearman by behaviour, by family, on real text."""
    real = next((r["scope"] for r in folder.measured if r["scope"].startswith("data ")), "")
    left_out = ("exact-shapley", "writes", "trajectory")  # one by definition, nought, and as uniform
    by_scope = {s: {r["method"]: r for r in folder.scope(s)} for s in (*FAMILIES.values(), real)}
    rows = [
        [
            row["method"],
            *(number(by_scope[s].get(row["method"], {}), "spearman") for s in FAMILIES.values()),
            interval(by_scope[real].get(row["method"], {}), "spearman"),
        ]
        for row in folder.scope(BUILTIN)
        if row["method"] not in left_out
    ]
    return table(["Spearman", *FAMILIES, "real text"], rows)


def width_table(folder: Folder) -> str:
    """Evidence at several k."""
    widths = sorted({int(r["scope"][4:]) for r in folder.measured if r["scope"].startswith("k = ")})
    by_k = {k: {r["method"]: r for r in folder.scope(f"k = {k}")} for k in widths}

    def cells(k: int) -> list[str]:
        return [interval(by_k[k][m], "spearman") for m in ("evidence", "evidence-cited")]

    return table(["k", "evidence (retrieved)", "evidence-cited"], ([str(k), *cells(k)] for k in widths))


def study_table(folder: Folder) -> str:
    """What was learned. Presets have a compression term of their own, so they stand in the second column alone."""
    compressed = {row["method"]: row for row in folder.compressed["rows"]}
    rows = []
    for row in folder.plain["rows"]:
        name, preset = row["method"], row["method"].startswith("wrapper ")
        more = f" (+ {row['predictor_episodes']} episodes)" if row["predictor_episodes"] else ""
        calls = f"{row['own_readings'] / 1000:.0f}k + {row['credit_calls'] / 1000:.0f}k"
        cells = ["–" if preset else interval(row, "r_global", 3), interval(compressed.get(name, {}), "r_global", 3)]
        cells += [f"{row['curve']:.3f}", calls, f"{row['seconds']:.0f}"]
        rows.append([name + more, *cells, *(number(row, key) for key in ("spearman", "advantage", HALF))])
    heading = ["credit", "held-out r_global", "with compression .05", "mean of curve", "reader calls: own + for credit"]
    return table([*heading, "CPU s", "Spearman", "advantage fidelity", "half-trained"], rows)


def prediction_table(folder: Folder) -> str:
    """What predicts what is learned, over estimators alone."""
    who, plain = next((w, p) for w, p in folder.plain["predictions"].items() if w.endswith(" estimators"))
    compressed = folder.compressed["predictions"][who]
    final, curve = "held-out r_global", "mean of curve"
    columns = [plain[final], compressed[final], plain[curve]]
    names = sorted(MEASURES, key=lambda name: -plain[final][name]["spearman"])
    rows = [
        [
            MEASURES[name],
            *(f"{c[name][key]:.{digits}f}" for c in columns for key, digits in (("spearman", 2), ("p", 3))),
        ]
        for name in names
    ]
    heading = ["measure", f"Spearman with held-out r_global, {who}", "p", "with compression .05", "p"]
    return table([*heading, "with mean of curve", "p"], rows)


def readme_table(folder: Folder) -> str:
    """A few rows, in words."""
    measured = {row["method"]: row for row in folder.scope(BUILTIN)}
    learned = {row["method"]: row for row in folder.plain["rows"]}
    T = folder.plain["settings"]["T"]
    rows = []
    for name, words in README.items():
        row, run = measured[name], learned[name]
        calls = run["credit_calls"] / (run["episodes"] * T)
        price = f"{calls:.0f}" if calls else "–"
        rows.append([words, number(row, "spearman"), number(row, "advantage"), interval(run, "r_global", 3), price])
    heading = ["credit", "attribution fidelity", "advantage fidelity", "held-out r_global"]
    return table([*heading, "reader calls a step of training"], rows)


def put(page: str, new: str) -> str:
    """The page with a table in the place of the one that has as many columns and begins with the same two headings."""
    lines, fresh = page.split("\n"), new.split("\n")
    for at, line in enumerate(lines):
        if line.startswith("|") and _kind(line) == _kind(fresh[0]):
            end = next((n for n in range(at, len(lines)) if not lines[n].startswith("|")), len(lines))
            return "\n".join([*lines[:at], *fresh, *lines[end:]])
    return page


def _kind(heading: str) -> tuple[int, tuple[str, ...]]:
    cells = [cell.strip() for cell in heading.strip("|").split("|")]
    return len(cells), (cells[0], cells[1].partition(",")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=Path, nargs="*", default=[], help="Markdown files whose tables are replaced")
    options = parser.parse_args()
    folder = Folder(options.folder)
    kinds = (main_table, scope_table, width_table, study_table, prediction_table, readme_table)
    made = [make(folder) for make in kinds]
    if not options.pages:
        print("\n\n".join(made))
    for path in options.pages:
        page = path.read_text(encoding="utf-8")
        for one in made:
            page = put(page, one)
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
