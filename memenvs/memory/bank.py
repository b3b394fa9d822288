"""The memory: flat items with provenance and the transition M_t = T(M_{t-1}, P_t).

The transition is pure in effect (same memory, same operations, same result), total (no operation raises) and
deterministic (ids are ``step.n``). An invalid operation changes nothing and is reported with its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from memenvs.errors import SettingsError, whole
from memenvs.memory.operations import OPERATION_NAMES, Malformed, Operation
from memenvs.memory.tokens import TokenCounter, count_tokens

_HASH_MODULUS = 1 << 256


@dataclass(frozen=True)
class MemoryItem:
    """One entry of the memory."""

    id: str
    """``"step.n"``: the n-th INSERT of step ``step``; never used twice in an episode."""
    content: str
    """The text."""
    step: int
    """Step of the last write (INSERT or UPDATE)."""
    created: int
    """Step of the INSERT."""
    tokens: int
    """Token count of ``content``, counted once."""

    @cached_property
    def line(self) -> str:
        """``[id] content``, further lines indented: the item as agents see it. Kept, as it is shown at every step."""
        return f"[{self.id}] " + self.content.replace("\n", "\n    ")

    def __reduce__(self) -> tuple[type[MemoryItem], tuple[object, ...]]:
        return MemoryItem, (self.id, self.content, self.step, self.created, self.tokens)  # without the line


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What the memory accepts. None means no limit."""

    max_operations: int | None = None
    """Writes (INSERT, UPDATE, DELETE) per step; those beyond it are invalid."""
    max_item_tokens: int | None = None
    """Tokens of one item; a longer content is invalid."""
    max_tokens: int | None = None
    """Tokens of the whole memory; a write that would exceed it is invalid."""

    def __post_init__(self) -> None:
        for name in ("max_operations", "max_item_tokens", "max_tokens"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole(name, value, 1, " or None"))


@dataclass(frozen=True, slots=True)
class OperationOutcome:
    """What became of one operation."""

    op: str
    """INSERT, UPDATE, DELETE, SKIP, or MALFORMED for an entry that is no operation."""
    id: str | None
    """The item concerned; for a valid INSERT the new id."""
    content: str | None
    """The content sent, if any (for MALFORMED the entry itself)."""
    valid: bool
    """Whether it was carried out."""
    reason: str | None = None
    """Why not, and what was expected."""


class Change(NamedTuple):
    """One item before and after; an index follows these."""

    before: MemoryItem | None
    """None for an INSERT."""
    after: MemoryItem | None
    """None for a DELETE."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step's operations did."""

    step: int
    """The step they belong to."""
    outcomes: tuple[OperationOutcome, ...]
    """One per operation, in order."""
    changes: tuple[Change, ...]
    """The writes carried out, in order."""


class BankSnapshot(NamedTuple):
    """State of a `MemoryBank`, immutable and self-contained: restore it into any bank, in any process."""

    items: dict[str, MemoryItem]
    """Shared with the bank until its next write; treat as read-only."""
    step: int
    tokens: int
    hash: int


def _item_hash(item: MemoryItem) -> int:
    text = f"{item.id}\0{item.step}\0{item.created}\0{item.content}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")


