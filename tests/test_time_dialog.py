"""Time-Dialog: files in the form that the published code reads; answers that are options, orders and times."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest
from published_files import write_json

import memenvs  # noqa: F401 - registers the ids
from memenvs.benchmarks import benchmarks
from memenvs.errors import DataError, SettingsError
from memenvs.scoring import score
from memenvs.streams import Evidence, load
from memenvs.streams.time_dialog import TASKS

CONTEXTS, QUESTIONS = "time_dial_labeled_contexts.json", "time_dial_context_list_with_evidence_200_v2.json"


def turn(said: str, when: str = "2020-04-16T13:44:00", speaker: str = "Ann Lee") -> dict[str, object]:
    return {"speaker": speaker, "utterance": said, "utterance_date": when, "events": []}


def dialogues() -> dict[str, object]:
    late = {
        "session_date": "2020-04-21T15:44:00",
        "content": [turn("I taught Mia last Friday.", "2020-04-21T15:45:00")],
    }
    early = {
        "session_date": "2020-04-16T13:44:00",
        "content": [turn("I carved a bar of soap."), turn("Nice.", speaker="Bo")],
    }
    return {"TIME_Dial_1": {"2": late, "1": early}, "TIME_Dial_2": {"1": early}, "unasked": {"1": early}}


def question(**changes: object) -> dict[str, object]:
    return {
        "Question ID": "4c1b1111", "Dataset Name": "TIME-Dial", "Context": "TIME_Dial_1", "Level": "Level 2",
        "Task": "Explicit_Reasoning",
        "Question": "What did Ann do on April 17?\nA. Taught.\nB. Carved.", "Gold Answer": "A",
        "Evidence": [{"session_id": "2", "speaker": "Ann Lee", "utterance": "I taught Mia last Friday."}, {"session_id": "9"}],
    } | changes  # fmt: skip


def folder(path, *questions: dict[str, object]):
    write_json(path / CONTEXTS, dialogues())
    write_json(path / QUESTIONS, list(questions or (question(),)))
    return path


def test_a_dialogue_is_a_stream_of_its_sessions_in_the_order_of_time(tmp_path):
    folder(
        tmp_path,
        question(),
        question(**{"Context": "TIME_Dial_2", "Gold Answer": 3, "Evidence": None, "Task": "Extract"}),
    )
    data = load(tmp_path, split="test")
    assert [(stream.id, stream.T) for stream in data] == [("TIME_Dial_1", 2), ("TIME_Dial_2", 1)]
    assert [(chunk.timestamp, chunk.text) for chunk in data[0].chunks] == [
        ("2020-04-16T13:44:00", "[Dialogue at timestamp 2020-04-16T13:44:00]\nAnn Lee: I carved a bar of soap.\nBo: Nice."),
        ("2020-04-21T15:44:00",
         "[Dialogue at timestamp 2020-04-21T15:44:00]\nAnn Lee (2020-04-21T15:45:00): I taught Mia last Friday."),
    ]  # fmt: skip
    asked = data[0].questions[0]
    assert (asked.references, asked.source) == (("A",), "timedialog-explicit_reasoning")
    assert asked.evidence == (Evidence(1, "I taught Mia last Friday."),)
    assert data[1].questions[0].references == ("3",)
    assert data[0].metadata == {"question_ids": ["4c1b1111"], "question_types": ["Level 2"]}
    for file in (CONTEXTS, QUESTIONS):
        assert load(tmp_path / file).fingerprint == data.fingerprint
    assert (data.licence, data.split, data.revision) == ("MIT", "test", None)


def test_families_are_the_tasks(tmp_path):
    folder(tmp_path, *(question(Task=task) for task in TASKS))
    assert len(load(tmp_path, split="test")[0].questions) == len(TASKS)
    assert [q.source for q in load(tmp_path, split="test", families=["timedialog-timeline"])[0].questions] == [
        "timedialog-timeline"
    ]
    with pytest.raises(SettingsError, match="no questions of the family 'timedialog-time'|Did you mean"):
        load(tmp_path, split="test", families=["timedialog-tinneline"])
    ids = [one for one in benchmarks() if one.id.startswith("TimeDialog-") and one.families]
    assert sorted(one.families[0] for one in ids) == sorted(f"timedialog-{task.lower()}" for task in TASKS)
    env = gym.make("TimeDialog-OrderCompare-v0", data=str(tmp_path))
    assert [q.source for q in env.unwrapped.dataset[0].questions] == ["timedialog-order_compare"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Question": None}, "Question"), ({"Gold Answer": None}, "Gold Answer"), ({"Task": None}, "Task"),
        ({"Context": "nowhere"}, "Context"),
    ],
)  # fmt: skip
def test_a_malformed_question_is_named(tmp_path, changes, field):
    folder(tmp_path, question(), question(**changes))
    with pytest.raises(DataError, match=rf"{QUESTIONS}( by dialogue)?, row \d, field {field}: expected"):
        load(tmp_path, split="test")[0]


@pytest.mark.parametrize("session", [{}, {"content": []}, {"content": [{"speaker": "A"}]}, {"content": ["x"]}, []])
def test_a_malformed_session_is_named_or_skipped(tmp_path, session):
    folder(tmp_path, question(), question(Context="TIME_Dial_2"))
    write_json(tmp_path / CONTEXTS, dialogues() | {"TIME_Dial_2": {"1": session}})
    with pytest.raises(DataError, match=rf"{QUESTIONS} by dialogue, row 1, field (sessions|utterance): expected"):
        load(tmp_path, split="test")[1]
    rest = load(tmp_path, split="test", on_error="skip")
    assert (len(rest), len(rest.skipped)) == (1, 1)


def test_one_file_without_the_other_is_refused(tmp_path):
    write_json(tmp_path / QUESTIONS, [question()])
    with pytest.raises(
        DataError, match=r"expected one file time_dial_labeled_contexts\*\.json of Time-Dialog, got none"
    ):
        load(tmp_path / QUESTIONS)
    folder(tmp_path)
    write_json(tmp_path / "time_dial_context_with_evidence_new.json", [question()])
    with pytest.raises(DataError, match="give the path of the file of questions"):
        load(tmp_path, split="test")
    assert len(load(tmp_path / QUESTIONS)) == 1
    (tmp_path / CONTEXTS).write_text("[]")
    with pytest.raises(DataError, match="expected an object of dialogues by name"):
        load(tmp_path / QUESTIONS)


def test_the_hub_has_both_files_at_one_commit(tmp_path):
    pytest.importorskip("datasets")
    from loopback_hub import run, serving

    folder(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in (CONTEXTS, QUESTIONS)}
    code = "import json; from memenvs.streams import load; d = load('Time-Dialog', 'test')\n"
    code += "print(json.dumps([d.source, d.revision, len(d)]))"
    with serving({"ElvinDu518/Memory-T1": {"e" * 40: files | {"question_time_range_annotated_0717.json": b"{}"}}}) as (
        endpoint,
        asked,
    ):
        done = run(code, endpoint, tmp_path / "cache")
    assert json.loads(done.stdout or json.dumps(done.stderr)) == ["ElvinDu518/Memory-T1@eeeeeeeeeeee", "e" * 40, 1]
    assert not any("question_time_range" in line for line in asked)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("A", "A", 1), ("Answer: A", "A", 1), ("A. Taught.", "A", 1), ("The answer is B", "A", 0), ("A dog", "A", 0),
        ("B, A", "A B", 1), ("A", "A B", 0), ("A B C", "A B", 0), ("", "A", 0),
        ("(1)(3)(2)", "(1)(3)(2)", 1), ("(1)(2)(3)", "(1)(3)(2)", 0),
        ("The answer is (1) (3) (2)", "(1)(3)(2)", 1), ("1 3 2", "(1)(3)(2)", 0),
        ("July 14, 2022", "2022-07-14", 1), ("14 July 2022", "July 14, 2022", 1), ("July 15, 2022", "2022-07-14", 0),
        ("10:45:41 pm, January 15, 2024", "2024-01-15T22:45:41", 1), ("January 15, 2024", "10:45:41 pm, January 15, 2024", 0),
        ("2022-07-16T11:13:00", "July 16, 2022", 1), ("It was on Friday.", "Friday", 1), ("Monday", "Friday", 0),
    ],
)  # fmt: skip
def test_an_answer_is_right_in_the_form_of_its_reference(prediction, reference, expected):
    assert score(prediction, [reference], "timedialog-timeline") == expected
