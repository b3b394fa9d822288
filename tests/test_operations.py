"""Parsing: what a model may send, and what becomes of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from memenvs.memory import Malformed, Operation, parse_operations
from memenvs.memory.operations import DIALECTS, MAX_MESSAGE_CHARS

INSERT, UPDATE = Operation("INSERT", "tea"), Operation("UPDATE", "coffee", "0.0")
DELETE, SKIP = Operation("DELETE", id="1.2"), Operation("SKIP")
MESSAGE = (
    '[{"op": "INSERT", "content": "tea"}, {"op": "UPDATE", "id": "0.0", "content": "coffee"}, '
    '{"op": "DELETE", "id": "1.2"}, {"op": "SKIP"}]'
)


def to_native(operation: Operation) -> dict[str, str]:
    return {k: v for k, v in (("op", operation.op), ("id", operation.id), ("content", operation.content)) if v}


@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        f"\n {MESSAGE}\n",
        f"```json\n{MESSAGE}\n```",
        f"I keep the drink [1], see also [2, 3] and {{braces}}.\n{MESSAGE}\nDone [4].",
        f"- [ ] keep the drink\n- [x] drop the rest\n{MESSAGE}",
        f'{{"operations": {MESSAGE}}}',
        f'Here: {{"thought": "none"}} {{"operations": {MESSAGE}}}',
        f"[[1], {MESSAGE}",
    ],
    ids=["bare", "spaces", "fence", "citations", "check-boxes", "object", "object-in-prose", "broken-bracket-before"],
)
def test_operations_are_found(message):
    report = parse_operations(message)
    assert report.operations == (INSERT, UPDATE, DELETE, SKIP)
    assert report.error is None


def test_one_operation_needs_no_list():
    assert parse_operations('{"op": "insert", "content": "tea"}').operations == (INSERT,)
    assert parse_operations('So: {"op": " Skip "}').operations == (SKIP,)


def test_the_first_list_of_operations_counts():
    assert parse_operations('[{"op": "SKIP"}] or rather [{"op": "INSERT", "content": "tea"}]').operations == (SKIP,)


def test_what_stands_inside_another_json_value_is_not_sent():
    example = '{"example": [{"op": "DELETE", "id": "0.0"}]}'
    assert parse_operations(f'As in {example} I send [{{"op": "SKIP"}}]').operations == (SKIP,)
    assert parse_operations(f"As in {example}.").operations == ()


def test_fields_that_an_operation_does_not_have_are_dropped():
    assert parse_operations('[{"op": "SKIP", "id": "0.0", "content": "x"}]').operations == (SKIP,)
    assert parse_operations('[{"op": "INSERT", "id": "9.9", "content": "tea", "note": 1}]').operations == (INSERT,)
    assert parse_operations('[{"op": "DELETE", "id": "1.2", "content": "x"}]').operations == (DELETE,)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (None, "type str, got NoneType"),
        (b"[]", "type str, got bytes"),
        (7, "type str, got int"),
        ([{"op": "SKIP"}], "type str, got list"),
        ("", "message is empty"),
        (" \n\t", "message is empty"),
        ("I have nothing to add.", "no JSON list"),
        ("see [1] and [2, 3]", "no JSON list"),
        ("[" * 60_000, "no JSON list"),
        ("[" * 500 + "]" * 500 + " and more", "no JSON list"),
        ('{"op"' * 10_000, "no JSON list"),
        ('[{"op": "INSERT", "content": "cut o', "no JSON list"),
        ("```json\n```", "no JSON list"),
        ("null", "no JSON list"),
        ("12", "no JSON list"),
        ("1" * 5_000, "no JSON list"),
        ('"[{}]"', "no JSON list"),
        ("{}", "no JSON list"),
        ('{"operations": "INSERT"}', "no JSON list"),
        ("[]", "list of operations is empty"),
        ("nothing to do: []", "list of operations is empty"),
        ("x" * 1_000_000, f"1000000 characters; at most {MAX_MESSAGE_CHARS}"),
        ("[" * 100_000, f"100000 characters; at most {MAX_MESSAGE_CHARS}"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_message_without_operations_is_reported(message, error):
    report = parse_operations(message)
    assert report.operations == ()
    assert error in report.error


def test_the_longest_message_is_read_and_one_more_character_is_not():
    message = '[{"op": "INSERT", "content": "tea"}]'
    assert parse_operations(message.ljust(MAX_MESSAGE_CHARS)).operations == (INSERT,)
    assert parse_operations(message.ljust(MAX_MESSAGE_CHARS + 1)).operations == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (1, "expected an object"),
        (None, "expected an object"),
        ("INSERT", "expected an object"),
        ([{"op": "SKIP"}], "expected an object"),
        ({}, 'expected a key "op"'),
        ({"op": None}, 'expected a key "op"'),
        ({"operation": "SKIP"}, 'expected a key "op"'),
        ({"op": "INSRT", "content": "tea"}, "Did you mean 'INSERT'?"),
        ({"op": "update_item", "id": "0.0", "content": "x"}, "Did you mean 'UPDATE'?"),
        ({"op": "ZZZ"}, "unknown operation 'ZZZ'."),
        ({"op": "INSERT"}, 'needs "content"'),
        ({"op": "INSERT", "content": ""}, 'needs "content"'),
        ({"op": "INSERT", "content": " \n"}, 'needs "content"'),
        ({"op": "INSERT", "content": 5}, 'needs "content"'),
        ({"op": "INSERT", "content": ["tea"]}, 'needs "content"'),
        ({"op": "UPDATE", "content": "tea"}, 'needs "id"'),
        ({"op": "UPDATE", "id": "0.0"}, 'needs "content"'),
        ({"op": "DELETE"}, 'needs "id"'),
        ({"op": "DELETE", "id": 1.2}, 'needs "id"'),
        ({"op": "DELETE", "id": ""}, 'needs "id"'),
    ],
)
def test_a_bad_entry_is_malformed_and_leaves_the_others_intact(entry, reason):
    first, bad, last = parse_operations(json.dumps([to_native(INSERT), entry, to_native(DELETE)])).operations
    assert (first, last) == (INSERT, DELETE)
    assert isinstance(bad, Malformed)
    assert reason in bad.reason
    assert json.loads(bad.text) == entry


def test_a_long_malformed_entry_is_shortened():
    (bad,) = parse_operations(json.dumps([{"op": "INSERT", "contents": "x" * 5_000}])).operations
    assert len(bad.text) == 200


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nesting_at_the_limit_of_the_stack_does_not_raise(dialect):
    # Reading JSON and writing it stop at slightly different depths, so every depth around the limit is tried.
    for depth in range(900, 1010):
        for message in ('{"op":' * depth + "1" + "}" * depth, "[" * depth + "{}" + "]" * depth):
            found = parse_operations(message, dialect).operations
            assert not any(isinstance(o, Operation) for o in found)


def test_lone_surrogates_pass_through():
    assert parse_operations('[{"op": "INSERT", "content": "a\\ud800"}]').operations == (Operation("INSERT", "a\ud800"),)
    assert parse_operations('[{"op": "INSERT", "content": "a\ud800"}]').operations == (Operation("INSERT", "a\ud800"),)


CALLS = [
    {"name": "insert", "arguments": {"content": "tea"}},
    {"name": "update", "arguments": '{"id": "0.0", "content": "coffee"}'},
    {"type": "function", "function": {"name": "DELETE", "arguments": '{"id": "1.2"}'}},
    {"name": "skip", "arguments": ""},
]


@pytest.mark.parametrize(
    "message",
    [
        json.dumps(CALLS),
        json.dumps({"tool_calls": CALLS}),
        json.dumps({"role": "assistant", "content": None, "tool_calls": CALLS}),
        f"I call [1]:\n```json\n{json.dumps(CALLS)}\n```",
        json.dumps([{**call, "name": f"{call['name']}_memory"} if "name" in call else call for call in CALLS]),
    ],
    ids=["list", "tool_calls", "message", "fence", "longer-names"],
)
def test_function_calls_map_onto_the_same_operations(message):
    assert parse_operations(message, "function_calls").operations == (INSERT, UPDATE, DELETE, SKIP)


def test_one_function_call_needs_no_list():
    for call in (CALLS[0], {"function": CALLS[0]}, {"tool_calls": CALLS[:1]}):
        assert parse_operations(json.dumps(call), "function_calls").operations == (INSERT,)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"name": "insert", "arguments": "{not json"}, 'needs "content"'),
        ({"name": "insert", "arguments": "[" * 5_000}, 'needs "content"'),
        ({"name": "insert", "arguments": '["tea"]'}, 'needs "content"'),
        ({"name": "insert", "arguments": 5}, 'needs "content"'),
        ({"name": "insert"}, 'needs "content"'),
        ({"name": 5, "arguments": {}}, 'expected a key "op"'),
        ({"name": "insrt", "arguments": {"content": "tea"}}, "Did you mean 'INSERT'?"),
        ({"function": "insert"}, 'expected a key "op"'),
        ("insert", "expected an object"),
    ],
)
def test_a_bad_function_call_is_malformed(call, reason):
    bad, good = parse_operations(json.dumps([call, CALLS[0]]), "function_calls").operations
    assert isinstance(bad, Malformed)
    assert reason in bad.reason
    assert good == INSERT


def test_a_native_message_is_no_function_call_and_the_other_way_round():
    assert isinstance(parse_operations(json.dumps(CALLS[:1])).operations[0], Malformed)
    assert parse_operations("{}", "function_calls").error is not None


def test_an_unknown_dialect_is_refused_whatever_the_message():
    with pytest.raises(SettingsError, match="Did you mean 'function_calls'"):
        parse_operations(None, "function_call")


# Messages that look like operations more often than random text does.
words = st.sampled_from(
    [
        *("op", "id", "content", "operations", "name", "arguments", "tool_calls", "function", "INSERT", "0.0"),
        *("memory", "event", "text", "ADD", "NONE", "span"),
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | words
    | st.text(st.characters(categories=["L", "Cs", "P"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
pieces = st.lists(
    st.sampled_from(
        [*'[]{}",:\\', "```", '"op"', '"INSERT"', "null", "\ud800", "é", " ", "<tool_call>", "</tool_call>"]
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(st.one_of(values, values.map(json.dumps), pieces.map("".join), st.text(max_size=200)), st.sampled_from(DIALECTS))
@example("[{" * 5_000, "json")
def test_no_message_raises(message, dialect):
    report = parse_operations(message, dialect)
    assert bool(report.operations) != bool(report.error)
    for entry in report.operations:
        if isinstance(entry, Operation):
            assert (entry.content is not None) == (entry.op in ("INSERT", "UPDATE"))
            assert (entry.id is not None) == (entry.op in ("UPDATE", "DELETE"))


content = st.text(min_size=1, max_size=30).filter(str.strip)
item_id = st.text(min_size=1, max_size=5)
operations = st.one_of(
    st.builds(Operation, st.just("INSERT"), content),
    st.builds(Operation, st.just("UPDATE"), content, item_id),
    st.builds(Operation, st.just("DELETE"), st.none(), item_id),
    st.just(SKIP),
)


@settings(max_examples=100)
@given(st.lists(operations, min_size=1, max_size=6), st.sampled_from(["{}", "Well [1]: {} so.", "```json\n{}\n```"]))
def test_what_is_well_formed_comes_back_as_it_was(sent, frame):
    native = json.dumps([to_native(o) for o in sent])
    assert parse_operations(frame.replace("{}", native)).operations == tuple(sent)
    calls = [{"name": o.op, "arguments": json.dumps({"id": o.id, "content": o.content})} for o in sent]
    assert parse_operations(frame.replace("{}", json.dumps(calls)), "function_calls").operations == tuple(sent)


@pytest.mark.parametrize(
    ("message", "whole", "malformed"),
    [
        ('[{"op": "SKIP"}, {"op": "DELETE", "id": "1.0"}, {"op": "INS', 2, 1),
        ('```json\n[{"op": "SKIP"}, {"op": "INSERT", "content": "cut', 1, 1),
        ('[{"op": "SKIP"}, {"op": "SKIP"}', 2, 0),
        ('[{"op": "SKIP"}, oops, {"op": "SKIP"}]', 1, 1),
        ('{"op": "SKIP"}\n{"op": "DELETE", "id": "1.0"}\n{"op": "SKIP"}', 3, 0),
        ('{"op": "SKIP"}\n{"op": "DELETE", "id": "1.0"}\n{"op": "INSERT", "content": "cut', 2, 1),
        ('{"op": "SKIP"} is {all} that {"I" want}', 1, 0),
        ('[{"op": "INS', 0, 0),
    ],
)
def test_a_cut_off_message_keeps_its_whole_operations_and_reports_the_rest(message, whole, malformed):
    operations = parse_operations(message).operations
    assert sum(isinstance(o, Operation) for o in operations) == whole
    assert sum(isinstance(o, Malformed) for o in operations) == malformed
