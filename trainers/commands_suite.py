"""``memenvs evaluate --suite``: a published table, from data to rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.memory.token_counters import token_counter
from memenvs.memory.tokens import TokenCounter
from memenvs.scoring import PROFILES
from trainers.endpoint_options import EndpointOptions, check_options
from trainers.judge_options import JudgeOptions
from trainers.judging import Verdicts, judged_by
from trainers.reader_settings import ReaderSettings, reader_fields
from trainers.run_env import EnvOptions

if TYPE_CHECKING:
    from trainers.suites.plan import Plan
    from trainers.suites.run import Outcome
    from trainers.suites.scoring import Scorer


def evaluate_suite(
    name: str, agents: Sequence[str], controls: Sequence[str], options: EnvOptions, *, profile: str | None, judge: str | None,
    entities: Path | None, streams: int | None, seed: int, out: Path, resume: bool, published: bool,
    endpoint: EndpointOptions, judging: JudgeOptions, opening: Mapping[str, Any], workers: int = 0, ray: str | None = None,
    memory: str | None = None,
) -> int:  # fmt: skip
    """Play, read, score, and write the table. Arguments as ``memenvs evaluate`` explains them.

    Returns:
        How much the same command would try again: questions without an answer or a verdict, and streams not played, because a model
        failed.
    """
    from memenvs.reading import make_reader
    from memenvs.scoring.recsys import load_entities
    from trainers.lock import alone_in
    from trainers.progress import bars
    from trainers.suites.catalogue import find_suite
    from trainers.suites.kept import drop_half_written
    from trainers.suites.plan import chosen_arms, make_plan
    from trainers.suites.run import Progress, read_suite
    from trainers.suites.scoring import Scorer
    from trainers.workers import Workers

    suite, players = find_suite(name), Workers(workers, ray)
    rules = profile or suite.profile
    if rules not in PROFILES:
        raise SettingsError(f"unknown profile {rules!r}; known: {', '.join(PROFILES)}.{did_you_mean(rules, PROFILES)}")
    chosen_arms(agents, controls, suite.managers, memory)
    with alone_in(out):  # replies and verdicts are kept there too
        drop_half_written(out)
        verdicts = judged_by(judge, judging, out)
        scorer = Scorer(rules, verdicts, load_entities(entities) if entities else None)
        address = options.get("reader", "extractive")
        check_options(address, endpoint)
        asking = ReaderSettings(address, **reader_fields(endpoint)).keeping_replies(out)
        reader = make_reader(address, **asking.reader_arguments)
        plan = make_plan(suite, agents, controls, options, reader, streams, seed, opening, memory)
        plan.check_mark(out, anew=not resume)
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
        return _tabulate(plan, outcome, scorer, out, published)


def _tabulate(plan: Plan, outcome: Outcome, scorer: Scorer, out: Path, published: bool) -> int:
    """Score every arm that has episodes in the folder, those of earlier commands too, and write what is to be seen.

    Returns:
        As `evaluate_suite`.
    """
    from rich.console import Console

    from trainers.progress import bars
    from trainers.rescoring import Missing
    from trainers.suites.coverage import common_subtasks, mark_incomplete
    from trainers.suites.earlier import earlier_arms, told
    from trainers.suites.heat_map import heat_map
    from trainers.suites.published_results import PUBLISHED
    from trainers.suites.run_files import versions, write_run
    from trainers.suites.scoring import score_files
    from trainers.suites.show import remarks, tables
    from trainers.suites.table import arm_row, column_names, published_row, write_table

    suite, verdicts = plan.suite, scorer.verdicts
    earlier = earlier_arms(out, plan.arms)
    files = outcome.files | {arm: found.kept for arm, found in earlier.items()}
    known = {arm: (found.kind, found.note) for arm, found in (plan.arms | earlier).items()}
    counter, count = _memory_counter()
    with bars() as shown:
        bar, order = shown.add_task("scoring", total=len(files)), list(files)

        def scored(arm: str, episodes: int) -> None:
            shown.update(bar, completed=order.index(arm), description=f"scoring {arm}: {episodes} episodes")

        every = score_files(files, suite, scorer, count, scored)
        done = sum(len(summaries) for summaries in every.values())
        shown.update(bar, completed=len(files), description=f"scoring: {done} episodes")
    names = column_names(suite, list(every.values()))
    papers = PUBLISHED.get(suite.published, ()) if published else ()
    common = common_subtasks(every.values(), papers, names, suite)
    rows = [arm_row(arm, known[arm][0], summaries, names, suite, common) for arm, summaries in every.items()]
    mark_incomplete(rows, suite)
    facts = plan.facts | {
        "profile": scorer.profile, "judge": verdicts.judge.name if verdicts else None, "memory_counter": counter,
        "equal_memory_reference": plan.reference, "unit": suite.unit, "licence": plan.dataset.licence,
        "contamination": getattr(plan.dataset, "contamination", ""),
        "arms": {arm: note for arm, (_, note) in known.items()}, "earlier": {arm: found.size_of for arm, found in earlier.items()},
        "judge_usage": _usage(verdicts), "refused": scorer.refusals, "unavailable": outcome.unavailable,
        "unplayed": outcome.unplayed, "versions": versions(),
    }  # fmt: skip
    for arm, row in zip(every, rows, strict=True):
        own = {"equal_memory_reference": earlier[arm].size_of} if arm in earlier else {}
        write_run(out / "runs" / f"{arm}.json", files[arm], row, facts | own, suite)
    rows += [published_row(row, common) for row in papers]
    write_table(rows, facts, out)
    whence = f"{facts['data']}, {facts['split']}, {plan.streams} streams"
    title = f"{suite.name} ({whence}): reader {plan.reader.name}, profile {scorer.profile}"
    console = Console(width=None if sys.stdout.isatty() else 160)
    heat_map(rows, names, out / "table.png", title)
    for table in tables(rows, names, suite, title, counter):
        console.print(table)
    counts = {arm: len(summaries) for arm, summaries in every.items()}
    for line in (*remarks(rows, names, facts, suite), *told(earlier, counts, plan.streams)):
        console.print(line, markup=False)
    written = f"{out / 'table.json'}, table.csv, table.png, {out / 'runs'}, {out / 'records'}"
    console.print(f"written: {written}", markup=False)
    # An earlier command's questions are read again by that command; its verdicts are asked for by every one.
    missing = {row["agent"]: row["missing"] for row in rows if not row["published"]}
    unread = sum(missing[arm].get(Missing.FAILED.value, 0) for arm in outcome.files)
    unjudged = sum(own.get(Missing.JUDGE_FAILED.value, 0) for own in missing.values())
    return unread + unjudged + sum(map(len, outcome.unplayed.values()))


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