class MemoryBank:
    """A flat memory.

    Args:
        limits: what is accepted; everything by default.
        count: token counter used for item sizes, the budget and the compression reward.

    `snapshot` is O(1): the item table is shared and copied (pointers only) at the next write. `digest` is O(1): the sum of
    the items' hashes is kept up to date.
    """

    def __init__(self, limits: MemoryLimits = MemoryLimits(), count: TokenCounter = count_tokens) -> None:
        self.limits = limits
        self._count = count
        self._items: dict[str, MemoryItem] = {}
        self._listed: tuple[MemoryItem, ...] | None = ()
        self._shared = False
        self._hash = 0
        self.step = 0
        """The step that the next `apply` belongs to."""
        self.tokens = 0
        """Sum of the items' token counts."""

    @property
    def items(self) -> tuple[MemoryItem, ...]:
        """All items in the order of their INSERT."""
        if self._listed is None:
            self._listed = tuple(self._items.values())
        return self._listed

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def __getitem__(self, item_id: str) -> MemoryItem:
        return self._items[item_id]

    def apply(self, operations: Iterable[Operation | Malformed], insert_ids: Iterable[str] | None = None) -> StepReport:
        """Carry out one step's operations in order and move on to the next step.

        Args:
            operations: P_t, for instance ``parse_operations(text).operations``.
            insert_ids: one id per INSERT among the operations, carried out or not, for a replay in which items keep the ids they
                once had; by default ids count the INSERTs carried out.

        Returns:
            A `StepReport`; nothing is raised for any operation.

        Raises:
            SettingsError: ``insert_ids`` are not one new id per INSERT; nothing has changed then.
        """
        operations = list(operations)
        given_ids = None if insert_ids is None else iter(self._new_ids(insert_ids, operations))
        outcomes: list[OperationOutcome] = []
        changes: list[Change] = []
        inserted = 0
        for operation in operations:
            if isinstance(operation, Malformed):
                outcomes.append(OperationOutcome("MALFORMED", None, operation.text, False, operation.reason))
                continue
            op, item_id, content = operation.op, operation.id, operation.content
            # What an INSERT calls its item is not asked for: the id is the memory's to give.
            item = self._items.get(item_id) if item_id is not None and op != "INSERT" else None
            tokens = self._count(content) if content is not None else 0
            reason = self._refusal(operation, item, tokens, len(changes))
            new_id = next(given_ids) if given_ids is not None and op == "INSERT" else f"{self.step}.{inserted}"
            if reason is None and op != "SKIP":
                if op == "INSERT":
                    item_id = new_id
                    inserted += 1
                    after = MemoryItem(item_id, content or "", self.step, self.step, tokens)
                elif op == "UPDATE" and item is not None:
                    after = MemoryItem(item.id, content or "", self.step, item.created, tokens)
                else:
                    after = None
                change = Change(item, after)
                self._write(change)
                changes.append(change)
            outcomes.append(OperationOutcome(op, item_id, content, reason is None, reason))
        report = StepReport(self.step, tuple(outcomes), tuple(changes))
        self.step += 1
        return report

    def _new_ids(self, insert_ids: Iterable[str], operations: list[Operation | Malformed]) -> list[str]:
        ids = list(insert_ids)
        inserts = sum(isinstance(operation, Operation) and operation.op == "INSERT" for operation in operations)
        if len(ids) != inserts or len(set(ids)) < inserts:
            raise SettingsError(f"insert_ids must be different ids, one for each of {inserts} INSERTs, got {ids}")
        if taken := [item_id for item_id in ids if item_id in self._items]:
            raise SettingsError(f"insert_ids must be new, but the memory holds {taken}")
        return ids

    def _refusal(self, operation: Operation, item: MemoryItem | None, tokens: int, writes: int) -> str | None:
        """Why an operation is invalid, or None."""
        op, limits = operation.op, self.limits
        if op == "SKIP":
            return None
        # What follows from here on also holds for operations that no parser has seen.
        if op not in OPERATION_NAMES:
            return f"unknown operation {op!r}; known: {', '.join(OPERATION_NAMES)}"
        if op in ("INSERT", "UPDATE") and not operation.content:
            return f"{op} needs a content that is not empty"
        if limits.max_operations is not None and writes >= limits.max_operations:
            return f"over the quota of {limits.max_operations} operations a step"
        if op in ("UPDATE", "DELETE") and item is None:
            known = ", ".join(list(self._items)[-3:]) or "none yet"
            return (
                f"no item has the id {str(operation.id)[:40]!r}; the memory holds {len(self)} items (latest: {known})"
            )
        if op == "DELETE":
            return None
        if limits.max_item_tokens is not None and tokens > limits.max_item_tokens:
            return f"the content has {tokens} tokens; an item may have {limits.max_item_tokens}"
        total = self.tokens - (item.tokens if item is not None and op == "UPDATE" else 0) + tokens
        if limits.max_tokens is not None and total > limits.max_tokens:
            return f"the memory would have {total} tokens; its budget is {limits.max_tokens}: DELETE or UPDATE first"
        return None

    def _write(self, change: Change) -> None:
        if self._shared:
            self._items = dict(self._items)
            self._shared = False
        self._listed = None
        before, after = change
        if before is not None:
            self.tokens -= before.tokens
            self._hash -= _item_hash(before)
            if after is None:
                del self._items[before.id]
        if after is not None:
            self.tokens += after.tokens
            self._hash += _item_hash(after)
            self._items[after.id] = after
        self._hash %= _HASH_MODULUS

    def snapshot(self) -> BankSnapshot:
        """The state as an immutable value, in O(1)."""
        self._shared = True
        return BankSnapshot(self._items, self.step, self.tokens, self._hash)

    def restore(self, snapshot: BankSnapshot) -> None:
        """Return to a state taken by `snapshot`, of this bank or of another one."""
        self._items, self.step, self.tokens, self._hash = snapshot
        self._shared, self._listed = True, None

    def digest(self) -> str:
        """SHA-256-based hash of all items with their provenance: equal memories, equal digests, whatever the process."""
        return f"{self._hash:064x}"
