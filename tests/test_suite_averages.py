"""Means, both averages and intervals of a suite's table, by hand."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.memory.token_counters import token_counter
from memenvs.record import EpisodeRecord, ReadingRecord
from trainers.suites.averages import averages
from trainers.suites.catalogue import find_suite
from trainers.suites.published_results import PUBLISHED
from trainers.suites.suite import Column, Suite
from trainers.suites.summary import Cell, Summary, summarise
from trainers.suites.table import arm_row, column_names


def suite(unit="stream", *columns):
    columns = columns or (Column("A", ("a",)), Column("B", ("b",)))
    return Suite("tiny", "", "builtin", "test", "corrected", columns, unit=unit)


def episode(source, failed=0, **scores):
    """One stream; per sub-task its scores."""
    cells = {name: Cell([*values]) for name, values in scores.items()}
    if failed:
        next(iter(cells.values())).missing = Counter(failed=failed)
    return Summary("s", source, cells, memory_tokens=10, items=1, refused=0, costs={"readings": 2, "seconds": 0.5})


EPISODES = [episode("a", A=[1, 0]), episode("a", A=[1]), episode("b", B=[0.5]), episode("b", B=[0, 0, 0])]


def test_a_stream_counts_once():
    found = averages(EPISODES, ["A", "B"], suite("stream"))
    assert found.subtasks["A"].mean == pytest.approx(0.75)
    assert found.subtasks["B"].mean == pytest.approx(0.25)
    assert found.of_subtasks.mean == pytest.approx(0.5)
    assert found.of_units.mean == pytest.approx((0.5 + 1 + 0.5 + 0) / 4)


def test_a_question_counts_once():
    found = averages(EPISODES, ["A", "B"], suite("question"))
    assert found.subtasks["A"].mean == pytest.approx(2 / 3)
    assert found.subtasks["B"].mean == pytest.approx(0.5 / 4)
    assert found.of_subtasks.mean == pytest.approx((2 / 3 + 1 / 8) / 2)
    assert found.of_units.mean == pytest.approx(2.5 / 7)


def test_from_six_streams_of_a_source_on_there_is_an_interval():
    six = [episode("a", A=[i / 5]) for i in range(6)]
    found = averages(six, ["A"], suite("stream"))
    assert found.subtasks["A"].mean == pytest.approx(0.5)
    assert 0 < found.subtasks["A"].low < 0.3
    assert 0.7 < found.subtasks["A"].high < 1
    assert found.drawn == {"A": "streams"}
    five = averages(six[:5], ["A"], suite("stream"))
    assert five.subtasks["A"].mean == pytest.approx(0.4)
    for mean in (five.subtasks["A"], five.of_subtasks, five.of_units):
        assert math.isnan(mean.low)
        assert math.isnan(mean.high)
    assert five.drawn == {"A": ""}


def test_equal_scores_of_a_few_streams_are_no_certainty():
    """Five streams of one score would give an interval of no width."""
    found = averages([episode("a", A=[0.5])] * 5, ["A"], suite("question"))
    assert math.isnan(found.subtasks["A"].low)


def test_an_average_has_no_interval_where_a_sub_task_has_none():
    six = [episode("a", A=[i / 5]) for i in range(6)]
    found = averages([*six, episode("b", B=[0.5])], ["A", "B"], suite("stream"))
    assert not math.isnan(found.subtasks["A"].low)
    assert math.isnan(found.subtasks["B"].low)
    assert math.isnan(found.of_subtasks.low)
    assert not math.isnan(found.of_units.low), "seven streams of the whole suite"


def test_where_questions_count_those_of_a_few_streams_are_drawn():
    """Of n scores of 0 or 1 with mean p, the mean of a resample has the variance p (1 - p) / n."""
    halves = [episode("a", A=[0, 1] * 50), episode("a", A=[1, 0] * 50)]
    found = averages(halves, ["A"], suite("question"))
    assert found.drawn == {"A": "questions"}
    spread = 1.96 * math.sqrt(0.25 / 200)
    assert found.subtasks["A"] == pytest.approx((0.5, 0.5 - spread, 0.5 + spread), abs=0.01)
    assert found.of_subtasks == found.subtasks["A"]
    assert math.isnan(averages(halves, ["A"], suite("stream")).subtasks["A"].low)


def test_a_sub_task_that_is_not_published_is_in_no_average():
    found = averages([*EPISODES, episode("c", C=[1, 1])], ["A", "B", "C"], suite("stream"))
    assert found.subtasks["C"].mean == 1
    assert found.of_subtasks.mean == pytest.approx(0.5)
    assert found.of_units.mean == pytest.approx(0.5)


def test_groups_count_once():
    columns = (Column("A", ("a",), "one"), Column("B", ("b",), "one"), Column("C", ("c",), "two"))
    found = averages([*EPISODES, episode("c", C=[1])], ["A", "B", "C"], suite("stream", *columns))
    assert {name: value.mean for name, value in found.groups.items()} == pytest.approx({"one": 0.5, "two": 1.0})
    assert found.of_groups.mean == pytest.approx(0.75)
    assert found.of_subtasks.mean == pytest.approx(2 / 3)


def test_a_failed_question_is_counted_and_is_no_zero():
    row = arm_row("x", "agent", [episode("a", failed=3, A=[1])], ["A", "B"], suite())
    assert row["subtasks"]["A"]["score"] == 1
    assert row["subtasks"]["A"]["missing"] == {"failed": 3}
    assert (row["questions"], row["scored"], row["missing"]) == (4, 1, {"failed": 3})
    assert math.isnan(row["subtasks"]["B"]["score"])
    assert row["of_subtasks"]["over"] == ["A"]


def test_costs_add_up():
    row = arm_row("x", "agent", EPISODES, ["A", "B"], suite())
    assert row["costs"] == {"readings": 8, "seconds": 2.0}


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from("ab"), SCORES), min_size=1, max_size=8))
def test_averages_are_what_plain_arithmetic_says(streams):
    episodes = [episode(source, **{source.upper(): scores}) for source, scores in streams]
    for unit in ("stream", "question"):
        found = averages(episodes, ["A", "B"], suite(unit))
        own = {name: [scores for source, scores in streams if source == name] for name in "ab"}
        means = []
        for name, every in own.items():
            if not every:
                assert math.isnan(found.subtasks[name.upper()].mean)
                continue
            if unit == "stream":
                means.append(sum(sum(s) / len(s) for s in every) / len(every))
            else:
                means.append(sum(map(sum, every)) / sum(map(len, every)))
            assert found.subtasks[name.upper()].mean == pytest.approx(means[-1])
        assert found.of_subtasks.mean == pytest.approx(sum(means) / len(means))
        if not math.isnan(found.of_subtasks.low):
            assert 0 <= found.of_subtasks.low <= found.of_subtasks.high <= 1 + 1e-9


def test_the_longest_source_decides():
    longmemeval = suite(
        "question", Column("user", ("longmemeval-single",)), Column("none", ("longmemeval-abstention",))
    )
    assert longmemeval.column("longmemeval-abstention-single-session-user").name == "none"
    assert longmemeval.column("longmemeval-single-session-user").name == "user"
    assert longmemeval.column("squad").name == "squad"


def test_means_of_published_rows_that_the_papers_print_otherwise():
    differing = {
        row.name: round(row.mean_of_subtasks, 3)
        for rows in PUBLISHED.values()
        for row in rows
        if abs(row.mean_of_subtasks - row.average) > 0.005
    }
    # As recomputed from the printed columns by others than this code.
    assert differing == {"MemAgent": 0.226, "Mem-alpha": 0.619, "Long-Context": 0.480, "RAG-Top2": 0.532}


def asked(source, *scores):
    """A stream whose questions of this source have these scores."""
    question = ReadingRecord("Who?", ("R",), source, (), (), "R", None)
    record = EpisodeRecord("s", source, "f", (), (question,) * len(scores), ())
    return summarise(record, scores, find_suite("longmemeval"), token_counter("words"))


def test_longmemeval_counts_abstention_within_its_type_and_shows_it_beside():
    """The six accuracies, task average, overall and abstention accuracy of print_qa_metrics.py, by hand."""
    own = find_suite("longmemeval")
    summaries = [
        asked("longmemeval-multi-session", 1.0, 1.0, 0.0),
        asked("longmemeval-abstention-multi-session", 0.0),
        asked("longmemeval-temporal-reasoning", 1.0, 1.0),
        asked("longmemeval-abstention-temporal-reasoning", 1.0),
    ]
    names = column_names(own, [summaries])
    assert names == ["temporal-reasoning", "multi-session", "abstention"]
    row = arm_row("x", "agent", summaries, names, own)
    assert {name: cell["score"] for name, cell in row["subtasks"].items()} == {
        "multi-session": 0.5,
        "temporal-reasoning": 1.0,
        "abstention": 0.5,
    }
    assert row["of_subtasks"]["score"] == 0.75
    assert row["of_subtasks"]["over"] == ["temporal-reasoning", "multi-session"]
    assert row["of_units"]["score"] == pytest.approx(5 / 7)
    assert (row["questions"], row["scored"]) == (7, 7), "no question twice"
