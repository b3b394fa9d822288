"""Mem-alpha's memory: a short core text, semantic items, episodic items.

* `ThreePartMemory` - the memory and its transition, beside the flat `MemoryBank`.
* `cut_core` - how a core text that is too long is shortened.

Items are those of the flat memory, so that rewards, credit and readers take them as they are: the core is one item with the id
"core", semantic items have ids ``"s" + step.n``, episodic ones ``"e" + step.n``. The published ids are four random characters, of
which two may be alike.

Source: wangyu-ustc/Mem-alpha@9c0e1f6: memory.py (the memory), functions.py (tools), generation.py (what counts as success).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.bank import Change, MemoryBank, MemoryItem, MemoryLimits, OperationOutcome, StepReport
from memenvs.memory.memalpha_calls import CORE, EPISODIC, KINDS, SEMANTIC, FailedCall, MemoryCall, new_item_id, part_of
from memenvs.memory.operations import Malformed, Operation
from memenvs.memory.tokens import TokenCounter, count_tokens

CORE_TOKENS = 512
"""Most tokens of the core."""
CORE_SUFFIX = " [content exceeds 512 tokens, truncated]"
"""End of a core that was cut."""
RULES = ("published", "strict")
"""What counts as a valid operation, see `ThreePartMemory`."""
_SUCCESS, _SKIPPED = "executed successfully", "'status': 'skipped'"


def cut_core(content: str, count: TokenCounter) -> str:
    """A core text of at most `CORE_TOKENS` tokens.

    A longer one keeps as many of its first words as leave room for `CORE_SUFFIX`, single spaces between them. One huge word
    leaves nothing but the suffix.

    Args:
        content: the text.
        count: token counter; more words must not count fewer tokens. The published one is o200k.
    """
    if count(content) <= CORE_TOKENS:
        return content
    words = content.split()
    room = CORE_TOKENS - count(CORE_SUFFIX)
    # The published code drops one word at a time; a search by halves gives the same text.
    kept = bisect_right(range(len(words)), room, key=lambda n: count(" ".join(words[:n]))) - 1
    return (" ".join(words[:kept]) if words else content) + CORE_SUFFIX


class ThreePartMemory(MemoryBank):
    """A core text of at most 512 tokens, semantic items and episodic items.

    It takes the calls of the dialect "memalpha" and the operations of the others: there an INSERT is semantic, and an item's id
    says its part. A core that is too long is cut (`cut_core`), an INSERT of what its part holds already is refused, and an item is
    found in its own part only.

    Rules:

    * ``"published"``: valid is what the published check counts as success, its mistakes included. A DELETE of an id that is not
      there is valid. A blank content is stored. The check looks for words in the tool's answer: a content that quotes the answer to
      a refused INSERT is stored and counts as invalid, and a tool's name or an item's id may pretend success.
    * ``"strict"``: valid is what was carried out, as in the flat memory, and a blank content is refused.

    Args:
        limits: as for `MemoryBank`; none in the published code.
        count: token counter for sizes and for the core's limit.
        rule: one of `RULES`.
        core: whether there is a core; without one every call on it is invalid.

    Raises:
        SettingsError: unknown rule.
    """

    def __init__(
        self,
        limits: MemoryLimits = MemoryLimits(),
        count: TokenCounter = count_tokens,
        rule: str = "published",
        core: bool = True,
    ) -> None:
        if rule not in RULES:
            raise SettingsError(
                f"rule must be one of {', '.join(RULES)}, got {rule!r}.{did_you_mean(str(rule), RULES)}"
            )
        super().__init__(limits, count)
        self.rule, self.has_core = rule, core

    @property
    def items(self) -> tuple[MemoryItem, ...]:
        """The core, if there is any, then semantic and episodic items in the order of their INSERT."""
        if self._listed is None:
            self._listed = tuple(sorted(self._items.values(), key=lambda item: KINDS.index(part_of(item.id))))
        return self._listed

    @property
    def core(self) -> str | None:
        """The core's text, "" where nothing was written; None for a memory without a core."""
        if not self.has_core:
            return None
        return self._items[CORE].content if CORE in self._items else ""

    @property
    def semantic(self) -> tuple[MemoryItem, ...]:
        """Semantic items in the order of their INSERT."""
        return tuple(item for item in self.items if part_of(item.id) == SEMANTIC)

    @property
    def episodic(self) -> tuple[MemoryItem, ...]:
        """Episodic items in the order of their INSERT."""
        return tuple(item for item in self.items if part_of(item.id) == EPISODIC)

    def apply(self, operations: Iterable[Operation | Malformed], insert_ids: Iterable[str] | None = None) -> StepReport:
        """Carry out one step's operations in order and move on to the next step; see `MemoryBank.apply`.

        With ``insert_ids`` the id of an INSERT says its part.
        """
        operations = list(operations)
        given = None if insert_ids is None else iter(self._new_ids(insert_ids, operations))
        outcomes: list[OperationOutcome] = []
        changes: list[Change] = []
        inserted = 0
        for operation in operations:
            if isinstance(operation, Malformed):
                outcomes.append(self._malformed(operation))
                continue
            new_id = next(given) if given is not None and operation.op == "INSERT" else None
            part = self._part(operation, new_id)
            if new_id is None:
                new_id = new_item_id(part, self.step, inserted)
            outcome, change = self._carry_out(operation, part, new_id, len(changes))
            outcomes.append(outcome)
            if change is not None:
                self._write(change)
                changes.append(change)
                inserted += change.before is None and part != CORE
        report = StepReport(self.step, tuple(outcomes), tuple(changes))
        self.step += 1
        return report

    @staticmethod
    def _part(operation: Operation, new_id: str | None) -> str:
        if new_id is not None:
            return part_of(new_id)
        if isinstance(operation, MemoryCall):
            return operation.kind
        return SEMANTIC if operation.op == "INSERT" or operation.id is None else part_of(operation.id)

    def _malformed(self, entry: Malformed) -> OperationOutcome:
        tool = entry.tool if isinstance(entry, FailedCall) else ""
        return OperationOutcome("MALFORMED", None, entry.text, self._counts(tool, False), entry.reason)

    def _counts(self, answer: str, done: bool) -> bool:
        """Whether an operation is valid; ``answer`` is what of the sender's words the published tool's answer repeats."""
        if self.rule == "strict":
            return done
        return (done or _SUCCESS in answer) and _SKIPPED not in answer

    def _carry_out(
        self, operation: Operation, part: str, new_id: str, writes: int
    ) -> tuple[OperationOutcome, Change | None]:
        op, content = operation.op, operation.content
        tool = operation.tool if isinstance(operation, MemoryCall) else ""
        if op == "SKIP":
            return OperationOutcome(op, operation.id, content, self._counts(tool, True)), None
        # What an INSERT calls its item is not asked for: the id is the memory's to give.
        item_id = CORE if part == CORE else None if op == "INSERT" else operation.id
        item = self._items.get(item_id) if item_id is not None and part_of(item_id) == part else None
        if part == CORE and content is not None:
            content = cut_core(content, self._count)
        tokens = self._count(content) if content is not None else 0
        reason = self._why_not(operation, part, item, content, tokens, writes)
        if reason is not None:
            unknown = op == "UPDATE" and item is None and part != CORE
            valid = self._counts(tool + (repr(operation.id) if unknown else ""), False)
            return OperationOutcome(op, item_id, operation.content, valid, reason), None
        if op == "DELETE" or (part == CORE and not content):  # an empty core is none
            change = None if item is None else Change(item, None)
            return OperationOutcome(op, item_id, operation.content, self._counts(tool, True)), change
        if op == "INSERT":
            item_id = new_id
        assert item_id is not None
        created = self.step if item is None else item.created
        change = Change(item, MemoryItem(item_id, content or "", self.step, created, tokens))
        valid = self._counts(tool + repr({item_id: content}), True)
        reason = None if valid else "carried out; the published check takes its words for those of a refusal"
        return OperationOutcome(op, item_id, operation.content, valid, reason), change

    def _why_not(
        self, operation: Operation, part: str, item: MemoryItem | None, content: str | None, tokens: int, writes: int
    ) -> str | None:
        """Why nothing is done, or None."""
        op = operation.op
        if part == CORE and not self.has_core:
            return "this memory has no core"
        if op == "DELETE" and item is None and (self.rule == "published" or part == CORE):
            return None if self.rule == "published" else "the core is empty already"
        if op == "INSERT" and part == CORE:
            return "the core cannot be inserted; UPDATE it"
        if op == "INSERT" and any(i.content == content and part_of(i.id) == part for i in self._items.values()):
            return f"the {part} memory holds this content already"
        blank = not (content or "").strip()
        if op in ("INSERT", "UPDATE") and blank and (self.rule == "strict" or content is None):
            return f"{op} needs a content that is not empty"
        # The rest is as in the flat memory; a first core is like an INSERT there, and a blank content like any other.
        like = "INSERT" if part == CORE and item is None else op
        return self._refusal(Operation(like, content or " ", operation.id), item, tokens, writes)
