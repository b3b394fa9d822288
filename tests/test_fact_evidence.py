"""Evidence of single-hop FactConsolidation: the newest fact that says the gold, and nothing where there is a doubt."""

import json

import pytest

from memenvs import EpisodeSettings
from memenvs.reading import make_reader
from memenvs.streams import StreamList, load
from memenvs.streams.fact_evidence import newest_fact, newest_facts, place
from memenvs.streams.types import Chunk, Evidence
from trainers.cli import main
from trainers.suites.arms import play

CONTEXT = (
    "Here is a list of facts:\n0. The capital of York is Ayr.\n1. The capital of New York is Ayr.\n2. The capital of Peru is Ayr.\n"
    "3. Peru is located in the continent of Asia.\n4. The capital of Peru is Lima.\n5. Bo is a citizen of Ayr.\n"
    "6. Bo was born in the city of Ayr.\n7. The capital of Mali is Rome."
)
FACTS = newest_facts(CONTEXT)


@pytest.mark.parametrize(
    ("question", "golds", "serial"),
    [
        ("What is the capital of Peru?", ("Lima",), 4),
        ("What is the capital of Peru?", ("lima", "City of Kings"), 4),
        ("What is the capital of Peru?", ("Ayr",), None),  # outdated: 4 says otherwise
        ("What is the capital of New York?", ("Ayr",), 1),  # names York too, but New York is what it is about
        ("What is the capital of York?", ("Ayr",), 0),
        ("Which city is Bo from?", ("Ayr",), None),  # 5 and 6 would do
        ("What is the capital of Yorkshire?", ("Ayr",), None),
        ("On what continent is Lima?", ("Asia",), None),  # two hops
    ],
)
def test_a_fact_is_named_only_where_there_is_no_choice(question, golds, serial):
    found = newest_fact(question, golds, FACTS)
    assert (None if found is None else found.serial) == serial


def test_the_place_is_that_of_the_fact_and_not_of_one_whose_number_ends_alike():
    fact = next(fact for fact in FACTS if fact.serial == 4)
    told, cut = "4. The capital of Peru is Lima.", Chunk("The capital of Peru is Lima. 5. Bo")
    assert place(fact, [Chunk(f"1{told}"), Chunk(f"3. X. {told} 5. Y.")]) == Evidence(1, told)
    assert place(fact, [Chunk("3. X. 4."), cut]) == Evidence(1, told[3:])
    assert place(fact, [Chunk("4. The capital of Peru"), Chunk("is Lima.")]) is None


@pytest.fixture
def facts_file(shared):
    return shared / "data/memoryagentbench/factconsolidation_6k_context.txt"


def test_all_single_hop_questions_of_the_published_context_have_the_fact_that_the_fact_reader_finds(facts_file):
    multi, single = load(facts_file, fact_evidence=True)
    assert not any(question.evidence for question in multi.questions)
    assert all(evidence.text in single.chunks[evidence.step].text for q in single.questions for evidence in q.evidence)
    assert single.source == "factconsolidation_sh_6k"
    record = play("every_fact", StreamList([single]), 0, EpisodeSettings(k=10_000, profile="mab"), make_reader("facts"))
    held = {item.id: item.content for item in record.memory}
    for question, read in zip(single.questions, record.questions, strict=True):
        (evidence,) = question.evidence
        (cited,) = read.evidence_ids
        assert held[cited].endswith(evidence.text)


def test_without_the_setting_the_streams_are_what_they_were(facts_file):
    plain, named = load(facts_file), load(facts_file, fact_evidence=True)
    assert load(facts_file, fact_evidence=False).fingerprint == plain.fingerprint != named.fingerprint
    assert not any(question.evidence for stream in plain for question in stream.questions)
    assert [stream.fingerprint for stream in plain] == ["8b19aefd401cbebd", "0cc036259cc35f2d"]


@pytest.mark.parametrize("suite", ["factconsolidation", "memoryagentbench"])
def test_the_suites_ask_single_hop_questions_with_their_evidence_alone(suite, facts_file, tmp_path):
    arms = ["--controls", "hindsight", "oracle_evidence", "--no-published"]
    main(["evaluate", "--suite", suite, "--data", str(facts_file), *arms, "--out", str(tmp_path)])
    found = {row["agent"]: row["subtasks"] for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    single, multi = found["oracle_evidence"]["FactSH-6k"], found["oracle_evidence"]["FactMH-6k"]
    assert (single["scored"], single["missing"]) == (100, {})
    assert (multi["scored"], multi["missing"]) == (0, {"not asked": 100})
    assert found["hindsight"]["FactSH-6k"]["score"] <= single["score"]
