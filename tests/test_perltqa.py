"""PerLTQA: profile, relationships, events with their dialogues; keywords as golds."""

from __future__ import annotations

import json

import pytest
from published_files import perltqa_files, write_json

from memenvs.errors import DataError
from memenvs.scoring import score
from memenvs.streams import Evidence, load


def test_a_character_is_a_stream(tmp_path):
    memories, questions = perltqa_files(tmp_path)
    data = load(memories)
    assert load(questions).fingerprint == load(tmp_path, split="test").fingerprint == data.fingerprint
    (stream,) = data
    assert stream.id == "Li"
    assert [chunk.text for chunk in stream.chunks] == [
        "The profile of the user Li:\nProtagonist: Li\nGender: female\nAge: 28",
        "The people around the user Li:\nSupporting Characters: Bo, Relationship: brother",
        "The following is the event happened about the user Li on May 12, 2022:\nSummary: Bo asks for advice\n"
        "Bo came by on Sunday.\nDialogue happened at 2022-05-12 10:00:\nBo: Help me: now.\nLi: Yes.",
        "The following is the event happened about the user Li:\nSummary: A course\nBo took a course.",
        "Dialogue happened at 2022-05-13 10:00:\nLi: Alone.",
    ]
    assert [chunk.timestamp for chunk in stream.chunks] == [None, None, "May 12, 2022", None, None]


def test_golds_are_the_published_keywords_and_evidence_is_the_chunk(tmp_path):
    perltqa_files(tmp_path)
    (stream,) = load(tmp_path, split="test")
    assert [(q.source, q.references, [e.step for e in q.evidence]) for q in stream.questions] == [
        ("perltqa-profile", ("female",), [0]),
        ("perltqa-social_relationship", ("Her brother.",), [1]),
        ("perltqa-events", ("course;took",), [2, 3]),
        ("perltqa-dialogues", ("Yes",), [4]),
    ]
    asked = stream.questions[2]
    assert asked.evidence == (Evidence(2), Evidence(3))
    assert score("He took it.", asked.references, asked.source) == 0.5


def test_families_are_the_kinds_of_questions(tmp_path):
    perltqa_files(tmp_path)
    (stream,) = load(tmp_path, split="test", families=["perltqa-events"])
    assert [q.text for q in stream.questions] == ["What did Bo do?"]


def test_the_first_version_is_a_list(tmp_path):
    memories, _ = perltqa_files(tmp_path)
    write_json(memories, list(json.loads(memories.read_text(encoding="utf-8")).values()))
    assert load(memories)[0].id == "Li"


def test_one_file_without_the_other_is_refused(tmp_path):
    memories, questions = perltqa_files(tmp_path)
    questions.unlink()
    with pytest.raises(DataError, match=r"perltmem_en_v2\.json needs perltqa_en_v2\.json beside it"):
        load(memories)
    with pytest.raises(DataError, match=r"expected one perltmem\*\.json and one perltqa\*\.json"):
        load(tmp_path, split="test")
    with pytest.raises(DataError, match="download perltmem_en_v2.json"):
        load("perltqa", split="test")


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("events", {"4_0_0": {"summary": None, "content": "x"}}, "events"),
        ("events", ["x"], "events"),
        ("events", {"4_0_0": "x"}, "events"),
        ("dialogues", {"4_0_0#0": {"contents": "x"}}, "dialogues"),
    ],
)
def test_a_malformed_character_is_named_or_skipped(tmp_path, kind, value, field):
    memories, questions = perltqa_files(tmp_path)
    content = json.loads(memories.read_text(encoding="utf-8"))
    asked = json.loads(questions.read_text(encoding="utf-8"))[0]
    write_json(memories, content | {"Wu": content["Li"] | {kind: value}})
    write_json(questions, [asked, {"Wu": asked["Li"]}])
    with pytest.raises(DataError, match=rf"perltmem_en_v2\.json, row 1, field {field}: expected"):
        load(memories)[1]
    rest = load(memories, on_error="skip")
    assert (len(rest), [one.row for one in rest.skipped]) == (1, [1])
