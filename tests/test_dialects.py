"""The dialects "memory-r1" and "sentences", and writing messages in every dialect."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs import Episode
from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.memory import Malformed, MemoryLimits, Operation, ThreePartMemory, parse_operations
from memenvs.memory.dialects import write_operations
from memenvs.memory.dialects_sentences import numbered, span_of
from memenvs.memory.memalpha_calls import MemoryCall
from memenvs.memory.operations import DIALECTS
from memenvs.record import EpisodeRecord
from memenvs.streams.types import Chunk, Question, Stream

CHUNK = "Ann has a cat. It is called Tom! Is it old? Nobody knows."


def read(message, dialect, chunk=CHUNK):
    return list(
        parse_operations(message if isinstance(message, str) else json.dumps(message), dialect, chunk).operations
    )


def test_events_are_operations():
    message = {
        "memory": [
            {"id": "0.1", "text": "Tea.", "event": "NONE"},
            {"id": "7", "text": "Ann has a cat.", "event": "add"},
            {"id": "0.2", "text": "Two cats.", "event": "UPDATE", "old_memory": "One cat."},
            {"id": "0.3", "text": "Old.", "event": "DELETE"},
        ]
    }
    expected = [
        Operation("INSERT", "Ann has a cat."), Operation("UPDATE", "Two cats.", "0.2"), Operation("DELETE", None, "0.3"),
    ]  # fmt: skip
    assert read(message, "memory-r1") == expected
    assert read(message["memory"], "memory-r1") == expected
    assert read(f"```json\n{json.dumps(message, indent=1)}\n```", "memory-r1") == expected
    assert read(message["memory"][3], "memory-r1") == expected[2:]


def test_nothing_but_none_is_one_skip():
    assert read({"memory": [{"event": "NONE"}, {"id": "0.1", "event": "none"}]}, "memory-r1") == [Operation("SKIP")]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"event": "ADD", "text": " "}, 'ADD needs "text"'),
        ({"event": "UPDATE", "text": "x"}, 'UPDATE needs "id"'),
        ({"event": "UPDATE", "id": 3.1, "text": "x"}, 'UPDATE needs "id"'),
        ({"event": "DELETE", "text": "x"}, 'DELETE needs "id"'),
        ({"event": "REMOVE", "id": "1.0"}, "unknown event 'REMOVE'"),
        ({"id": "1.0"}, 'a key "event"'),
        ("ADD", 'a key "event"'),
    ],
)
def test_a_bad_event_leaves_the_others_intact(entry, reason):
    bad, good = read([entry, {"event": "DELETE", "id": "1.0"}], "memory-r1")
    assert isinstance(bad, Malformed)
    assert reason in bad.reason
    assert good == Operation("DELETE", None, "1.0")


def test_a_cut_off_event_list_keeps_its_whole_events():
    add, rest = read('{"memory": [{"event": "ADD", "text": "a"}, {"event": "DELE', "memory-r1")
    assert add == Operation("INSERT", "a")
    assert isinstance(rest, Malformed)
    assert "list of events is empty" in parse_operations('{"memory": []}', "memory-r1").error
    assert "no list of events" in parse_operations("I keep it as it is.", "memory-r1").error


def test_spans_stand_for_sentences_of_the_chunk():
    message = [
        {"op": "INSERT", "span": [1]},
        {"op": "update", "id": "0.0", "span": [2, 4]},
        {"op": "DELETE", "id": "0.1"},
    ]
    assert read(message, "sentences") == [
        Operation("INSERT", "Ann has a cat."),
        Operation("UPDATE", "It is called Tom! Is it old? Nobody knows.", "0.0"),
        Operation("DELETE", None, "0.1"),
    ]
    assert read([{"op": "INSERT", "content": "My own words."}], "sentences") == [Operation("INSERT", "My own words.")]


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ([5], "sentences 1 to 4"),
        ([0], "sentences 1 to 4"),
        ([-1], "sentences 1 to 4"),
        ([3, 2], "first before last"),
        ([1, 5], "sentences 1 to 4"),
        ([], "[n] or [first, last]"),
        ([1, 2, 3], "[n] or [first, last]"),
        ([True], "[n] or [first, last]"),
        (["1"], "[n] or [first, last]"),
        ([1.0], "[n] or [first, last]"),
        (None, "[n] or [first, last]"),
        ({"a": 1}, "[n] or [first, last]"),
    ],
)
def test_a_bad_span_is_malformed_and_leaves_the_others_intact(span, reason):
    bad, good = read([{"op": "INSERT", "span": span}, {"op": "INSERT", "span": [4]}], "sentences")
    assert isinstance(bad, Malformed)
    assert reason in bad.reason
    assert good == Operation("INSERT", "Nobody knows.")


def test_a_span_and_a_content_contradict_each_other():
    (bad,) = read([{"op": "INSERT", "span": [1], "content": "Ann has a dog."}], "sentences")
    assert "not both" in bad.reason


def test_without_a_chunk_there_is_nothing_to_point_at():
    (bad,) = read([{"op": "INSERT", "span": [1]}], "sentences", "")
    assert isinstance(bad, Malformed)


def test_numbers_shown_are_the_numbers_read():
    chunk = "First. Second!\nSentence: no?\nLabel: 3\nLast"
    assert numbered(chunk) == "First. [1]\nSecond! [2]\nSentence: no?\n    Label: 3 [3]\nLast [4]"
    assert read([{"op": "INSERT", "span": [3]}], "sentences", chunk) == [Operation("INSERT", "Sentence: no?\nLabel: 3")]


def test_an_episode_gives_the_parser_its_chunk():
    stream = Stream(
        "s", "test", (Chunk("One a. Two b."), Chunk("Three c. Four d.")), (Question("Which?", ("d",), "builtin-fact"),)
    )
    episode = Episode(stream, EpisodeSettings(dialect="sentences"))
    for message in (
        '[{"op": "INSERT", "span": [2]}]',
        '[{"op": "INSERT", "span": [2]}, {"op": "INSERT", "span": [3]}]',
    ):
        readings = episode.act(message)
        episode.answer(None, "no reader here")
    assert [item.content for item in episode.bank.items] == ["Two b.", "Four d."]
    assert [outcome.valid for outcome in episode.steps[1].operations] == [True, False]
    assert len(readings) == 1
    record = EpisodeRecord.from_json(episode.record().to_json())
    again = [parse_operations(step.message, "sentences", step.chunk).operations[0].content for step in record.steps]
    assert again == ["Two b.", "Four d."]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_takes_native_operations(dialect):
    assert read([{"op": "SKIP"}], dialect) == [Operation("SKIP")]
    (insert,) = read([{"op": "INSERT", "content": "tea"}], dialect)
    assert (insert.op, insert.content) == ("INSERT", "tea")


words = st.sampled_from(
    ["Ann has a cat.", "It is called Tom!", "Is it old? Nobody knows.", 'a "b"', "東京 <tool_call>", "x\ny", "[1]"]
)
ids = st.sampled_from(["0.0", "12.3", "s1.0"])
operations = st.one_of(
    st.builds(Operation, st.just("INSERT"), words),
    st.builds(Operation, st.just("UPDATE"), words, ids),
    st.builds(Operation, st.just("DELETE"), st.none(), ids),
)


@given(st.lists(operations, min_size=1, max_size=5), st.sampled_from([d for d in DIALECTS if d != "memalpha"]))
def test_what_is_written_is_read(sent, dialect):
    assert read(write_operations(sent, dialect, CHUNK), dialect) == sent


@given(st.lists(operations, min_size=1, max_size=5))
def test_calls_on_three_parts_are_written_as_they_are_read(sent):
    found = read(write_operations(sent, "memalpha"), "memalpha")
    assert [(o.op, o.content, o.id) for o in found] == [(o.op, o.content, o.id) for o in sent]
    assert write_operations(found, "memalpha") == write_operations(sent, "memalpha")


def test_parts_of_a_memory_survive_writing():
    sent = [
        MemoryCall("INSERT", "On Monday.", None, "episodic", "new_memory_insert"),
        MemoryCall("UPDATE", "Ann is a pilot.", None, "core", "memory_update"),
        MemoryCall("DELETE", None, "e0.0", "episodic", "memory_delete"),
    ]
    assert read(write_operations(sent, "memalpha"), "memalpha") == sent
    memory = ThreePartMemory(MemoryLimits())
    memory.apply(read(write_operations(sent[:2], "memalpha"), "memalpha"))
    assert (memory.core, [item.id for item in memory.episodic]) == ("Ann is a pilot.", ["e0.0"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_to_do_is_written_as_a_skip(dialect):
    assert read(write_operations([], dialect), dialect) == [Operation("SKIP")]


CALL = '<tool_call>\n{"name": "insert", "arguments": {"content": "%s"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("message", "kinds"),
    [
        (CALL % "a" + "\n" + CALL % "b", "ok ok"),
        ("I see. " + CALL % "a" + " and " + CALL % "b</tool_call> <tool_call>{}", "ok ok"),
        (CALL % "a" + '<tool_call>\n{"name": "insert", "arguments": {"content": "cut o', "ok bad"),
        (CALL % "a" + CALL % 'not "quoted" well' + CALL % "b", "ok bad ok"),
        ("<tool_call></tool_call>" + CALL % "a", "bad ok"),
        ('<tool_call>[{"op": "SKIP"}, {"op": "SKIP"}]', "ok ok"),
        ('Between <tool_call> tags? No: [{"op": "SKIP"}]', "ok"),
    ],
)
@pytest.mark.parametrize("dialect", ["function_calls", "memalpha"])
def test_calls_in_tags_are_carried_out_and_the_rest_of_them_reported(message, kinds, dialect):
    if dialect == "memalpha":
        message = message.replace(
            '"insert", "arguments": {', '"new_memory_insert", "arguments": {"memory_type": "semantic_memory", '
        )
    found = read(message, dialect)
    assert " ".join("bad" if isinstance(operation, Malformed) else "ok" for operation in found) == kinds


def test_calls_as_llama_writes_them():
    found = read(
        '{"name": "insert", "parameters": {"content": "a"}}; {"name": "skip", "parameters": {}}', "function_calls"
    )
    assert found == [Operation("INSERT", "a"), Operation("SKIP")]


def test_written_spans():
    sent = [
        Operation("INSERT", "It is called Tom! Is it old?"),
        Operation("UPDATE", "Nobody knows.", "0.1"),
        Operation("INSERT", "No."),
    ]
    message = '[{"op": "INSERT", "span": [2, 3]}, {"op": "UPDATE", "id": "0.1", "span": [4]}, {"op": "INSERT", "content": "No."}]'
    assert write_operations(sent, "sentences", CHUNK) == message
    assert span_of("It is called", CHUNK) is None
    assert span_of("A. A. B.", "A. A. A. B.") == [2, 4]
    with pytest.raises(SettingsError, match="Did you mean 'sentences'"):
        write_operations([], "sentence")
