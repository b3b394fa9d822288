"""Builders of streams from conversations: PerLTQA's events and dialogues, dated sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memenvs.streams.builders.conversations import event_of, lme, perltqa, perltqa_chunks
from memenvs.streams.builders.instance import BuiltQuestion

ANN = {
    "profile": {"Protagonist": "Ann Lee"},
    "events": {
        "1_0": {"content": "Ann flew to Oslo.", "summary": "Flight", "Creation Time": "2023-05-06"},
        "1_1": {"content": "Ann sold a boat.", "summary": "Boat", "Creation Time": "2023-06-07"},
    },
    "dialogues": {
        "1_0_0#0": {"contents": {"2023-05-07 08:00": ["Ann Lee: Hi", "AI Assistant: So: how was it?"]}},
        "1_1_0#0": {"contents": {"2023-06-08 08:00": ["Ann Lee: The boat is gone"]}},
    },
}


def test_an_event_and_its_dialogues_are_one_chunk():
    chunks = perltqa_chunks(ANN)
    assert chunks["1_0"] == (
        "The following is the event happened about the user Ann Lee on 2023-05-06:\nSummary: Flight\n"
        "Content: Ann flew to Oslo.\n\nThe following are the dialogues.\n\nDialogue happened at 2023-05-07 08:00\n"
        "<Ann Lee> Hi\n<AI Assistant> So: how was it?"
    )


def test_the_published_rule_drops_messages_with_two_colons():
    assert perltqa_chunks(ANN, published=True)["1_0"].endswith("08:00\n<Ann Lee> Hi")


def test_perltqa_chunks_equal_the_published_builders(shared: Path):
    for line in (shared / "oracles/peers/memalpha_builders.jsonl").read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        if vector["function"].startswith("PerLTQA"):
            chunks = [list(perltqa_chunks(entry, published=True).values()) for entry in vector["inputs"]["perltmem"]]
            assert chunks == [entry["chunks"] for entry in vector["output"]]
            return
    pytest.fail("no vector of PerLTQA")


def test_perltqa_answers_are_the_anchors_that_the_evidence_holds():
    def ask(question: str, where: str, *anchors: str) -> dict[str, object]:
        return {
            "Question": question,
            "Answer": "long",
            "Reference Memory": where,
            "Memory Anchors": [{a: []} for a in anchors],
        }

    asked = {
        "events": [{"1_0": [ask("Where?", "['1_0']", "Oslo", "by car"), ask("Elsewhere?", "['9_9']", "Oslo")]}],
        "dialogues": [{"1_1_0#0": [ask("What is gone?", "['1_1_0#0']", "&quot;boat&quot;")]}],
        "social_relationship": [{"4_0": [ask("Who sold it?", "['4_0']", "Ann"), ask("Who is Bob?", "['4_0']", "Bob")]}],
        "profile": [ask("Gender?", "Gender", "female")],
    }
    (instance,), dropped = perltqa({"Ann Lee": ANN}, {"Ann Lee": asked}, 0)
    assert [(q.question, q.answer, q.evidence) for q in instance.questions] == [
        ("Where?", "Oslo", (0,)),
        ("What is gone?", "boat", (1,)),
        ("Who sold it?", "Ann", (0, 1)),
    ]
    assert dropped == {"questions whose evidence is in no chunk": 2}


def test_a_dialogue_finds_its_event_by_its_id():
    assert [event_of(key, ANN["events"]) for key in ("1_0_0#0", "1_1", "2_0_0#0")] == ["1_0", "1_1", ""]


def test_a_sample_of_dated_sessions_is_one_instance_and_numbers_become_answers():
    talk = [{"role": "user", "content": "I moved in 2021."}, {"role": "assistant", "content": "Good."}]
    entry = {"sample_id": 4, "questions": ["When?"], "answers": [2021], "haystack_dates": ["2023/05/01"]}
    (instance,), _ = lme([{**entry, "haystack_sessions": [talk]}])
    assert instance.chunks == ("[Dialogue at timestamp 2023/05/01]\n<User>I moved in 2021.\n<Assistant>Good.",)
    assert instance.questions == (BuiltQuestion("When?", "2021"),)
    assert lme([{**entry, "haystack_sessions": [], "haystack_dates": []}])[0] == []


# All of them
