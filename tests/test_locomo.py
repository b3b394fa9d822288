"""LoCoMo: sessions as chunks, evidence by dialogue id, and what the published file has that one does not expect."""

from __future__ import annotations

import pytest
from published_files import locomo_conversation as conversation
from published_files import write_json

from memenvs.errors import DataError
from memenvs.streams import Evidence, load


@pytest.fixture
def stream(tmp_path):
    return load(write_json(tmp_path / "locomo10.json", [conversation()]))[0]


def test_sessions_are_chunks_in_the_order_of_their_numbers_and_photos_are_told(stream):
    assert [chunk.timestamp for chunk in stream.chunks] == ["1:56 pm on 8 May, 2023", "2 pm on 9 May, 2023", None]
    assert stream.chunks[0].text == (
        "[Dialogue at timestamp 1:56 pm on 8 May, 2023]\n"
        "Ann: I went to Rome in 2022.\nBob: Look! [shares a photo: a photo of a cat]"
    )
    assert stream.chunks[2].text == "Ann: I moved to Oslo."


def test_numbers_are_answers_and_adversarial_questions_have_the_published_ones(stream):
    assert [(q.references, q.source) for q in stream.questions] == [
        (("2022",), "locomo-2"),
        (("a cat",), "locomo-1"),
        (("Oslo",), "locomo-4"),
        (("no idea",), "locomo-3"),
        (("Not mentioned in the conversation", "No information available"), "locomo-5"),
    ]
    assert stream.metadata["adversarial_answers"] == [None, None, None, None, "Rex"]


def test_evidence_is_found_by_dialogue_id_however_it_is_written(stream):
    rome, photo = "Ann: I went to Rome in 2022.", "Bob: Look! [shares a photo: a photo of a cat]"
    assert [q.evidence for q in stream.questions] == [
        (Evidence(0, rome),),
        (Evidence(0, photo), Evidence(1, "Bob: My cat is Tom.")),
        (Evidence(2, "Ann: I moved to Oslo."),),
        (),
        (Evidence(1, "Bob: My cat is Tom."),),
    ]


def test_what_is_odd_is_noted(stream):
    assert stream.metadata["problems"] == [
        "1 session dates without a session",
        "question 0: the answer is no string but 2022",
        "question 1: evidence 'D1:2; D2:1' is malformed: it names 2 turns, 2 of them exist",
        "question 2: evidence 'D:10:05' is malformed: it names 1 turns, 1 of them exist",
        "question 2: evidence 'D' is malformed: it names 0 turns, 0 of them exist",
        "question 2: evidence 'D9:9' is malformed: it names 1 turns, 0 of them exist",
        "question 3: no evidence",
    ]


def test_families_choose_questions_within_a_conversation(tmp_path):
    path = write_json(tmp_path / "locomo10.json", [conversation()])
    (stream,) = load(path, families=["locomo-5", "locomo-2"])
    assert [q.source for q in stream.questions] == ["locomo-2", "locomo-5"]
    assert stream.metadata["adversarial_answers"] == [None, "Rex"]
    assert load(path).fingerprint != load(path, families=["locomo-2"]).fingerprint


def test_a_folder_and_the_name_of_the_benchmark(tmp_path):
    path = write_json(tmp_path / "locomo10.json", [conversation()])
    assert load(tmp_path, split="test").fingerprint == load(path).fingerprint
    for source in ("locomo", "snap-research/LoCoMo"):
        with pytest.raises(DataError, match=r"download the file and give its path"):
            load(source, split="test")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sample_id": None}, "sample_id"),
        ({"conversation": None}, "conversation"),
        ({"conversation": {"session_1_date_time": "x"}}, "conversation"),
        ({"conversation": {"session_1": "hello"}}, "conversation"),
        ({"conversation": {"session_1": [{"speaker": "A", "dia_id": "D1:1"}]}}, "conversation"),
        ({"qa": []}, "qa"),
        ({"qa": ["q"]}, "qa"),
        ({"qa": [{"question": "Q", "answer": "a", "evidence": [], "category": 6}]}, "qa"),
        ({"qa": [{"question": "Q", "evidence": [], "category": 4}]}, "qa"),
        ({"qa": [{"answer": "a", "evidence": [], "category": 4}]}, "qa"),
    ],
)
def test_a_malformed_conversation_is_named_or_skipped(tmp_path, changes, field):
    path = write_json(tmp_path / "locomo10.json", [conversation(), conversation(**changes)])
    with pytest.raises(DataError, match=rf"locomo10\.json, row 1, field {field}: expected"):
        load(path)[1]
    rest = load(path, on_error="skip")
    assert (len(rest), [one.row for one in rest.skipped]) == (1, [1])
