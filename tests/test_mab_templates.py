"""MemoryAgentBench's templates, letter for letter: sums of the published texts are typed in, not the texts."""

from __future__ import annotations

import hashlib
import json
import string

import pytest

from memenvs.errors import SettingsError
from memenvs.streams.mab_templates import mab_template, retrieval_query

LONG, RAG, AGENTIC = "Long_context_agent_gpt-4o-mini", "Simple_rag_bm25", "Agentic_memory_letta"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sub_dataset", "kind", "agent", "start", "chars"),
    [
        ("ruler_qa1_197K", "system", RAG, "fbb5a811635de72d", 91),
        ("ruler_qa1_197K", "memorize", RAG, "e259f07c9614a514", 201),
        ("ruler_qa1_197K", "query", RAG, "46f7f31ef737c170", 151),
        ("ruler_qa2_421K", "query", LONG, "0b4fbe6a", 146),
        ("ruler_qa2_421K", "query", AGENTIC, "b5f2635f", 139),
        ("longmemeval_s*", "memorize", LONG, "f7ee965f", 220),
        ("longmemeval_s*", "query", RAG, "bcbe4268", 185),
        ("longmemeval_s*", "query", AGENTIC, "c87c1944", 130),
        ("eventqa_65536", "memorize", LONG, "29555812", 192),
        ("eventqa_full", "query", RAG, "c86b0dc5", 106),
        ("eventqa_full", "query", AGENTIC, "cab1615d", 94),
        ("icl_banking77_5900shot_balance", "memorize", LONG, "99cc2293", 203),
        ("icl_banking77_5900shot_balance", "query", RAG, "e9df61cd", 185),
        ("icl_banking77_5900shot_balance", "query", AGENTIC, "88465e24", 203),
        ("recsys_redial_full", "memorize", AGENTIC, "ba27473a", 230),
        ("recsys_redial_full", "query", LONG, "96e3f5ba", 439),
        ("infbench_sum_eng_shots2", "memorize", RAG, "6742fa2c", 189),
        ("infbench_sum_eng_shots2", "query", LONG, "fd981201", 102),
        ("detective_qa", "query", RAG, "0117e352", 153),
        ("factconsolidation_mh_262k", "memorize", RAG, "7fb298c1", 197),
        ("factconsolidation_sh_6k", "query", LONG, "ca4ea130", 765),
        ("factconsolidation_mh_262k", "query", AGENTIC, "16dfd7ef", 754),
    ],
)
def test_templates_have_the_published_sums(sub_dataset, kind, agent, start, chars):
    template = mab_template(sub_dataset, kind, agent)
    assert (sha256(template)[: len(start)], len(template)) == (start, chars)


def test_an_agent_whose_name_holds_rag_is_a_retrieval_agent_whatever_else_it_holds():
    asked = {
        agent: mab_template("ruler_qa1_197K", "query", agent) for agent in (RAG, AGENTIC, "Agentic_memory_self_rag")
    }
    assert asked["Agentic_memory_self_rag"] == asked[RAG] != asked[AGENTIC]


@pytest.mark.parametrize(
    ("sub_dataset", "kind", "agent", "message"),
    [
        ("infbench_qa_eng_shots2", "memorize", RAG, "no template for the sub-dataset 'infbench_qa_eng_shots2'"),
        ("ruler_niah_mk", "query", RAG, "no template for the sub-dataset 'ruler_niah_mk'"),
        (
            "ruler_niah_mk",
            "query",
            "foo",
            "agent must contain one of rag, Long_context_agent, Agentic_memory, got 'foo'",
        ),
        ("ruler_qa1_197K", "quary", RAG, "Did you mean 'query'"),
    ],
)
def test_what_the_published_templates_do_not_know_is_refused(sub_dataset, kind, agent, message):
    with pytest.raises(SettingsError, match=message):
        mab_template(sub_dataset, kind, agent)


def test_a_chunk_is_wrapped_with_the_callers_time_stamp():
    wrapped = mab_template("factconsolidation_sh_6k", "memorize", RAG).format(context="0. A.", time_stamp="2024-01-01")
    assert wrapped.startswith("Dialogue between User and Assistant 2024-01-01 \\n<User> ")
    assert ": \n0. A.\n <Assistant>" in wrapped


@pytest.mark.parametrize(
    ("message", "query"),
    [
        ("Do so. \n\n Now Answer the Question: Who\nis it?", "Who\nis it?"),
        ("... Here is the conversation: A: hi \n\n", "A: hi \n\n"),
        ("Here is the conversation: x Now Answer the Question: y", "y"),
        ("Nothing announced", "Nothing announced"),
    ],
)
def test_retrieval_agents_search_with_what_follows_the_announcement(message, query):
    assert retrieval_query(message) == query


def test_templates_equal_the_published_ones(shared):
    lines = (shared / "oracles/peers/mab_templates.jsonl").read_text(encoding="utf-8").splitlines()
    for case in map(json.loads, lines):
        given = case["inputs"]
        arguments = given["sub_dataset"], given["template_name"], given["agent_name"]
        if "raises" in case:
            with pytest.raises(SettingsError):
                mab_template(*arguments)
            continue
        template, expected = mab_template(*arguments), case["output"]
        gaps = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        assert (sha256(template), len(template), gaps) == (
            expected["sha256"],
            expected["chars"],
            expected["placeholders"],
        )
        if "formatted_tail" in expected:
            assert template.format(question="QQ").endswith(expected["formatted_tail"])


def test_queries_equal_the_published_ones(shared):
    lines = (shared / "oracles/peers/mab_retrieval_bm25.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [case for case in map(json.loads, lines) if case["function"] == "_extract_retrieval_query"]
    assert cases
    for case in cases:
        given, expected = case["inputs"], case["output"]
        message = mab_template(given["sub_dataset"], "query", given["agent_name"]).format(question=given["question"])
        query = retrieval_query(message)
        assert (query == message) == expected["whole_message"]
        if expected["whole_message"]:
            assert (sha256(query), len(query)) == (expected["query"]["sha256"], expected["query"]["chars"])
        else:
            assert query == expected["query"]
