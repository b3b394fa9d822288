"""LongMemEval: sessions as chunks in the order of time, marked turns as evidence, abstention."""

from __future__ import annotations

import pytest
from published_files import longmemeval_instance as instance
from published_files import write_json, write_parquet

from memenvs.errors import DataError, SettingsError
from memenvs.streams import Evidence, load

#: The published question types.
TYPES = (
    "single-session-user", "single-session-assistant", "single-session-preference",
    "temporal-reasoning", "knowledge-update", "multi-session",
)  # fmt: skip


def test_an_instance_is_a_stream_of_its_sessions_in_the_order_of_time(tmp_path):
    data = load(write_json(tmp_path / "longmemeval_oracle.json", [instance()]))
    assert (len(data), data.split, data.max_steps) == (1, "test", 2)
    stream = data[0]
    assert stream.id == "e1"
    assert [chunk.timestamp for chunk in stream.chunks] == ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 02:57"]
    assert (
        stream.chunks[0].text == "[Dialogue at timestamp 2023/05/20 (Sat) 02:21]\n<User> I like tea.\n<Assistant> Nice."
    )
    (question,) = stream.questions
    assert question.text == "Current Date: 2023/05/30 (Tue) 23:40\nQuestion: What do I like?"
    assert (question.references, question.source) == (("tea",), "longmemeval-multi-session")
    assert question.evidence == (Evidence(0, "I like tea."),)
    plain = load(tmp_path / "longmemeval_oracle.json", question_date=False)
    assert plain[0].questions[0].text == "What do I like?"
    assert plain.fingerprint != data.fingerprint


def test_answers_may_be_numbers_and_evidence_may_be_named_sessions(tmp_path):
    bare = instance()["haystack_sessions"]
    unmarked = [[{k: turn[k] for k in ("role", "content")} for turn in session] for session in bare]
    rows = [instance(answer=3, haystack_sessions=unmarked), instance(answer_session_ids=[], haystack_sessions=unmarked)]
    data = load(write_json(tmp_path / "s.json", rows))
    assert data[0].questions[0].references == ("3",)
    assert data[0].questions[0].evidence == (Evidence(0),)
    assert data[1].questions[0].evidence == ()


def test_abstention_is_a_family_of_its_own_without_evidence(tmp_path):
    rows = [instance(), instance(question_id="e1_abs"), *(instance(question_id=t, question_type=t) for t in TYPES)]
    path = write_json(tmp_path / "s.json", rows)
    (stream,) = load(path, families=["longmemeval-abstention"])
    assert stream.questions[0].source == "longmemeval-abstention-multi-session"
    assert stream.questions[0].evidence == ()
    assert len(load(path, families=["longmemeval-single-session"])) == 3
    with pytest.raises(SettingsError, match="Did you mean 'longmemeval-temporal-reasoning'"):
        load(path, families=["longmemeval-temporal-reasonin6"])


def test_json_and_parquet_of_the_same_instances_give_the_same_streams(tmp_path):
    pytest.importorskip("pyarrow")
    rows = [instance(), instance(question_id="e2_abs")]
    one, two = load(write_json(tmp_path / "s.json", rows)), load(write_parquet(tmp_path / "s.parquet", rows))
    assert [stream.fingerprint for stream in one] == [stream.fingerprint for stream in two]


def test_the_form_that_mem_alpha_trains_on(tmp_path):
    base = instance()
    sample = {
        "sample_id": "a",
        "questions": ["Q1?", "Q2?"],
        "answers": ["x", 2],
        "question_types": ["multi-session"] * 2,
    }
    sample |= {name: base[name] for name in ("haystack_dates", "haystack_sessions")}
    data = load(
        write_json(tmp_path / "longmemeval_combined_train_v2.json", {"samples": [sample, sample | {"sample_id": "b"}]})
    )
    assert (len(data), data.split, data[1].id, data[0].T) == (2, "train", "b", 2)
    assert [(q.text, q.references, q.source) for q in data[0].questions] == [
        ("Q1?", ("x",), "lme_train"), ("Q2?", ("2",), "lme_train")]  # fmt: skip
    write_json(tmp_path / "bad.json", {"samples": [sample | {"answers": ["x"]}]})
    with pytest.raises(
        DataError, match=r"bad\.json, row 0, field answers: expected one answer and one type per question, 2"
    ):
        load(tmp_path / "bad.json")[0]


def test_a_folder_holds_the_variants(tmp_path):
    for name in ("longmemeval_s_cleaned", "longmemeval_oracle"):
        write_json(tmp_path / f"{name}.json", [instance(question_id=name)])
    assert load(tmp_path, split="test")[0].id == "longmemeval_s_cleaned"
    assert load(tmp_path, split="test", variant="oracle")[0].id == "longmemeval_oracle"
    with pytest.raises(DataError, match=r"has no file longmemeval_m\*\.json"):
        load(tmp_path, split="test", variant="m")
    with pytest.raises(SettingsError, match="unknown variant 'x'; known: s, m, oracle"):
        load(tmp_path, split="test", variant="x")
    with pytest.raises(DataError, match="only the split 'test', got 'train'"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"question_id": 5}, "question_id"),
        ({"question_type": None}, "question_type"),
        ({"question": None}, "question"),
        ({"answer": None}, "answer"),
        ({"answer": {"a": 1}}, "answer"),
        ({"answer": True}, "answer"),
        ({"question_date": 5}, "question_date"),
        ({"haystack_sessions": []}, "haystack_sessions"),
        ({"haystack_sessions": ["a", "b"]}, "haystack_sessions"),
        ({"haystack_sessions": [["a"], []]}, "haystack_sessions"),
        ({"haystack_sessions": [[{"role": "user"}], []]}, "haystack_sessions"),
        ({"haystack_dates": ["2023"]}, "haystack_dates"),
        ({"haystack_dates": ["2023", 5]}, "haystack_dates"),
        ({"question": "\ud800"}, "question"),
    ],
)
def test_a_malformed_instance_is_named_or_skipped(tmp_path, changes, field):
    path = write_json(tmp_path / "s.json", [instance(), instance(**changes)])
    with pytest.raises(DataError, match=rf"s\.json, row 1, field {field}: expected"):
        load(path)[1]
    rest = load(path, on_error="skip")
    assert (len(rest), len(rest.skipped)) == (1, 1)
    assert f"field {field}" in rest.skipped[0].reason


@pytest.mark.parametrize(
    "content", ["", "[", "[{}", '[{"a": "b]', "5", "{}", "[]", '{"samples": 3}', "[5]", '["a"]', "[[" * 999]
)
def test_a_file_that_is_no_array_of_objects_is_refused(tmp_path, content):
    (tmp_path / "s.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"s\.json"):
        load(tmp_path / "s.json")


def test_an_entry_that_is_no_json_is_one_bad_row(tmp_path):
    path = write_json(tmp_path / "s.json", [instance(), instance()])
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-1] + ', {"question_id": nonsense}]', encoding="utf-8")
    with pytest.raises(DataError, match="row 2: not JSON"):
        load(path)
    assert [(one.row, "not JSON" in one.reason) for one in load(path, on_error="skip").skipped] == [(2, True)]


def test_strings_with_brackets_quotes_and_commas_do_not_confuse_the_rows(tmp_path):
    odd = 'a ] } , " \\ [ {" \\\\'
    path = write_json(tmp_path / "s.json", [instance(question=odd), instance(question=odd * 2, question_id="e2")])
    data = load(path, question_date=False)
    assert [stream.questions[0].text for stream in data] == [odd, odd * 2]
