"""The commands ``memenvs rescore`` and ``memenvs compare``, over saved records. Their docstrings are their ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from memenvs.errors import DataError, SettingsError
from trainers.judge_options import Judging

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 90
"""Characters of a text that an example shows; the JSON has all of it."""


def rescore(
    records: Annotated[tuple[Path, ...], tyro.conf.Positional],
    profile: tuple[str, ...] = ("all",),
    judge: str | None = None,
    judging: Judging = {},  # noqa: B006 - tyro's way of saying that nothing was given
    entities: Path | None = None,
    examples: int = 3,
    out: Path = Path("runs/rescored"),
) -> None:
    """Score saved predictions again under other profiles, without reading again, and show where profiles disagree.

    Every agent of an evaluation that kept its records, under every profile:
        memenvs rescore runs/evaluation

    One agent under two profiles:
        memenvs rescore runs/evaluation/records/hindsight.jsonl --profile mab memalpha-eval

    Two evaluations beside each other:
        memenvs rescore runs/a runs/b --profile memalpha-train

    With a model as judge, for the sources that a profile gives to one:
        memenvs rescore runs/evaluation --profile mab --judge http://127.0.0.1:8000/v1#Qwen/Qwen3-32B

    A source that a profile gives to a model "needs a judge", a source that it does not know has "no rule", a reading that failed
    stays "failed", a judge without a readable verdict "judge failed": all are counted, none is a 0. The column "recorded" has the
    scores that the records hold. Verdicts are kept in the folder of the (first) evaluation, as verdicts.sqlite: the same command
    again asks only what failed.

    Args:
        records: files of records, or folders of evaluations (memenvs evaluate --records).
        profile: names of scoring profiles, or all.
        judge: address of an OpenAI-compatible server, with a model after "#" if it has several.
        judging: how it is asked.
        entities: entity2id.json of MemoryAgentBench, which published profiles need for recommendations.
        examples: of disagreement, per agent and source.
        out: folder for rescored.json and rescored.csv.
    """
    from memenvs.scoring.recsys import load_entities
    from trainers.comparison import write_table
    from trainers.judging import judged_by
    from trainers.rescoring import chosen_profiles, disagreements, opinions, refusals, rows
    from trainers.saved import agent_names, read_records, record_files

    if examples < 0:
        raise SettingsError(f"examples must be at least 0, got {examples}")
    if not records:
        raise SettingsError(
            "name at least one file of records or folder of an evaluation, for instance runs/evaluation"
        )
    profiles = chosen_profiles(profile)
    titles = load_entities(entities) if entities else None
    verdicts = judged_by(judge, judging, records[0])
    files = list(dict.fromkeys(file for path in records for file in record_files(path)))
    console = _console()
    lines: list[dict[str, Any]] = []
    differ: list[dict[str, Any]] = []
    why: dict[str, str] = {}
    for name, file in zip(agent_names(files), files, strict=True):
        episodes = read_records(file)
        if verdicts is not None:
            verdicts.ask(episodes, profiles)
        found = [opinions(record, profiles, titles, verdicts) for record in episodes]
        every = [opinion for own in found for opinion in own]
        lines += rows(name, episodes, found)
        differ += disagreements(name, every, examples)
        why = refusals(every) | why
    asked = verdicts.judge.name if verdicts else None
    facts = {
        "profiles": profiles,
        "judge": asked,
        "files": [str(file) for file in files],
        "disagreements": differ,
        "refused": why,
    }
    write_table(lines, facts, out / "rescored")
    console.print(_scores_table(lines))
    for key, message in why.items():
        console.print(f"no score: {key}: {message}", markup=False)
    _show_disagreements(console, differ)
    console.print(f"written: {out / 'rescored.json'}, {out / 'rescored.csv'}", markup=False)


def compare(
    a: Annotated[Path, tyro.conf.Positional],
    b: Annotated[Path, tyro.conf.Positional],
    profile: str | None = None,
    judge: str | None = None,
    judging: Judging = {},  # noqa: B006 - tyro's way of saying that nothing was given
    entities: Path | None = None,
    out: Path = Path("runs/compared"),
) -> None:
    """Compare two evaluations stream by stream: paired intervals of the difference, and who wins how often.

    Two agents of one evaluation that kept its records:
        memenvs compare runs/evaluation/records/hindsight.jsonl runs/evaluation/records/first.jsonl

    One agent against every agent of an evaluation:
        memenvs compare runs/mine/records/mine.jsonl runs/evaluation

    Agents of the same name in two evaluations, for instance with two readers:
        memenvs compare runs/a runs/b

    Scored alike, whatever they were scored under:
        memenvs compare runs/a runs/b --profile mab

    The difference is A minus B. Streams are drawn together for both, seeds of each side apart (several records of a stream in one
    file are its seeds). Streams of other data, or with other questions, are refused.

    Args:
        a: a file of records, or the folder of an evaluation (memenvs evaluate --records).
        b: what it is compared with.
        profile: score both again under this profile; otherwise the recorded scores count. Streams with questions that it does not
            score (it needs a judge, has no rule) are left out and counted.
        judge: with a profile, address of a model for the sources that it gives to one; verdicts are kept in A's folder.
        judging: how it is asked.
        entities: entity2id.json of MemoryAgentBench, which published profiles need for recommendations.
        out: folder for compared.json and compared.csv.
    """
    from memenvs.scoring.recsys import load_entities
    from trainers.comparison import write_table
    from trainers.judging import judged_by
    from trainers.pairing import differing_settings, pair, rows
    from trainers.rescoring import RECORDED, chosen_profiles, scores_again, unscored, with_scores
    from trainers.saved import facts_of, read_records, record_files

    if profile is not None and len(chosen_profiles((profile,))) > 1:
        raise SettingsError("compare takes one profile; memenvs rescore shows all beside each other")
    if judge and profile is None:
        raise SettingsError("a judge scores under a profile: name one, for instance --profile mab")
    verdicts = judged_by(judge, judging, a)
    titles = load_entities(entities) if entities else None
    console = _console()
    lines: list[dict[str, Any]] = []
    pairs = []
    for (name_a, file_a), (name_b, file_b) in matched(record_files(a), record_files(b)):
        sides = [read_records(file) for file in (file_a, file_b)]
        if verdicts is not None and profile is not None:
            verdicts.ask([record for side in sides for record in side], [profile])
        missing = [unscored(side, profile or RECORDED, titles, verdicts) for side in sides]
        if profile is not None:
            sides = [
                [with_scores(r, profile, scores_again(r, profile, titles, verdicts)) for r in side] for side in sides
            ]
        paired = pair(sides[0], sides[1], (str(file_a), str(file_b)))
        found = [{"agent_a": name_a, "agent_b": name_b, **line} for line in rows(paired)]
        profiles, datasets = facts_of(sides[0], "profile"), facts_of(sides[0], "dataset")
        lines += [line | {"profile": " ".join(profiles), "dataset": " ".join(datasets)} for line in found]
        differing = differing_settings(sides[0], sides[1])
        failed = [sum(record.failure is not None for record in side) for side in sides]
        pairs.append({
            "agent_a": name_a, "agent_b": name_b, "files": [str(file_a), str(file_b)], "dataset": datasets,
            "seeds": [facts_of(side, "seed") for side in sides], "profile": profiles, "failed_episodes": failed,
            "unscored": missing,
            "only_a": paired.only_a, "only_b": paired.only_b, "differing_settings": differing,
        })  # fmt: skip
        console.print(_comparison_table(found, f"A {name_a} - B {name_b}; profile {' '.join(profiles)}"))
        console.print(
            f"failed episodes: {failed[0]} of A, {failed[1]} of B; streams of one side alone: "
            f"{len(paired.only_a)} of A, {len(paired.only_b)} of B"
        )
        for side, reasons in zip("AB", missing, strict=True):
            if reasons:
                told = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
                console.print(f"questions of {side} without a score: {told}")
        for setting, values in differing.items():
            console.print(f"differs: {setting}: {', '.join(values['a'])} | {', '.join(values['b'])}", markup=False)
    write_table(lines, {"judge": verdicts.judge.name if verdicts else None, "pairs": pairs}, out / "compared")
    console.print(f"written: {out / 'compared.json'}, {out / 'compared.csv'}", markup=False)


Named = tuple[str, Path]
"""An agent's name and its file."""


