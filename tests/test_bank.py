"""The memory bank against a plain model: a list of dicts that recounts everything."""

from __future__ import annotations

import pickle
import random
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from memenvs.errors import SettingsError
from memenvs.memory import Malformed, MemoryBank, MemoryItem, MemoryLimits, Operation, count_tokens


def insert(content):
    return Operation("INSERT", content)


def update(item_id, content):
    return Operation("UPDATE", content, item_id)


def delete(item_id):
    return Operation("DELETE", id=item_id)


SKIP = Operation("SKIP")
MALFORMED = Malformed("5", "expected an object")


class Model:
    """What the bank must do, the slow way: no sharing, no running sums."""

    def __init__(self, limits):
        self.limits, self.items, self.step = limits, [], 0

    def tokens(self):
        return sum(count_tokens(item["content"]) for item in self.items)

    def apply(self, operations):
        valid, writes, inserts = [], 0, 0
        for operation in operations:
            accepted = not isinstance(operation, Malformed) and self._accepts(operation, writes)
            valid.append(accepted)
            if not accepted or operation.op == "SKIP":
                continue
            writes += 1
            if operation.op == "INSERT":
                new = {
                    "id": f"{self.step}.{inserts}",
                    "content": operation.content,
                    "step": self.step,
                    "created": self.step,
                }
                self.items.append(new)
                inserts += 1
            elif operation.op == "UPDATE":
                for item in self.items:
                    if item["id"] == operation.id:
                        item.update(content=operation.content, step=self.step)
            else:
                self.items = [item for item in self.items if item["id"] != operation.id]
        self.step += 1
        return valid

    def _accepts(self, operation, writes):
        op, limits = operation.op, self.limits
        if op == "SKIP":
            return True
        old = [item for item in self.items if item["id"] == operation.id]
        if op in ("UPDATE", "DELETE") and not old:
            return False
        if limits.max_operations is not None and writes >= limits.max_operations:
            return False
        if op == "DELETE":
            return True
        size = count_tokens(operation.content)
        if limits.max_item_tokens is not None and size > limits.max_item_tokens:
            return False
        freed = count_tokens(old[0]["content"]) if op == "UPDATE" else 0
        return limits.max_tokens is None or self.tokens() - freed + size <= limits.max_tokens

    def as_items(self):
        return tuple(MemoryItem(**item, tokens=count_tokens(item["content"])) for item in self.items)


CONTENTS = ["tea", "the blue cat", "a b c d e f g", "Mary lives in Paris, France.", "é\ud800", " x"]
ids = st.builds("{}.{}".format, st.integers(0, 5), st.integers(0, 2))
operations = st.one_of(
    st.builds(insert, st.sampled_from(CONTENTS)),
    st.builds(insert, st.sampled_from(CONTENTS)),
    st.builds(update, ids, st.sampled_from(CONTENTS)),
    st.builds(delete, ids),
    st.just(SKIP),
    st.just(MALFORMED),
)
steps = st.lists(operations, max_size=6)
limit = st.none() | st.integers(1, 12)


def assert_equal(bank, model):
    assert bank.items == model.as_items()
    assert bank.tokens == model.tokens()
    assert bank.step == model.step
    assert len(bank) == len(model.items)


def check_report(report, sent, valid, step):
    assert report.step == step
    assert [outcome.valid for outcome in report.outcomes] == valid
    for outcome, operation in zip(report.outcomes, sent, strict=True):
        assert (outcome.reason is None) == outcome.valid
        assert outcome.op == ("MALFORMED" if isinstance(operation, Malformed) else operation.op)


class BankMachine(RuleBasedStateMachine):
    """Any interleaving of steps, snapshots and restores over two banks that share their snapshots."""

    snapshots = Bundle("snapshots")

    def __init__(self):
        super().__init__()
        limits = MemoryLimits(max_operations=4, max_item_tokens=6, max_tokens=25)
        self.banks = [MemoryBank(limits), MemoryBank(limits)]
        self.models = [Model(limits), Model(limits)]

    @rule(which=st.integers(0, 1), sent=steps)
    def apply(self, which, sent):
        bank, model = self.banks[which], self.models[which]
        step, before = bank.step, bank.digest()
        report = bank.apply(sent)
        check_report(report, sent, model.apply(sent), step)
        if not report.changes:
            assert bank.digest() == before

    @rule(which=st.integers(0, 1), target=snapshots)
    def snapshot(self, which):
        model = self.models[which]
        return (
            self.banks[which].snapshot(),
            [dict(item) for item in model.items],
            model.step,
            self.banks[which].digest(),
        )

    @rule(which=st.integers(0, 1), taken=snapshots)
    def restore(self, which, taken):
        snapshot, items, step, digest = taken
        self.banks[which].restore(snapshot)
        self.models[which].items, self.models[which].step = [dict(item) for item in items], step
        assert self.banks[which].digest() == digest

    @invariant()
    def banks_equal_their_models(self):
        for bank, model in zip(self.banks, self.models, strict=True):
            assert_equal(bank, model)

    @invariant()
    def digests_are_equal_exactly_where_items_are(self):
        first, second = self.banks
        assert (first.digest() == second.digest()) == (first.items == second.items)


BankMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
TestBankMachine = BankMachine.TestCase


@settings(max_examples=100)
@given(st.builds(MemoryLimits, limit, limit, limit), st.lists(steps, max_size=6))
def test_every_combination_of_limits(limits, sent):
    bank, model = MemoryBank(limits), Model(limits)
    for step, ops in enumerate(sent):
        check_report(bank.apply(ops), ops, model.apply(ops), step)
        assert_equal(bank, model)


def test_a_long_random_run():
    rng = random.Random(5)
    bank, model, taken = MemoryBank(), Model(MemoryLimits()), []
    for step in range(300):
        known = [item.id for item in bank.items] or ["0.0"]
        ops = [
            rng.choice([insert(rng.choice(CONTENTS)), update(rng.choice(known), str(step)), delete(rng.choice(known))])
            for _ in range(rng.randrange(6))
        ]
        bank.apply(ops)
        model.apply(ops)
        assert_equal(bank, model)
        taken.append((bank.snapshot(), bank.items, bank.tokens, bank.digest()))
    for snapshot, items, tokens, digest in rng.sample(taken, 50):
        bank.restore(snapshot)
        assert (bank.items, bank.tokens, bank.digest()) == (items, tokens, digest)


def test_ids_provenance_and_order():
    bank = MemoryBank()
    bank.apply([insert("a"), MALFORMED, insert("b c")])
    bank.apply([])
    report = bank.apply([insert("d"), update("0.0", "a!"), insert("e"), delete("0.1")])
    assert [outcome.id for outcome in report.outcomes] == ["2.0", "0.0", "2.1", "0.1"]
    assert bank.items == (
        MemoryItem("0.0", "a!", step=2, created=0, tokens=2),
        MemoryItem("2.0", "d", step=2, created=2, tokens=1),
        MemoryItem("2.1", "e", step=2, created=2, tokens=1),
    )
    assert "2.0" in bank
    assert "0.1" not in bank
    assert bank["0.0"].content == "a!"


def test_changes_tell_before_and_after():
    bank = MemoryBank()
    bank.apply([insert("a")])
    (old,) = bank.items
    report = bank.apply([update("0.0", "b"), delete("0.0"), delete("0.0"), insert("c")])
    new = replace(old, content="b", step=1)
    assert report.changes == ((old, new), (new, None), (None, bank["1.0"]))


def test_an_item_may_be_changed_in_the_step_that_made_it():
    bank = MemoryBank()
    report = bank.apply([insert("a"), update("0.0", "b"), insert("c"), delete("0.1"), insert("d")])
    assert all(outcome.valid for outcome in report.outcomes)
    assert [(item.id, item.content) for item in bank.items] == [("0.0", "b"), ("0.2", "d")]


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (update("9.9", "x"), "no item has the id '9.9'; the memory holds 2 items (latest: 0.0, 0.1)"),
        (delete("9.9"), "no item has the id '9.9'"),
        (delete("y" * 500), "no item has the id 'yyy"),
        (insert("a b c d e"), "the content has 5 tokens; an item may have 4"),
        (update("0.0", "a b c d e"), "the content has 5 tokens; an item may have 4"),
        (insert("a b c d"), "the memory would have 8 tokens; its budget is 7"),
        (update("0.0", "a b c d"), None),
        (MALFORMED, "expected an object"),
        (Operation("insert", "x"), "unknown operation 'insert'"),
        (Operation("FORGET", id="0.0"), "unknown operation 'FORGET'"),
        (Operation("INSERT"), "needs a content"),
        (Operation("UPDATE", "", "0.0"), "needs a content"),
        (Operation("DELETE"), "no item has the id 'None'"),
    ],
)
def test_an_invalid_operation_changes_nothing_and_gives_its_reason(operation, reason):
    bank = MemoryBank(MemoryLimits(max_item_tokens=4, max_tokens=7))
    bank.apply([insert("a b"), insert("c d")])
    before = bank.digest()
    report = bank.apply([operation])
    (outcome,) = report.outcomes
    assert outcome.valid == (reason is None)
    if reason is not None:
        assert reason in outcome.reason
        assert len(outcome.reason) < 200
        assert report.changes == ()
        assert bank.digest() == before
    assert bank.step == 2


