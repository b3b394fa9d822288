import csv
import json
import math

import pytest

from agents.base import make_agent
from trainers.comparison import BUDGETED, evaluate_control, plain, question_sources, row, show_table, write_table
from trainers.evaluation import EpisodeScore, evaluate
from trainers.settings import EnvSettings

ENV = EnvSettings(T=6)


def score(value, tokens=10, failure=None):
    return EpisodeScore("s", "builtin", value, tokens, 100, 1, {"builtin-fact": value}, failure)


def test_a_row_averages_over_seeds_and_streams():
    made = row("x", [[score(0.2), score(0.4)], [score(0.6), score(0.8, 30)]], kind="learned")
    assert made["r_global"] == pytest.approx(0.5)
    assert made["low"] < 0.5 < made["high"]
    assert made["memory_tokens"] == 15
    assert made["memory_share"] == pytest.approx(0.15)
    assert (made["seeds"], made["streams"], made["kind"]) == (2, 2, "learned")
    assert made["builtin-fact"] == pytest.approx(0.5)


def test_tables_are_written_as_strict_json_and_csv(tmp_path):
    rows = [row("a", [[score(0.5)]]), row("b", [[score(float("nan"), failure="down")]])]
    write_table(rows, {"data": "builtin"}, tmp_path / "sub" / "table")
    data = json.loads((tmp_path / "sub" / "table.json").read_text(), parse_constant=lambda c: pytest.fail(c))
    assert data["data"] == "builtin"
    assert data["rows"][0]["r_global"] == 0.5
    assert data["rows"][1]["r_global"] is None
    assert data["rows"][1]["failures"] == 1
    with (tmp_path / "sub" / "table.csv").open(newline="") as file:
        assert [line["agent"] for line in csv.DictReader(file)] == ["a", "b"]


def test_every_row_of_a_csv_says_where_it_came_from(tmp_path):
    rows = [row("a", [[score(0.5)]]), row("b", [[score(0.5)]], dataset="another")]
    facts = {"data": "builtin", "split": "test", "dataset": "0123", "profile": "corrected"}
    write_table(rows, facts, tmp_path / "table")
    with (tmp_path / "table.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert {name: first[name] for name in facts} == facts
    assert second["dataset"] == "another"
    assert "data" not in json.loads((tmp_path / "table.json").read_text())["rows"][0]


def test_question_sources_are_the_columns_of_a_row_that_depend_on_the_data():
    scores = [score(0.5), EpisodeScore("s", "squad", 1.0, 1, 2, 0, {"squad": 1.0})]
    assert question_sources(scores) == ["builtin-fact", "squad"]
    assert set(row("a", [scores], more=1)) >= set(question_sources(scores))


def test_records_of_controls_can_be_kept():
    for name in ("nothing", "first"):
        kept = []
        evaluate_control(name, ENV, "test", range(2), [40, 40], keep=kept.append)
        assert [record.stream_id for record in kept] == ["builtin-test-0", "builtin-test-1"]


def test_nan_becomes_null_at_any_depth():
    assert plain({"a": [math.nan, (1.0, math.inf)]}) == {"a": [None, [1.0, None]]}


@pytest.mark.parametrize("name", BUDGETED)
def test_budgeted_controls_stay_within_each_streams_budget(name):
    budgets = [40, 90, 20]
    scores = evaluate_control(name, ENV, "test", range(3), budgets)
    assert all(s.memory_tokens <= b for s, b in zip(scores, budgets, strict=True))
    assert scores[1].memory_tokens > scores[2].memory_tokens


def test_a_control_knows_the_limits_of_its_environment():
    (score,) = evaluate_control("keep_everything", ENV, "test", [0], None)
    (over,) = evaluate(ENV.make("test", evaluation=True), make_agent("keep_everything"), [0])
    assert score.invalid == 0
    assert over.invalid > 0
    assert score.memory_tokens == over.memory_tokens


def test_the_table_shows_means_and_intervals():
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(show_table([row("agent x", [[score(0.5)]])], "title", {"memory_share": ("share", "{:.0%}".format)}))
    text = console.export_text()
    assert "agent x" in text
    assert "0.500 [0.500, 0.500]" in text
    assert "10%" in text