def matched(a: Sequence[Path], b: Sequence[Path]) -> list[tuple[Named, Named]]:
    """Which files are compared: the only file of a side with every other file, else files of the same name.

    Raises:
        DataError: there is no pair of different files.
    """
    from trainers.saved import agent_names

    every = list(dict.fromkeys([*a, *b]))
    names = dict(zip(every, agent_names(every), strict=True))
    single = 1 in (len(a), len(b))
    pairs = [(x, y) for x in a for y in b if x.resolve() != y.resolve() and (single or x.stem == y.stem)]
    if not pairs:
        stems = [", ".join(sorted({file.stem for file in side})) for side in (a, b)]
        raise DataError(
            f"nothing to compare: A has {stems[0]}; B has {stems[1]}. Name one file of records, or folders with agents of one name."
        )
    return [((names[x], x), (names[y], y)) for x, y in pairs]


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _scores_table(lines: Sequence[dict[str, Any]]) -> Any:
    """Agents and sources down, profiles across."""
    from rich.table import Table

    profiles = list(dict.fromkeys(line["profile"] for line in lines))
    table = Table(title="mean scores of saved predictions", title_justify="left")
    for heading in ("agent", "source", "questions", *profiles):
        table.add_column(heading, justify="left" if heading in ("agent", "source") else "right", overflow="fold")
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        cells.setdefault((line["agent"], line["source"]), {})[line["profile"]] = line
    for (agent, source), by_profile in cells.items():
        asked = next(iter(by_profile.values()))["questions"]
        table.add_row(agent, source, str(asked), *(_cell(by_profile[profile]) for profile in profiles))
    return table