def test_the_quota_counts_valid_writes_only():
    bank = MemoryBank(MemoryLimits(max_operations=2))
    report = bank.apply(
        [MALFORMED, delete("9.9"), SKIP, insert("a"), SKIP, insert("b"), SKIP, insert("c"), delete("0.0")]
    )
    assert [outcome.valid for outcome in report.outcomes] == [False, False, True, True, True, True, True, False, False]
    assert "quota of 2" in report.outcomes[-1].reason
    assert bank.apply([delete("0.0")]).outcomes[0].valid


def test_the_budget_is_free_again_within_the_step():
    bank = MemoryBank(MemoryLimits(max_tokens=3))
    report = bank.apply([insert("a b c"), insert("d"), update("0.0", "a"), insert("d e"), delete("0.0"), insert("f")])
    assert [outcome.valid for outcome in report.outcomes] == [True, False, True, True, True, True]
    assert bank.tokens == 3


def test_a_token_counter_of_ones_own_decides_sizes():
    bank = MemoryBank(MemoryLimits(max_item_tokens=3), count=len)
    report = bank.apply([insert("abc"), insert("abcd")])
    assert [outcome.valid for outcome in report.outcomes] == [True, False]
    assert bank.tokens == 3


@pytest.mark.parametrize("name", ["max_operations", "max_item_tokens", "max_tokens"])
def test_limits_below_one_are_refused(name):
    with pytest.raises(SettingsError, match=f"{name} must be at least 1 or None, got 0"):
        MemoryLimits(**{name: 0})


def test_a_snapshot_is_not_touched_by_any_bank_that_shares_it():
    first, second = MemoryBank(), MemoryBank()
    first.apply([insert("a"), insert("b")])
    snapshot, digest = first.snapshot(), first.digest()
    second.restore(snapshot)
    first.apply([delete("0.0")])
    second.apply([update("0.0", "x"), insert("y")])
    assert [item.content for item in first.items] == ["b"]
    assert [item.content for item in second.items] == ["x", "b", "y"]
    third = MemoryBank()
    third.restore(snapshot)
    assert (third.digest(), [item.content for item in third.items], third.step) == (digest, ["a", "b"], 1)


@settings(max_examples=60)
@given(st.lists(steps, max_size=5), st.lists(steps, max_size=5), st.lists(steps, max_size=4))
def test_continuing_after_a_restore_equals_a_fresh_replay(before, abandoned, after):
    bank = MemoryBank()
    for ops in before:
        bank.apply(ops)
    snapshot = bank.snapshot()
    for ops in abandoned:
        bank.apply(ops)
    bank.restore(snapshot)
    reports = [bank.apply(ops) for ops in after]
    fresh = MemoryBank()
    for ops in before:
        fresh.apply(ops)
    assert [fresh.apply(ops) for ops in after] == reports
    assert fresh.items == bank.items
    assert fresh.digest() == bank.digest()


def test_the_digest_sees_content_provenance_and_ids():
    def digest(*steps):
        bank = MemoryBank()
        for ops in steps:
            bank.apply(ops)
        return bank.digest()

    base = digest([insert("a"), insert("b")])
    assert digest([insert("a"), SKIP, MALFORMED, delete("7.0"), insert("b")]) == base
    different = {
        base,
        digest([insert("b"), insert("a")]),
        digest([insert("a"), insert("b")], [update("0.0", "a")]),
        digest([insert("a"), insert("x"), insert("b")], [delete("0.1")]),
        digest([], [insert("a"), insert("b")]),
        digest([insert("a"), insert("b\ud800")]),
        digest([insert("a"), insert("b\ud801")]),
        digest([]),
    }
    assert len(different) == 8


def test_an_item_keeps_its_line_to_itself():
    item = MemoryItem("0.1", "two\nlines", 0, 0, 2)
    assert item.line == "[0.1] two\n    lines"
    twin = pickle.loads(pickle.dumps(item))
    assert twin == item == MemoryItem("0.1", "two\nlines", 0, 0, 2)
    assert "line" not in vars(twin), "it does not travel"
    assert "line" not in asdict(item)


def test_items_are_listed_once_between_writes():
    bank = MemoryBank()
    bank.apply([insert("a")])
    listed, snapshot = bank.items, bank.snapshot()
    bank.apply([SKIP])
    assert bank.items is listed
    bank.apply([insert("b")])
    assert [item.content for item in bank.items] == ["a", "b"]
    bank.restore(snapshot)
    assert bank.items == listed


def test_an_insert_that_names_an_item_leaves_that_item_alone():
    bank = MemoryBank()
    bank.apply([Operation("INSERT", "a b"), Operation("INSERT", "c", "0.0")])
    assert [(item.id, item.content) for item in bank.items] == [("0.0", "a b"), ("0.1", "c")]
    assert bank.tokens == 3
