"""Mem-alpha's memory: its transition, and what the two rules call valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import DataError, SettingsError
from memenvs.memory import MemoryLimits, Operation, parse_operations, token_counter
from memenvs.memory.bank import StepReport
from memenvs.memory.memalpha_calls import MemoryCall, part_of
from memenvs.memory.three_part import CORE_SUFFIX, ThreePartMemory, cut_core


def call(name: str, **arguments: object) -> dict[str, object]:
    return {"name": name, "arguments": arguments}


def semantic(content: object) -> dict[str, object]:
    return call("new_memory_insert", memory_type="semantic_memory", content=content)


def episodic(content: str) -> dict[str, object]:
    return call("new_memory_insert", memory_type="episodic_memory", content=content)


def core(content: str) -> dict[str, object]:
    return call("memory_update", memory_type="core_memory", new_content=content)


def send(memory: ThreePartMemory, *calls: dict[str, object]) -> StepReport:
    return memory.apply(parse_operations(json.dumps(calls), "memalpha").operations)


def valid(report: StepReport) -> list[bool]:
    return [outcome.valid for outcome in report.outcomes]


def contents(memory: ThreePartMemory) -> dict[str, str]:
    return {item.id: item.content for item in memory.items}


def both() -> list[ThreePartMemory]:
    return [ThreePartMemory(rule="published"), ThreePartMemory(rule="strict")]


def test_items_say_their_part_and_when_they_were_written():
    memory = ThreePartMemory()
    assert valid(send(memory, semantic("a"), episodic("At noon, b."), semantic("c"))) == [True] * 3
    assert valid(send(memory, core("first words"))) == [True]
    report = send(
        memory,
        core("other words"),
        call("memory_update", memory_type="semantic_memory", new_content="a2", memory_id="s0.0"),
        call("memory_delete", memory_type="semantic_memory", memory_id="s0.2"),
    )
    assert valid(report) == [True] * 3
    assert [(i.id, i.content, i.step, i.created, i.tokens) for i in memory.items] == [
        ("core", "other words", 2, 1, 2),
        ("s0.0", "a2", 2, 0, 1),
        ("e0.1", "At noon, b.", 0, 0, 5),
    ]
    assert (memory.core, len(memory.semantic), len(memory.episodic), memory.tokens) == ("other words", 1, 1, 8)
    assert [part_of(item.id) for item in memory.items] == ["core", "semantic", "episodic"]


def test_a_duplicate_is_refused_in_its_own_part_only():
    for memory in both():
        report = send(memory, semantic("a"), semantic("a"), episodic("a"))
        assert valid(report) == [True, False, True]
        assert "holds this content already" in report.outcomes[1].reason
        assert len(memory) == 2


def test_an_item_is_found_in_its_own_part_only():
    for memory in both():
        send(memory, semantic("a"))
        update = call("memory_update", memory_type="episodic_memory", new_content="b", memory_id="s0.0")
        assert (
            valid(send(memory, update, call("memory_update", memory_type="semantic_memory", new_content="b")))
            == [False] * 2
        )
        send(memory, call("memory_delete", memory_type="episodic_memory", memory_id="s0.0"))
        assert contents(memory) == {"s0.0": "a"}


def test_deleting_what_is_not_there_is_valid_by_the_published_rule_alone():
    for arguments in (
        {"memory_type": "semantic_memory", "memory_id": "s9.9"},
        {"memory_type": "core_memory"},
        {"memory_type": "semantic"},
    ):
        published, strict = (send(memory, call("memory_delete", **arguments)) for memory in both())
        assert (valid(published), valid(strict)) == ([True], [False])
        assert published.changes == strict.changes == ()


def test_the_published_check_is_fooled_by_words():
    published, strict = both()
    quoting = [semantic("'status': 'skipped'"), semantic("\"x\" 'status': 'skipped'"), call("executed successfully")]
    unknown = call("memory_update", memory_type="semantic_memory", new_content="b", memory_id="executed successfully")
    # With both kinds of quotes Python escapes the single ones, and the check no longer sees its words.
    assert valid(send(published, *quoting, unknown)) == [False, True, True, True]
    assert valid(send(strict, *quoting, unknown)) == [True, True, False, False]
    assert contents(published) == contents(strict)
    assert len(published) == 2


def test_a_blank_content_is_stored_by_the_published_rule_alone():
    published, strict = both()
    assert valid(send(published, semantic(" "))) == [True]
    assert valid(send(strict, semantic(" "))) == [False]
    assert (len(published), len(strict)) == (1, 0)


def test_a_memory_without_a_core_refuses_calls_on_it():
    memory = ThreePartMemory(core=False)
    assert valid(send(memory, core("x"), call("memory_delete", memory_type="core_memory"))) == [False, False]
    assert memory.core is None
    assert ThreePartMemory().core == ""


def test_a_core_is_cut_at_512_tokens():
    words = str.split

    def count(text: str) -> int:
        return len(words(text))

    assert cut_core("w " * 512, count) == "w " * 512
    assert cut_core("w  " * 513, count) == " ".join(["w"] * 507) + CORE_SUFFIX  # the suffix has 5 words
    letters = cut_core("x" * 600, len)
    assert letters == CORE_SUFFIX  # one huge word leaves nothing
    assert cut_core("ab " * 400, len) == ("ab " * 157).rstrip() + CORE_SUFFIX  # 3 * 157 - 1 = 470 <= 512 - 40 = 472


def test_an_emptied_core_is_no_item():
    memory = ThreePartMemory()
    send(memory, core("x"))
    assert valid(send(memory, core(""))) == [True]
    assert (memory.items, memory.core, memory.tokens) == ((), "", 0)


def test_limits_hold():
    memory = ThreePartMemory(MemoryLimits(max_operations=2, max_item_tokens=3, max_tokens=5))
    report = send(memory, core("a b c d"), core("a b c"), semantic("d e f"), semantic("d e"), semantic("g"))
    assert valid(report) == [False, True, False, True, False]
    assert [outcome.reason is None for outcome in report.outcomes] == valid(report)
    assert "quota" in report.outcomes[-1].reason
    assert valid(send(memory, core("x"), episodic("y z"))) == [True, True]  # the old core's tokens are free again


def test_other_dialects_write_semantic_items_and_name_parts_by_ids():
    memory = ThreePartMemory(rule="strict")
    memory.apply([Operation("INSERT", "a"), Operation("UPDATE", "summary", "core")])
    report = memory.apply(
        [Operation("UPDATE", "b", "s0.0"), Operation("DELETE", None, "core"), Operation("DELETE", None, "9.9")]
    )
    assert valid(report) == [True, True, False]
    assert contents(memory) == {"s0.0": "b"}
    assert valid(memory.apply([Operation("SKIP"), Operation("EXPLODE")])) == [True, False]


def test_given_ids_say_the_part():
    memory = ThreePartMemory()
    memory.apply(
        [Operation("INSERT", "a"), Operation("INSERT", "a"), Operation("INSERT", "a")], ["s3.0", "e3.1", "s3.2"]
    )
    assert contents(memory) == {"s3.0": "a", "e3.1": "a"}
    with pytest.raises(SettingsError, match="insert_ids must be new"):
        memory.apply([Operation("INSERT", "b")], ["s3.0"])


def test_an_unknown_rule_is_refused():
    with pytest.raises(SettingsError, match=r"published, strict, got 'stric'. Did you mean 'strict'"):
        ThreePartMemory(rule="stric")


OPERATIONS = st.builds(
    MemoryCall,
    st.sampled_from(["INSERT", "UPDATE", "DELETE", "SKIP"]),
    st.sampled_from(["a", "b", "", " ", None]),
    st.sampled_from(["s0.0", "s1.0", "e0.0", "e1.1", "core", None]),
    st.sampled_from(["core", "semantic", "episodic"]),
    st.just("tool"),
)


@given(st.lists(st.lists(OPERATIONS, max_size=4), max_size=5), st.sampled_from(["published", "strict"]))
def test_the_transition_is_total_and_pure_and_restores(steps: list[list[MemoryCall]], rule: str):
    memory, again = ThreePartMemory(rule=rule), ThreePartMemory(rule=rule)
    for operations in steps:
        before, items, digest = memory.snapshot(), memory.items, memory.digest()
        report = memory.apply(operations)
        assert again.apply(operations) == report
        assert (again.items, again.digest()) == (memory.items, memory.digest())
        assert memory.tokens == sum(item.tokens for item in memory.items)
        assert (memory.digest() == digest) == (memory.items == items)
        if rule == "strict":
            writes = [outcome for outcome in report.outcomes if outcome.valid and outcome.op != "SKIP"]
            assert len(report.changes) <= len(writes)
        after = memory.digest()
        memory.restore(before)
        assert (memory.items, memory.digest()) == (items, digest)
        memory.apply(operations)
        assert memory.digest() == after


def test_sequences_of_calls_equal_the_published_tools(shared: Path):
    rows = (shared / "oracles/peers/memalpha_memory_ops.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, rows) if row["function"] == "memory tool sequence"]
    assert len(rows) > 50
    try:
        count = token_counter("memalpha-o200k")
    except DataError:
        count = None
    for row in rows:
        _follow(row, count)


def _follow(row: dict, count) -> None:
    """Send a row's calls; its ids are a counter, ours have the step."""
    inputs, wanted = row["inputs"], row["output"]
    if count is None and any(len(sent["arguments"]) > 300 for sent in inputs["calls"]):
        return  # the cut depends on the vocabulary
    memory = ThreePartMemory(core=inputs["including_core"], **({} if count is None else {"count": count}))
    ours: dict[str, str] = {}
    for sent, step in zip(inputs["calls"], wanted["steps"], strict=True):
        arguments = sent["arguments"]
        for theirs, mine in ours.items():
            arguments = arguments.replace(f'"{theirs}"', f'"{mine}"')
        report = send(memory, {"name": sent["name"], "arguments": arguments})
        assert valid(report) == [step["counts_as_success"]], sent
        ours |= {f"{len(ours) + 1:04}": c.after.id for c in report.changes if c.before is None and c.after.id != "core"}
    assert memory.core == wanted["core"]
    for part, items in (("semantic", memory.semantic), ("episodic", memory.episodic)):
        texts = [(theirs, content) for entry in wanted[part] for theirs, content in entry.items()]
        assert [i.id for i in items] == [ours[theirs] for theirs, _ in texts]
        assert [i.content for i in items] == [c if isinstance(c, str) else json.dumps(c) for _, c in texts]
        if any(not isinstance(content, str) for _, content in texts):
            return  # its tokens are counted in another way
    if count is not None:
        assert memory.tokens == wanted["total_length_o200k"]
