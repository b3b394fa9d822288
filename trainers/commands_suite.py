"""``memenvs evaluate --suite``: a published table, from data to rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.memory.token_counters import token_counter
from memenvs.memory.tokens import TokenCounter
from memenvs.scoring import PROFILES
from trainers.endpoint_options import EndpointOptions, reader_arguments
from trainers.judging import Verdicts, judge_for
from trainers.run_env import EnvOptions


def evaluate_suite(
    name: str, agents: Sequence[str], controls: Sequence[str], options: EnvOptions, *, profile: str | None, judge: str | None,
    entities: Path | None, streams: int | None, seed: int, out: Path, resume: bool, published: bool,
    endpoint: EndpointOptions, opening: Mapping[str, Any], workers: int = 0, ray: str | None = None,
) -> None:  # fmt: skip
    """Play, read, score, and write the table. Arguments as ``memenvs evaluate`` explains them."""
    from rich.console import Console

    from memenvs.reading import make_reader
    from memenvs.scoring.recsys import load_entities
    from trainers.progress import bars
    from trainers.suites.catalogue import find_suite
    from trainers.suites.heat_map import heat_map
    from trainers.suites.plan import chosen_arms, make_plan
    from trainers.suites.playing import Workers
    from trainers.suites.published_results import PUBLISHED
    from trainers.suites.run import Progress, read_suite
    from trainers.suites.run_files import versions, write_run
    from trainers.suites.scoring import Scorer, score_file
    from trainers.suites.show import remarks, tables
    from trainers.suites.table import arm_row, column_names, published_row, write_table

    suite, players = find_suite(name), Workers(workers, ray)
    rules = profile or suite.profile
    if rules not in PROFILES:
        raise SettingsError(f"unknown profile {rules!r}; known: {', '.join(PROFILES)}.{did_you_mean(rules, PROFILES)}")
    chosen_arms(agents, controls, suite.managers)
    out.mkdir(parents=True, exist_ok=True)  # verdicts and replies are kept there
    verdicts = Verdicts(judge_for(judge, out)) if judge else None
    scorer = Scorer(rules, verdicts, load_entities(entities) if entities else None)
    address = options.get("reader", "extractive")
    reader = make_reader(address, **reader_arguments(address, endpoint, out))
    plan = make_plan(suite, agents, controls, options, reader, streams, seed, opening)
    plan.check_mark(out, anew=not resume)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with bars() as shown:
        bar = shown.add_task(suite.name, total=None)

        def report(progress: Progress) -> None:
            told = f"{suite.name}: {progress.readings} questions read" + (
                f", {progress.calls:.0f} calls" if progress.calls else ""
            )
            told += f", [red]{progress.failed} failed[/red]" if progress.failed else ""
            shown.update(bar, completed=progress.played, total=progress.episodes, description=told)

        outcome = read_suite(plan, out, report, players)
    if not outcome.files:
        raise DataError(f"nothing could be played: {json.dumps(outcome.unavailable | outcome.unplayed, indent=1)}")
    counter, count = _memory_counter()
    every = {arm: score_file(kept, suite, scorer, count) for arm, kept in outcome.files.items()}
    names = column_names(suite, list(every.values()))
    rows = [arm_row(arm, plan.arms[arm].kind, summaries, names, suite) for arm, summaries in every.items()]
    facts = plan.facts | {
        "profile": rules, "judge": verdicts.judge.name if verdicts else None, "memory_counter": counter,
        "equal_memory_reference": plan.reference, "unit": suite.unit, "licence": plan.dataset.licence, "arms": {arm: plan.arms[arm].note for arm in plan.arms},
        "judge_usage": _usage(verdicts), "refused": scorer.refusals, "unavailable": outcome.unavailable,
        "unplayed": outcome.unplayed, "versions": versions(),
    }  # fmt: skip
    for row in rows:
        write_run(out / "runs" / f"{row['agent']}.json", outcome.files[row["agent"]], row, facts, suite)
    rows += [published_row(row, suite) for row in (PUBLISHED.get(suite.published, ()) if published else ())]
    write_table(rows, facts, out)
    whence = f"{facts['data']}, {facts['split']}, {plan.streams} streams"
    title = f"{suite.name} ({whence}): reader {reader.name}, profile {rules}"
    heat_map(rows, names, out / "table.png", title)
    for table in tables(rows, names, suite, title, counter):
        console.print(table)
    for line in remarks(rows, names, facts, suite):
        console.print(line, markup=False)
    files = f"{out / 'table.json'}, table.csv, table.png, {out / 'runs'}, {out / 'records'}"
    console.print(f"written: {files}", markup=False)


def _usage(verdicts: Verdicts | None) -> dict[str, Any] | None:
    """What judging cost this time; verdicts that were kept cost nothing."""
    usage = None if verdicts is None else getattr(verdicts.judge, "usage", None)
    return None if usage is None else usage.to_json()


def _memory_counter() -> tuple[str, TokenCounter]:
    """Mem-alpha reports memory lengths in tokens of Qwen3; where no Qwen vocabulary is on the machine, words."""
    try:
        return "qwen", token_counter("qwen")
    except DataError:
        return "words", token_counter("words")
