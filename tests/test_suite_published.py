"""What is said of the papers' rows: their rules, their units, and what is known of the data."""

import csv
import io

from rich.console import Console

from trainers.suites import show
from trainers.suites.catalogue import find_suite
from trainers.suites.published_results import PUBLISHED
from trainers.suites.summary import Cell, Summary
from trainers.suites.table import arm_row, published_row, write_table

SUITE = find_suite("memalpha-mab")
NAMES = [column.name for column in SUITE.columns]
FACTS = {"suite": "memalpha-mab", "reader": "extractive", "profile": "memalpha-eval", "memory_counter": "words"} | {
    "contamination": "NLU asks what was trained on", "refused": {}, "unavailable": {}, "unplayed": {}, "judge_usage": {},
    "streams": 1, "seed": 7,
}  # fmt: skip


def rows():
    own = Summary("s", "icl_nlu", {"NLU": Cell([1.0])}, memory_tokens=2500, items=1, refused=0, costs={})
    return [arm_row("mine", "agent", [own], NAMES, SUITE), *map(published_row, PUBLISHED["memalpha-mab"])]


def remarks(profile):
    return "\n".join(show.remarks(rows(), NAMES, FACTS | {"profile": profile}, SUITE))


def test_whose_rules_a_row_follows_is_said():
    told = remarks("memalpha-eval")
    assert "memalpha-baseline: Long-Context, RAG-Top2" in told
    assert "memalpha-eval: Mem-alpha-4B" in told
    assert "unknown rules: MemAgent, MEM1, Fine-Mem" in told
    assert "only rows of the same rules were scored alike" in told
    assert "all others: corrected; no published row was scored so" in remarks("corrected")


def test_contamination_is_said():
    assert "contamination: NLU asks what was trained on" in remarks("memalpha-eval")


def averages_with(counter):
    console = Console(file=io.StringIO(), width=200)
    *_, means, _ = show.tables(rows(), NAMES, SUITE, "", counter)
    console.print(means)
    lines = console.file.getvalue().splitlines()
    return {
        name: next(line for line in lines if f" {name} " in line)
        for name in ("mine", "Mem-alpha-4B", "Fine-Mem, + CSR")
    }


def test_memory_in_another_unit_than_the_heading_has_its_own():
    words = averages_with("words")
    assert "2.50 │" in words["mine"]
    assert "129.0 (qwen) │" in words["Mem-alpha-4B"]
    assert "86.2 (as printed) │" in words["Fine-Mem, + CSR"]
    assert "129.0 │" in averages_with("qwen")["Mem-alpha-4B"]


def test_a_published_line_of_the_csv_has_its_own_facts(tmp_path):
    write_table(rows(), FACTS, tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        lines = {line["agent"]: line for line in csv.DictReader(file)}
    assert [lines["mine"][name] for name in ("reader", "profile", "seed", "memory_counter")] == [
        "extractive", "memalpha-eval", "7", "words",
    ]  # fmt: skip
    paper = lines["RAG-Top2"]
    assert [paper[name] for name in ("reader", "profile", "seed", "memory_counter", "source")] == [
        "", "memalpha-baseline", "", "qwen", "Mem-alpha, table 2",
    ]  # fmt: skip
