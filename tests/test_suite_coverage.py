"""Averages over different questions are marked, and a mean over what all rows have stands beside, by hand."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from trainers.suites import show
from trainers.suites.coverage import common_subtasks, mark_incomplete
from trainers.suites.heat_map import heat_map
from trainers.suites.published_results import PublishedRow
from trainers.suites.suite import Column, Suite
from trainers.suites.summary import Cell, Summary
from trainers.suites.table import arm_row, published_row, write_table

SUITE = Suite("tiny", "", "builtin", "test", "corrected", tuple(Column(name, (name,)) for name in "ABC"))
NAMES = ["A", "B", "C", "other"]
FACTS = {
    "suite": "tiny",
    "seed": 7,
    "judge": "J",
    "memory_counter": "words",
    "streams": 3,
    "profile": "mab",
    "contamination": "",
} | {name: {} for name in ("refused", "unavailable", "unplayed", "judge_usage")}


def episode(missing=0, **scores):
    cells = {
        name: Cell([*values], Counter(failed=missing) if missing else Counter()) for name, values in scores.items()
    }
    return Summary("s", "source", cells, memory_tokens=10, items=1, refused=0, costs={})


FULL = [episode(A=[1], B=[0.5]), episode(A=[0], B=[0.5]), episode(C=[1], other=[1])]
EVERY = {
    "full": FULL,
    "failing": [FULL[0], episode(missing=2, A=[0], B=[0.5]), FULL[2]],
    "short": [FULL[0], FULL[2]],
    "easy": [*FULL[:2], episode(other=[0])],
    "unscored": [*FULL[:2], episode(C=[1]), episode(missing=1, other=[])],
}
PAPER = PublishedRow("paper", {"A": 0.2, "B": 0.4}, 0.3, 1.0, "a paper")


def table(*arms, published=()):
    every = {arm: EVERY[arm] for arm in arms}
    common = common_subtasks(every.values(), published, NAMES, SUITE)
    rows = [arm_row(arm, "control", summaries, NAMES, SUITE, common) for arm, summaries in every.items()]
    rows += [published_row(row, common) for row in published]
    mark_incomplete(rows, SUITE)
    return rows


def shown(rows):
    console = Console(file=io.StringIO(), width=200)
    for one in show.tables(rows, NAMES, SUITE, "tiny", "words"):
        console.print(one)
    for line in show.remarks(rows, NAMES, FACTS, SUITE):
        console.print(line, markup=False)
    return console.file.getvalue()


def test_averages_say_what_they_lack():
    found = {row["agent"]: row for row in table(*EVERY)}
    lacking = {name: row["of_subtasks"]["incomplete"] for name, row in found.items()}
    assert lacking == {
        "full": [],
        "failing": ["questions"],
        "short": ["streams"],
        "easy": ["sub-tasks"],
        "unscored": [],
    }
    assert found["failing"]["subtasks"]["C"]["incomplete"] == []
    assert found["short"]["subtasks"]["A"]["incomplete"] == ["streams"]
    assert found["easy"]["of_units"]["incomplete"] == ["sub-tasks"]
    assert found["unscored"]["subtasks"]["other"]["incomplete"] == ["questions"], "not published: in no average"


def test_where_sub_tasks_differ_all_have_a_mean_over_the_same():
    rows = {row["agent"]: row for row in table("full", "easy", published=[PAPER])}
    assert rows["full"]["of_common"]["over"] == ["A", "B"]
    means = {name: (row["of_subtasks"]["score"], row["of_common"]["score"]) for name, row in rows.items()}
    assert means["full"] == pytest.approx((2 / 3, 0.5))
    assert means["easy"] == pytest.approx((0.5, 0.5))
    assert means["paper"] == pytest.approx((0.3, 0.3))
    assert rows["easy"]["of_common"]["incomplete"] == []


def test_an_arm_without_any_score_does_not_empty_what_all_have():
    nothing = [episode(missing=1, A=[], B=[]), episode(missing=1, C=[])]
    assert common_subtasks([FULL, nothing], [], NAMES, SUITE) == ["A", "B", "C"]


def test_marks_are_seen_in_the_terminal():
    told = shown(table("full", "failing", "easy"))
    lines = [line for line in told.splitlines() if line.startswith("│")]
    of = {arm: "".join(line for line in lines if arm in line) for arm in ("full", "failing", "easy")}
    assert "0.500*" in of["easy"]
    assert "*" in of["failing"]
    assert "*" not in of["full"]
    assert "mean of the 2 that all have" in told
    assert "* easy: only the sub-tasks A, B" in told
    assert "* short: 2 of 3 streams" in shown(table("full", "short"))
    alike = shown(table("full"))
    assert "that all have" not in alike
    assert "*" not in alike


def test_what_an_interval_speaks_of_stands_below_the_table():
    counted = replace(SUITE, unit="question")
    rows = [arm_row("x", "agent", [episode(A=[0, 1] * 5), episode(B=[1])], NAMES, counted)]
    assert rows[0]["subtasks"]["A"]["interval_over"] == "questions"
    assert rows[0]["subtasks"]["B"]["interval_over"] is None
    told = list(show.remarks(rows, NAMES, FACTS, counted))
    assert "intervals of other questions on the same streams, for there are fewer than 6: A" in told


def test_marks_are_seen_in_the_picture(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, draw = [], Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, x, y, s, **kw: drawn.append((y, s)) or draw(self, x, y, s, **kw))
    heat_map(table("full", "easy"), NAMES, tmp_path / "table.png")
    assert [text for row, text in drawn if row == 0] == ["0.50", "0.50", "1.00", "1.00", "0.67", "0.50"]
    assert [text for row, text in drawn if row == 1] == ["0.50", "0.50", "–", "0.00", "0.50*", "0.50"]


def test_the_files_say_it_too(tmp_path):
    write_table(table("full", "easy"), FACTS, tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        easy = {line["agent"]: line for line in csv.DictReader(file)}["easy"]
    assert (easy["of_subtasks_incomplete"], easy["of_common"]) == ("sub-tasks", "0.5")
    assert (easy["seed"], easy["judge"], easy["memory_counter"]) == ("7", "J", "words")
    easy = json.loads((tmp_path / "table.json").read_text())["rows"][1]
    assert easy["of_subtasks"]["incomplete"] == ["sub-tasks"]