def _cell(line: dict[str, Any]) -> str:
    """A score, and what was not scored."""
    from trainers.rescoring import Missing

    reasons = [(line[reason.value.replace(" ", "_")], reason.value) for reason in Missing]
    missing = "\n".join(f"{number} {reason}" for number, reason in reasons if number)
    shown = "–" if line["score"] != line["score"] else f"{line['score']:.3f}"
    return f"{shown}\n{missing}" if missing else shown


def _show_disagreements(console: Console, lines: Sequence[dict[str, Any]]) -> None:
    for line in lines:
        if not line["differ"]:
            continue
        console.print(
            f"{line['agent']}, {line['source']}: profiles disagree on {line['differ']} of {line['predictions']} predictions "
            f"({line['share']:.0%})",
            markup=False,
        )
        for example in line["examples"]:
            scores = ", ".join(
                f"{name} {value if isinstance(value, str) else format(value, '.3g')}"
                for name, value in example["scores"].items()
            )
            references = " | ".join(example["references"])
            console.print(
                f"  {_short(example['question'])}\n    predicted {_short(example['prediction'])}; "
                f"right {_short(references)}\n    {scores}",
                markup=False,
                highlight=False,
            )


def _short(text: str) -> str:
    """A text as one line of at most `SHOWN` characters, from its end: the question itself stands after instructions."""
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else "..." + line[3 - SHOWN :])


def _comparison_table(lines: Sequence[dict[str, Any]], title: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in (
        "source",
        "A",
        "B",
        "A - B [95 %]",
        "streams",
        "left out",
        "won/tied/lost",
        "questions won/tied/lost",
    ):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for line in lines:
        interval = f"{line['difference']:+.3f}" if line["streams"] else "–"
        if line["streams"] > 1:
            interval += f" [{line['low']:+.3f}, {line['high']:+.3f}]"
        table.add_row(
            line["source"],
            *(f"{line[side]:.3f}" if line["streams"] else "–" for side in ("a", "b")),
            interval,
            str(line["streams"]),
            str(line["left_out"]),
            f"{line['wins']}/{line['ties']}/{line['losses']}",
            f"{line['question_wins']}/{line['question_ties']}/{line['question_losses']}",
        )
    return table
