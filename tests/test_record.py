"""The record's JSON round trip."""

from __future__ import annotations

import json
import math
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs import EpisodeRecord
from memenvs.errors import DataError
from memenvs.memory import MemoryItem, OperationOutcome, Retrieved
from memenvs.record import ReadingRecord, StepRecord

RICH = EpisodeRecord(
    stream_id="a/0",
    source="builtin",
    fingerprint="f",
    steps=(
        StepRecord(
            step=0,
            chunk='Café "北京" \u2028 \ud800\n',
            timestamp=None,
            chunk_tokens=5,
            message="[{",
            error="no JSON",
            operations=(),
            memory_items=0,
            memory_tokens=0,
            readings=(),
        ),
        StepRecord(
            step=1,
            chunk="b",
            timestamp="2024-01-01",
            chunk_tokens=1,
            message="m",
            error=None,
            operations=(
                OperationOutcome("INSERT", "1.0", "x\udfff", True),
                OperationOutcome("MALFORMED", None, "5", False, "expected an object"),
            ),
            memory_items=1,
            memory_tokens=2,
            readings=(
                ReadingRecord("q", ("a", "é"), "squad", (Retrieved("1.0", 0.1 + 0.2, 1, 1),), ("1.0",), "p", 2 / 3),
                ReadingRecord("q", ("a",), "squad", (), (), None, None),
            ),
        ),
    ),
    questions=(
        ReadingRecord("g", ("a",), "squad", (Retrieved("1.0", -1e-300, 1, 0),), (), "", 0.0),
        ReadingRecord("h", ("a",), "squad", (), (), "p", 0.25),
    ),
    memory=(MemoryItem("1.0", "x\udfff", 1, 1, 2),),
    failure="503",
    settings={"k": 5, "limits": {"max_tokens": None}, "idf": "lucene"},
)

text = st.text(st.characters(), max_size=8)  # without surrogates; a lone one is in RICH
number = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 10**6)
readings = st.builds(
    ReadingRecord,
    text,
    st.lists(text, min_size=1, max_size=2).map(tuple),
    text,
    st.lists(st.builds(Retrieved, text, number, count, count), max_size=2).map(tuple),
    st.lists(text, max_size=2).map(tuple),
    st.none() | text,
    st.none() | number,
)
outcomes = st.builds(OperationOutcome, text, st.none() | text, st.none() | text, st.booleans(), st.none() | text)
steps = st.builds(
    StepRecord,
    count,
    text,
    st.none() | text,
    count,
    text,
    st.none() | text,
    st.lists(outcomes, max_size=2).map(tuple),
    count,
    count,
    st.lists(readings, max_size=2).map(tuple),
)
records = st.builds(
    EpisodeRecord,
    text,
    text,
    text,
    st.lists(steps, min_size=1, max_size=2).map(tuple),
    st.lists(readings, min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(MemoryItem, text, text, count, count, count), max_size=2).map(tuple),
    st.none() | text,
    st.dictionaries(text, st.none() | number | text | st.lists(count, max_size=2), max_size=2),
)


def test_a_rich_record_comes_back_as_it_was():
    line = RICH.to_json()
    assert line.isascii()
    assert "\n" not in line
    assert EpisodeRecord.from_json(line) == RICH
    assert EpisodeRecord.from_json(line).to_json() == line


@settings(max_examples=40)
@given(records)
def test_any_record_comes_back_as_it_was(record):
    assert EpisodeRecord.from_json(record.to_json()) == record


def test_settings_may_be_any_mapping():
    record = EpisodeRecord("s", "b", "f", RICH.steps, RICH.questions, (), settings=MappingProxyType({"k": 5}))
    assert EpisodeRecord.from_json(record.to_json()).settings == {"k": 5}


def test_figures_of_a_record():
    assert RICH.T == 2
    assert RICH.r_global == 0.125
    assert (RICH.memory_tokens, RICH.stream_tokens) == (2, 6)


def test_one_failed_question_takes_r_global_with_it():
    failed = EpisodeRecord("s", "b", "f", RICH.steps, (RICH.questions[1], RICH.steps[1].readings[1]), ())
    assert math.isnan(failed.r_global)
    assert math.isnan(EpisodeRecord.from_json(failed.to_json()).r_global)


def broken(change):
    data = json.loads(RICH.to_json())
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "must be a JSON object"),
        ("{", "must be a JSON object"),
        ("[" * 100_000, "must be a JSON object"),
        ("[]", '"format": 1'),
        ("null", '"format": 1'),
        ("{}", '"format": 1'),
        (broken(lambda d: d.update(format=2)), '"format": 1'),
        (broken(lambda d: d.pop("memory")), "'memory'"),
        (broken(lambda d: d.pop("stream_id")), "stream_id"),
        (broken(lambda d: d.update(extra=1)), "extra"),
        (broken(lambda d: d["steps"][0].pop("operations")), "'operations'"),
        (broken(lambda d: d["steps"][0].pop("chunk")), "chunk"),
        (broken(lambda d: d["steps"][1]["operations"][0].update(who="me")), "who"),
        (broken(lambda d: d["steps"][1]["readings"][0].pop("score")), "score"),
        (broken(lambda d: d["questions"][0]["retrieved"][0].pop("step")), "step"),
        (broken(lambda d: d.update(steps=[])), "needs steps and questions, got 0 and 2"),
        (broken(lambda d: d.update(questions=[])), "needs steps and questions, got 2 and 0"),
        (broken(lambda d: d.update(steps=5)), "lacks a field"),
        (broken(lambda d: d.update(questions=[5])), "lacks a field"),
        (broken(lambda d: d.update(steps=["x"])), "lacks a field"),
    ],
    ids=lambda value: value[:20] if len(value) < 60 else "record",
)
def test_what_is_no_record_is_refused(line, message):
    with pytest.raises(DataError, match="record") as caught:
        EpisodeRecord.from_json(line)
    assert message in str(caught.value)
