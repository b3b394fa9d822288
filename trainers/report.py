"""What the demo shows in the end: the table, the figures and a short report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from agents.candidate import CandidateAgent
from memenvs.record import EpisodeRecord
from trainers import checkpoint
from trainers.comparison import show_table
from trainers.demo import ARMS, Arm, DemoSettings, run_folder, run_settings
from trainers.evaluation import play
from trainers.figures import final_bars, learning_curves, memory_timeline

Row = dict[str, Any]
COLUMNS = {
    "memory_tokens": ("memory tokens", "{:.0f}".format),
    "memory_share": ("of stream", "{:.0%}".format),
    "episodes_to_outcome_level": ("episodes to outcome's level", "{:.0f}".format),
    "builtin-fact": ("facts", "{:.2f}".format),
    "builtin-label": ("labels", "{:.2f}".format),
    "builtin-summary": ("summaries", "{:.2f}".format),
    "builtin-count": ("counts", "{:.2f}".format),
}


def _markdown(rows: Sequence[Row]) -> str:
    heads = ["agent", "r_global [95 %]", *(heading for heading, _ in COLUMNS.values())]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [show(row[key]) if row.get(key) is not None else "–" for key, (_, show) in COLUMNS.items()]
        interval = f"{row['r_global']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        lines.append(f"| {' | '.join([row['agent'], interval, *cells])} |")
    return "\n".join(lines)


def _apart(high: Row, low: Row) -> str:
    verdict = "above, intervals apart" if high["low"] > low["high"] else (
        "above, but the intervals overlap" if high["r_global"] > low["r_global"] else "NOT above"
    )  # fmt: skip
    return f"- against {low['agent']}: {high['r_global']:.3f} and {low['r_global']:.3f}: {verdict}"


def write_report(
    rows: list[Row],
    curves: dict[str, Any],
    facts: dict[str, Any],
    reference: Arm,
    settings: DemoSettings,
    console: Console,
) -> None:
    """Print the table; write curves.png, final.png, memory_timeline.png, an episode record and report.md."""
    out = settings.out
    title = (
        f"builtin streams, T = {settings.T}, {facts['episodes']} episodes, {settings.seeds} seeds, "
        f"{settings.streams} held-out streams"
    )
    console.print(show_table(rows, title, COLUMNS))
    by_name = {row["agent"]: row for row in rows}
    anchors = {name: by_name[name]["r_global"] for name in ("random", "hindsight")}
    learning_curves({arm.name: curves[arm.name] for arm in ARMS}, anchors, out / "curves.png", title)
    final_bars(rows, out / "final.png", title)
    record = example_episode(reference, settings)
    (out / "episode.json").write_text(record.to_json(), encoding="utf-8")
    memory_timeline(
        record, out / "memory_timeline.png", f"{reference.name}: held-out stream 0, r_global {record.r_global:.2f}"
    )
    best = by_name[reference.name]
    anchors_only = ("nothing", "hindsight", "scripted", "keep everything, no quota")
    rivals = [row for row in rows if row["kind"] == "control" and row["agent"] not in anchors_only]
    outcome = by_name["outcome only"]
    verdicts = [_apart(best, rival) for rival in rivals] + [_apart(best, outcome)]
    text = f"""# Which reward trains a memory manager best?

{title}. Reader: {facts["reader"]}; scoring profile: {facts["profile"]}; data: {facts["data"]}. All learned agents are the same
policy with the same settings, streams and number of episodes; they differ in the reward alone. Intervals are two-level
bootstraps over seeds and streams.

{_markdown(rows)}

"Equal memory" controls get, stream by stream, the mean memory size of the best arm of the ablation ({reference.name}).
"Episodes to outcome's level": when the arm's mean curve first reaches the final held-out level of outcome only.

{reference.name}:
{chr(10).join(verdicts)}

![curves](curves.png)
![final](final.png)
![memory](memory_timeline.png)

Files: table.json, table.csv, episode.json (one episode's record), runs/ (settings, metrics and checkpoint of every run).
Made by `memenvs demo --out {out.name} --seeds {settings.seeds} --updates {settings.updates} --T {settings.T}`.
"""
    (out / "report.md").write_text(text, encoding="utf-8")
    console.print("\n".join(verdicts))
    console.print(
        f"written to {out}: report.md, table.json, table.csv, curves.png, final.png, memory_timeline.png, episode.json"
    )


def example_episode(arm: Arm, settings: DemoSettings) -> EpisodeRecord:
    """Held-out stream 0 as managed by the arm's first seed."""
    env = run_settings(arm, 0, settings).env.make("test", evaluation=True)
    return play(env, CandidateAgent(checkpoint.find(run_folder(arm, 0, settings))), 0)
