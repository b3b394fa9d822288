"""The dialect "memalpha": what a manager's message says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.memory import Malformed, Operation, parse_operations
from memenvs.memory.memalpha_calls import FailedCall, MemoryCall, tool_schemas
from memenvs.memory.memalpha_text import ManagerMessage, manager_message, marked_calls, text_before_calls

INSERT = "✿FUNCTION✿: new_memory_insert\n✿ARGS✿: {}"


def marked(name: str, **arguments: object) -> str:
    return f"✿FUNCTION✿: {name}\n✿ARGS✿: {json.dumps(arguments)}"


def parsed(text: str) -> tuple[Operation | Malformed, ...]:
    return parse_operations(text, "memalpha").operations


def one(name: str, **arguments: object) -> Operation | Malformed:
    (found,) = parsed(marked(name, **arguments))
    (same,) = parsed(json.dumps({"name": name, "arguments": arguments}))
    assert isinstance(found, FailedCall) or found == same
    assert type(found) is type(same)
    return found


@pytest.mark.parametrize(
    ("text", "calls", "before"),
    [
        ("Done", [], "Done"),
        ("text before ✿FUNCTION✿: x\n✿ARGS✿: {}", [("x", "{}")], "text before"),
        ("✿FUNCTION✿: x\n✿ARGS✿:", [], ""),
        ('✿FUNCTION✿: x\n✿ARGS✿: {"a": "has ✿ flower"}', [], ""),
        ('✿FUNCTION✿: x\n✿ARGS✿: {"a": 1} and so on', [("x", '{"a": 1}')], ""),
        ('✿FUNCTION✿: x\n✿ARGS✿: ```json\n{"a": 1}\n```\nmore', [("x", '```json\n{"a": 1}\n```')], ""),
        ("✿FUNCTION✿: x\n✿ARGS✿: {1}\n\n✿FUNCTION✿: y\n✿ARGS✿: {2}✿RETURN✿: no", [("x", "{1}"), ("y", "{2}")], ""),
        ("✿FUNCTION✿: x ✿ARGS✿: {1} ✿FUNCTION✿: y ✿ARGS✿: {2}", [("x ✿ARGS✿: {1} ✿FUNCTION✿: y", "{2}")], ""),
        ("partial ✿FUNC", [], "partial"),
        ("✿RESULT✿: ok", [], "✿RESULT✿: ok"),
        ("said ✿RESULT✿", [], "said"),
    ],
)
def test_marked_calls_are_found(text: str, calls: list[tuple[str, str]], before: str):
    assert marked_calls(text) == [{"name": name, "arguments": arguments} for name, arguments in calls]
    assert text_before_calls(text) == before


def test_messages_are_split_into_their_parts():
    assert manager_message("<think>a</think>b<think>c</think>d") == ManagerMessage((), "a", "b<think>c</think>d")
    assert manager_message("<think> open") == ManagerMessage((), "", "open")
    assert manager_message("a </think> b") == ManagerMessage((), "", "a </think> b")
    assert manager_message(f"<think>\nhm\n</think>\n\n{INSERT}").reasoning == "hm"
    assert manager_message(f"<think>he hit</think>{INSERT}").reasoning == "e"  # letters of the tags go, as published


def test_parsing_equals_the_published_parser(shared: Path):
    rows = (shared / "oracles/peers/memalpha_parse_calls.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, rows):
        if row["function"] == "_parse_function_calls_from_text":
            text = row["inputs"]["text"]
            assert [marked_calls(text), text_before_calls(text)] == row["output"], text
        else:
            message = manager_message(row["inputs"]["response"])
            said = {"role": "assistant", "content": message.content, "reasoning_content": message.reasoning}
            whole = [{"role": "assistant", "content": "", "function_call": call} for call in message.calls]
            assert ([said] if message.reasoning or not whole else []) + whole == row["output"], row["inputs"]
    assert len(rows) > 10


def test_the_three_tools_are_operations():
    insert = one("new_memory_insert", memory_type="episodic_memory", content="At noon, Ann left.")
    assert insert == MemoryCall("INSERT", "At noon, Ann left.", None, "episodic", "new_memory_insert")
    update = one("memory_update", memory_type="semantic_memory", new_content="b", memory_id="s0.0")
    assert update == MemoryCall("UPDATE", "b", "s0.0", "semantic", "memory_update")
    assert one("memory_update", memory_type="core_memory", new_content="c") == MemoryCall(
        "UPDATE", "c", None, "core", "memory_update"
    )
    # The published delete does not look at the ending.
    delete = MemoryCall("DELETE", None, "s0.0", "semantic", "memory_delete")
    assert one("memory_delete", memory_type="semantic", memory_id="s0.0") == delete
    assert one("memory_delete", memory_type="semantic_memory", memory_id="s0.0") == delete
    assert one("search_memory", memory_type="semantic_memory", query="x").op == "SKIP"


def test_contents_that_are_no_texts_become_json():
    assert one("new_memory_insert", memory_type="semantic_memory", content=42).content == "42"
    assert one("new_memory_insert", memory_type="semantic_memory", content=["a", "é"]).content == '["a", "é"]'


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        (
            "new_memory_insert",
            {"memory_type": "core_memory", "content": "x"},
            "semantic_memory, episodic_memory; got 'core_memory'",
        ),
        ("new_memory_insert", {"memory_type": "semantic", "content": "x"}, "got 'semantic'"),
        ("memory_update", {"memory_type": "semantic", "new_content": "x"}, "got 'semantic'"),
        ("memory_delete", {"memory_type": "foo"}, "got 'foo'"),
        ("memory_delete", {"memory_type": ["core_memory"]}, "needs a memory_type of core_memory"),
        ("new_memory_insert", {"memory_type": "semantic_memory"}, "needs the argument 'content'"),
        ("new_memory_insert", {"content": "x"}, "needs the argument 'memory_type'"),
        ("memory_update", {"memory_type": "core_memory"}, "needs the argument 'new_content'"),
        ("new_memory_inser", {}, "Did you mean 'new_memory_insert'"),
    ],
)
def test_calls_that_no_memory_could_carry_out_are_reported(name: str, arguments: dict[str, object], reason: str):
    failed = one(name, **arguments)
    assert isinstance(failed, FailedCall)
    assert failed.tool == name
    assert reason in failed.reason


@pytest.mark.parametrize(
    "arguments", ["not json at all", "", '["a", "b"]', '"text"', "null", "42", '{"a": 1} {"b": 2}']
)
def test_arguments_that_are_no_object_fail(arguments: str):
    (failed,) = parsed(json.dumps([{"name": "new_memory_insert", "arguments": arguments}]))
    assert isinstance(failed, FailedCall)


def test_loose_arguments_are_read():
    (call,) = parsed("✿FUNCTION✿: new_memory_insert\n✿ARGS✿: {'memory_type': 'semantic_memory', 'content': 'it's so',}")
    assert call.content == "it's so"


def test_openai_style_calls_are_found_in_their_wrappings():
    call = {"name": "new_memory_insert", "arguments": '{"memory_type": "semantic_memory", "content": "a"}'}
    wanted = (MemoryCall("INSERT", "a", None, "semantic", "new_memory_insert"),)
    assert parsed(json.dumps(call)) == parsed(json.dumps([call])) == wanted
    assert parsed(json.dumps({"tool_calls": [{"type": "function", "function": call}]})) == wanted
    assert parsed(f"I will store it.\n```json\n{json.dumps([call])}\n```") == wanted


def test_operations_of_the_native_dialect_are_understood():
    text = '[{"op": "INSERT", "content": "a"}, {"op": "EXPLODE"}]'
    assert parsed(text) == parse_operations(text).operations
    assert parsed('{"operations": [{"op": "SKIP"}]}') == (Operation("SKIP"),)


def test_a_message_without_a_call_has_no_operations():
    for text in ("Done", "Done.", "[]", "✿FUNCTION✿: x\n✿ARGS✿:"):
        report = parse_operations(text, "memalpha")
        assert report.operations == ()
        assert "no tool call found; expected for instance" in report.error


def test_entries_that_are_no_calls_leave_the_others_intact():
    first, second = parsed('[7, {"name": "memory_delete", "arguments": {"memory_type": "core_memory"}}]')
    assert isinstance(first, FailedCall)
    assert second.op == "DELETE"


@given(
    st.lists(st.sampled_from(["✿FUNCTION✿:", "✿ARGS✿:", "✿RESULT✿", "✿", " ", "\n", "x", "{", "}", "```", '"'])).map(
        "".join
    )
)
def test_no_message_raises(text: str):
    assert all(isinstance(o, (Operation, Malformed)) for o in parsed(text))


@pytest.mark.parametrize(
    "unit", ["✿FUNCTION✿:", "✿FUNCTION✿:a", "✿ARGS✿:", "✿FUNCTION✿:a✿ARGS✿:", "✿FUNCTION✿: a ✿ARGS✿: {", " ", "✿"]
)
def test_long_nonsense_is_read_to_its_end(unit: str):
    text = "✿FUNCTION✿: a " + unit * (60_000 // len(unit)) + "✿"
    assert len(marked_calls(text)) <= 1


def test_schemas_name_parameters_and_values():
    insert, update, delete = (schema["function"] for schema in tool_schemas(core=False))
    assert insert["parameters"]["properties"]["memory_type"]["enum"] == ["semantic_memory", "episodic_memory"]
    assert update["parameters"]["required"] == ["memory_type", "new_content"]
    assert list(delete["parameters"]["properties"]) == ["memory_type", "memory_id"]
    assert "core_memory" in tool_schemas()[1]["function"]["parameters"]["properties"]["memory_type"]["enum"]


def test_schemas_equal_the_published_ones(shared: Path):
    rows = (shared / "oracles/peers/memalpha_memory_ops.jsonl").read_text(encoding="utf-8").splitlines()
    found = [row for row in map(json.loads, rows) if row["function"] == "get_memory_tool_schemas"]
    for row in found:
        ours = [schema["function"] for schema in tool_schemas(core=row["inputs"]["including_core"])]
        assert [{"name": s["name"]} | {k: s["parameters"][k] for k in ("properties", "required")} for s in ours] == row[
            "output"
        ]
    assert found
