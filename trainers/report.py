"""What the demo shows in the end: the table, the figures and a short report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from agents.candidate import CandidateAgent
from memenvs.record import EpisodeRecord
from trainers import checkpoint
from trainers.arms import ARMS, REFERENCE, Arm, DemoSettings, run_folder, run_settings
from trainers.comparison import show_table
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


def verdicts(rows: Sequence[Row]) -> list[str]:
    """For each arm of the ablation, which controls it beats with intervals apart, and which not."""
    controls = [row for row in rows if row["kind"] == "control" and row["agent"] not in ("nothing", "hindsight")]
    lines = []
    for arm in ARMS:
        mine = next(row for row in rows if row["agent"] == arm.name)
        apart = [row["agent"] for row in controls if mine["low"] > row["high"]]
        rest = [f"{row['agent']} ({row['r_global']:.3f})" for row in controls if row["agent"] not in apart]
        line = f"- {arm.name} ({mine['r_global']:.3f}): above {', '.join(apart) or 'none'}"
        lines.append(line + (f"; not above, or intervals overlap: {', '.join(rest)}" if rest else ""))
    return lines


def write_report(
    rows: list[Row],
    curves: dict[str, Any],
    facts: dict[str, Any],
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
    record = example_episode(REFERENCE, settings)
    (out / "episode.json").write_text(record.to_json(), encoding="utf-8")
    memory_timeline(
        record, out / "memory_timeline.png", f"{REFERENCE.name}: held-out stream 0, r_global {record.r_global:.2f}"
    )
    found = "\n".join(verdicts(rows))
    text = f"""# Which reward trains a memory manager best?

{title}. Reader: {facts["reader"]}; scoring profile: {facts["profile"]}; data: {facts["data"]}. All learned agents are the same
policy with the same settings, streams and number of episodes; they differ in the reward alone (the last ones, if any, in what their
chunk questions ask about). Intervals are two-level
bootstraps over seeds and streams.

{_markdown(rows)}

"Equal memory" controls get, stream by stream, the mean memory size of {REFERENCE.name}. "Episodes to outcome's level":
when the arm's mean curve (24 held-out streams, every {settings.updates // 8} updates, interpolated) first reaches the final
level of outcome only.

Beaten with 95 % intervals apart:

{found}

![curves](curves.png)
![final](final.png)
![memory](memory_timeline.png)

Files: table.json, table.csv, episode.json (one episode's record), runs/ (settings, metrics and checkpoint of every run).
Made by `memenvs demo --arms {settings.arms} --seeds {settings.seeds} --updates {settings.updates} --T {settings.T}`.
"""
    (out / "report.md").write_text(text, encoding="utf-8")
    console.print(found)
    console.print(
        f"written to {out}: report.md, table.json, table.csv, curves.png, final.png, memory_timeline.png, episode.json"
    )


def example_episode(arm: Arm, settings: DemoSettings) -> EpisodeRecord:
    """Held-out stream 0 as managed by the arm's first seed."""
    env = run_settings(arm, 0, settings).env.make("test", evaluation=True)
    return play(env, CandidateAgent(checkpoint.find(run_folder(arm, 0, settings))), 0)
