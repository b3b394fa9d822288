"""The commands ``memenvs data build`` and ``memenvs data chunk-questions``. Their docstrings are their ``--help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from memenvs.errors import SettingsError
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
    closed_book: str = "",
    closed_book_cache: Path | None = None,
    settings: Build = BuildSettings(),
) -> None:
    """Make Memalpha-style streams from files of public sources: train.parquet, test.parquet, evidence, manifest.

    From one source:
        memenvs data build memalpha --squad train-v1.1.json

    From several, as many streams as you like:
        memenvs data build memalpha --squad train-v1.1.json --nlu NLU-folder --instances 20 --out data/mine

    From excerpts, which make only small streams:
        memenvs data build memalpha --hotpotqa part.json --books texts --small

    Without the questions that a model answers closed-book, as published; an interrupted build goes on where it was:
        memenvs data build memalpha --squad train-v1.1.json --closed-book http://127.0.0.1:8000/v1#NAME

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
        closed_book: address of a model (key in OPENAI_API_KEY); questions of squad and hotpotqa that it answers without the text
            are left out.
        closed_book_cache: file that keeps its replies; OUT/closed_book.sqlite if not said.
        settings: the rest.
    """
    from rich.console import Console

    from trainers.data_build.memalpha import build as run
    from trainers.data_build.memalpha import check_sources

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
    paths = {name: path for name, path in given.items() if path}
    check_sources(paths, bool(closed_book))
    model = None
    if closed_book:
        from memenvs.endpoint import ChatEndpoint, chat_settings

        model = ChatEndpoint(chat_settings(closed_book, cache=closed_book_cache or out / "closed_book.sqlite"))
    elif closed_book_cache:
        raise SettingsError("--closed-book-cache needs --closed-book, the address of the model")
    manifest = run(paths, out, settings, lambda line: console.print(line, markup=False), model)
    for name, entry in manifest["sources"].items():
        left_out = ", ".join(f"{number} x {reason}" for reason, number in entry.get("dropped", {}).items())
        if asked := entry.get("closed_book"):
            left_out += f"{', ' if left_out else ''}{asked['left_out']} of {asked['asked']} questions that {asked['model']} knows"
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


def chunk_questions(
    path: Annotated[Path, tyro.conf.Positional],
    out: Path | None = None,
    endpoint: str = "",
    generator: str = "",
    verifier: str = "",
    per_chunk: int = 5,
    rounds: int = 2,
    concurrency: int = 8,
    max_retries: int = 3,
    timeout: float = 120.0,
    give_up: int = 20,
    patience: float = 60.0,
    extra: str = "{}",
) -> None:
    """Ask verified questions on every chunk of a parquet file in the Memalpha schema, for the step reward.

    By rule, without a model:
        memenvs data chunk-questions train.parquet

    With models behind an OpenAI-compatible endpoint (key in OPENAI_API_KEY):
        memenvs data chunk-questions train.parquet --endpoint http://127.0.0.1:8000/v1 --generator big --verifier other

    The same command goes on where a killed one stopped, and tries again what failed.

    Args:
        path: the file.
        out: file with the questions; beside the given one, as NAME-questions.parquet, if not said.
        endpoint: base address of the models; without one, rules write the questions and the extractive reader verifies them.
        generator: model that writes questions.
        verifier: model that answers them, from the chunk and from nothing.
        per_chunk: verified questions wanted for a chunk.
        rounds: how often the generator is asked about a chunk.
        concurrency: chunks in work at a time.
        max_retries: of a request, after 429, 5xx (but 502 to 504), late replies and such that are none.
        timeout: seconds for a request.
        give_up: the run ends after so many failed chunks one after the other.
        patience: seconds that the server may be out of reach, or say 502 to 504, for instance while it restarts, before requests
            fail.
        extra: more parameters of every request, as JSON: '{"chat_template_kwargs": {"enable_thinking": false}}' switches thoughts
            off that cost time and tokens.
    """
    from rich.console import Console

    from memenvs.errors import DataError, whole
    from trainers.data_build.asked import by_rules, tasks, write

    whole("per_chunk", per_chunk, 1)
    out = out or path.with_name(f"{path.stem}-questions.parquet")
    if out.resolve() == path.resolve():
        raise SettingsError(f"--out must be another file than {path}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    if not endpoint:
        if generator or verifier or extra != "{}":
            raise SettingsError("--generator, --verifier and --extra need --endpoint, the address where the models are")
        found = tasks(path)
        asked = by_rules(found, per_chunk)
        report = {"generator": "rules", "verifier": "extractive", "chunks": len(found), "per_chunk": per_chunk}
    else:
        from trainers.data_build.endpoint import EndpointSettings, connect
        from trainers.data_build.endpoint_run import run
        from trainers.progress import bars as progress_bars

        settings = EndpointSettings(
            endpoint,
            generator,
            verifier,
            per_chunk,
            rounds,
            concurrency,
            max_retries,
            timeout,
            give_up,
            patience,
            extra,
        )
        models = connect(settings)
        found = tasks(path)
        with progress_bars() as bars:
            bar = bars.add_task("chunks", total=len(found))
            outcome = run(found, out, settings, models, lambda: bars.advance(bar))
        asked, cost = outcome.asked, outcome.usage.plain()
        console.print(
            f"{len(asked)} of {len(found)} chunks finished ({outcome.resumed} by earlier runs); so far {cost['calls']} calls, "
            f"{cost['prompt_tokens']} tokens read, {cost['completion_tokens']} written"
        )
        if len(asked) < len(found):
            raise DataError(
                f"{len(outcome.failures)} chunks failed and {outcome.untried} were not begun, so {out} is not written; the first "
                f"reason: {outcome.failures[0]}. The same command tries them again and keeps what is finished"
            )
        report = {"generator": generator, "verifier": verifier, "chunks": len(found), "per_chunk": per_chunk, **cost}
    report["chunks_with_fewer"] = sum(len(questions) < per_chunk for questions in asked.values())
    total = write(path, out, asked, report)
    console.print(
        f"{total} questions on {len(found)} chunks, {report['chunks_with_fewer']} of them with fewer than {per_chunk}; "
        f"written: {out}"
    )
