"""The real FactConsolidation 6k: what the newest-fact oracle scores, and what managers and readers make of it."""

from __future__ import annotations

import json
from functools import lru_cache

import gymnasium as gym
import pytest

import memenvs  # noqa: F401 - registers the id
from agents.base import make_agent
from memenvs.reading import Reading, make_reader
from memenvs.reading.fact_paths import by_subject, reachable
from memenvs.streams import load
from memenvs.streams.facts import fact_list, newest
from trainers.evaluation import play
from trainers.suites.arms_list import ArmUnavailable
from trainers.suites.arms_shuffled import partners

MULTI, SINGLE = 0, 1
ALL = 10_000
STALE = [44, 67, 86, 98]
"""Multi-hop questions whose published gold only an outdated fact leads to."""


@pytest.fixture
def facts_file(shared):
    return shared / "data/memoryagentbench/factconsolidation_6k_context.txt"


@lru_cache
def played(path, agent, reader, k, index):
    env = gym.make("FineMem-Memalpha-v0", data=path, reader=reader, k=k, profile="mab")
    record = play(env, make_agent(agent), index)
    assert record.failure is None
    assert all(operation.valid for step in record.steps for operation in step.operations)
    return record


def percent(*cell):
    return round(100 * played(*cell).r_global)


@pytest.mark.parametrize("agent", ["every_fact", "newest_fact"])
def test_the_newest_fact_oracle_answers_every_single_hop_question(facts_file, agent):
    assert percent(facts_file, agent, "facts", ALL, SINGLE) == 100


def test_the_newest_fact_oracle_answers_multi_hop_questions_but_for_the_stale_golds(facts_file):
    record = played(facts_file, "every_fact", "facts", ALL, MULTI)
    wrong = [i for i, question in enumerate(record.questions) if question.score == 0]
    assert wrong == sorted([*STALE, 58])
    assert all(len(question.evidence_ids) >= 2 for i, question in enumerate(record.questions) if i not in wrong)


def test_four_published_golds_are_stale_and_the_other_196_can_be_reached(facts_file):
    facts = fact_list(facts_file.read_text()).facts
    now, ever = by_subject(newest(facts).values()), by_subject(facts)
    multi, single = load(facts_file)
    beyond = [i for i, q in enumerate(multi.questions) if not {*q.references} & reachable(q.text, now)]
    assert beyond == STALE
    assert all({*multi.questions[i].references} & reachable(multi.questions[i].text, ever) for i in beyond)
    assert all({*q.references} & reachable(q.text, now) for q in single.questions)


def test_resolving_conflicts_helps_a_reader_that_knows_nothing_of_time(facts_file):
    cells = {agent: percent(facts_file, agent, "extractive", 5, SINGLE) for agent in ("newest_fact", "every_fact")}
    assert cells["newest_fact"] > cells["every_fact"] + 40
    assert cells["every_fact"] < 50, "half of what is asked has two values, and the reader takes the first"
    assert len(played(facts_file, "newest_fact", "extractive", 5, SINGLE).memory) == 294


def test_retrieval_by_words_does_not_find_the_second_hop(facts_file):
    assert percent(facts_file, "newest_fact", "facts", 5, MULTI) < 15


def test_keeping_sentences_loses_little_but_what_stands_across_the_cut(facts_file):
    assert 95 <= percent(facts_file, "keep_everything", "facts", ALL, SINGLE) < 100
    assert percent(facts_file, "nothing", "facts", ALL, SINGLE) == 0


def test_the_questions_of_another_set(shared):
    """MQuAKE-hard: four edits a case, each question put in three ways; the true facts first, then the edited ones."""
    cases = json.loads((shared / "data/mquake/MQuAKE-hard.A.json").read_text())
    reader = make_reader("facts")
    right, single = [], []
    for case in cases:
        hops = [*case["single_hops"], *case["new_single_hops"]]
        items = tuple((str(i), f"{i}. {hop['cloze']} {hop['answer']}.") for i, hop in enumerate(hops))
        answers = reader.read([Reading(question, items) for question in case["questions"]])
        right += [answer.text in (case["new_answer"], *case["new_answer_alias"]) for answer in answers]
        new = case["new_single_hops"]
        answers = reader.read([Reading(hop["question"], items) for hop in new])
        single += [answer.text == hop["answer"] for answer, hop in zip(answers, new, strict=True)]
    assert (sum(single), len(single)) == (820, 820)
    assert len(right) == 615
    assert sum(right) >= 600


def test_streams_of_one_context_have_no_shuffled_memory(facts_file):
    with pytest.raises(ArmUnavailable, match="of 2 streams 2 have the same chunks"):
        partners(load(facts_file), 0)
