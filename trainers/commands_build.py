"""The commands ``memenvs data build`` and ``memenvs data chunk-questions``. Their docstrings are their ``--help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trainers.data_build.memalpha import BuildSettings

Build = Annotated[BuildSettings, tyro.conf.arg(name="")]


def build(
    kind: Annotated[Literal["memalpha"], tyro.conf.Positional],
    out: Path = Path("data/memalpha"),
    squad: Path | None = None,
    hotpotqa: Path | None = None,
    pubmed: Path | None = None,
    perltqa: Path | None = None,
    lme: Path | None = None,
    nlu: Path | None = None,
    trec: Path | None = None,
    banking77: Path | None = None,
    clinc150: Path | None = None,
    books: Path | None = None,
    settings: Build = BuildSettings(),
) -> None:
    """Make Memalpha-style streams from files of public sources: train.parquet, test.parquet, evidence, manifest.

    From one source:
        memenvs data build memalpha --squad train-v1.1.json

    From several, as many streams as you like:
        memenvs data build memalpha --squad train-v1.1.json --nlu NLU-folder --instances 20 --out data/mine

    From excerpts, which make only small streams:
        memenvs data build memalpha --hotpotqa part.json --books texts --small

    Then train on them:
        memenvs train --data data/memalpha

    Args:
        kind: whose rules to build by.
        out: folder for the files.
        squad: SQuAD v1.1 JSON, or the flat parquet of the hub.
        hotpotqa: HotpotQA JSON, or the flat parquet of the hub.
        pubmed: PubMed-RCT as parquet (text, labels) or in its text form, or CSAbstruct's JSON lines.
        perltqa: folder with perltmem*.json and perltqa*.json (CC BY-NC).
        lme: JSON with samples of dated sessions, the layout that Mem-alpha reads for lme_train.
        nlu: NLU-Evaluation-Data: a CSV (text, intent), a Rasa JSON, or a folder with one of each.
        trec: TREC label lines.
        banking77: CSV (text, category), or a folder with train.csv and test.csv.
        clinc150: data_full.json, or its folder.
        books: BookSum chapters (parquet), SQuALITY (JSON lines), a .txt of Project Gutenberg, or a folder of them.
        settings: the rest.
    """
    from rich.console import Console

    from trainers.data_build.memalpha import build as run

    given = {
        "squad": squad,
        "hotpotqa": hotpotqa,
        "pubmed": pubmed,
        "perltqa": perltqa,
        "lme": lme,
        "nlu": nlu,
        "trec": trec,
        "banking77": banking77,
        "clinc150": clinc150,
        "books": books,
    }
    console = Console(width=None if sys.stdout.isatty() else 160)
    manifest = run({name: path for name, path in given.items() if path}, out, settings, console.print)
    for name, entry in manifest["sources"].items():
        left_out = ", ".join(f"{number} x {reason}" for reason, number in entry.get("dropped", {}).items())
        counts = entry["instances"]
        warning = " [non-commercial use only]" if entry["non_commercial"] else ""
        console.print(
            f"{name}: {counts['train']} + {counts['test']} streams, licence {entry['licence']}{warning}"
            + (f"; left out: {left_out}" if left_out else ""),
            markup=False,
        )
    for split, entry in manifest["files"].items():
        asked = f", {entry['chunk_questions']} chunk questions" if "chunk_questions" in entry else ""
        console.print(
            f"{split}: {entry['instances']} streams, {entry['chunks']} chunks, {entry['questions']} questions{asked}"
        )
    console.print(f"written: {out}")
