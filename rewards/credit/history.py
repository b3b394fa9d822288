"""What the operations of an episode did to its memory, worked out from the record alone: no reader, no replay.

* `Entry` - an item as it stood.
* `Write` - one INSERT, UPDATE or DELETE that was carried out.
* `StepHistory` - the memory before and after a step, and the writes between.
* `history` - all steps of an episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memenvs.errors import DataError
from memenvs.record import EpisodeRecord


class Entry(NamedTuple):
    """An item as it stood at some moment."""

    content: str
    """The text."""
    step: int
    """Step of the last write."""


class Write(NamedTuple):
    """One operation that was carried out."""

    op: str
    """INSERT, UPDATE or DELETE."""
    id: str
    """The item."""
    before: Entry | None
    """None for an INSERT."""
    after: Entry | None
    """None for a DELETE."""


class StepHistory(NamedTuple):
    """One step."""

    before: Mapping[str, Entry]
    """M_{t-1} by id, in the order of the items' INSERT."""
    writes: tuple[Write, ...]
    """What the message did, in order."""
    after: Mapping[str, Entry]
    """M_t by id."""


def history(record: EpisodeRecord) -> tuple[StepHistory, ...]:
    """The T steps of an episode, from the operations that its record calls valid.

    Raises:
        DataError: an operation is called valid and cannot have been, such as an UPDATE of an item that nothing wrote.
    """
    memory: dict[str, Entry] = {}
    steps = []
    for step in record.steps:
        before, writes = memory, []
        memory = dict(memory)
        for outcome in step.operations:
            if not outcome.valid or outcome.op == "SKIP":
                continue
            item_id = outcome.id or ""
            old = memory.pop(item_id, None) if outcome.op == "DELETE" else memory.get(item_id)
            if not item_id or (old is None) != (outcome.op == "INSERT"):
                raise DataError(
                    f"step {step.step}: the record calls {outcome.op} of item {outcome.id!r} valid, which the memory's "
                    f"{len(before)} items do not allow; a record as Episode.record makes it is expected"
                )
            new = None if outcome.op == "DELETE" else Entry(outcome.content or "", step.step)
            if new is not None:
                memory[item_id] = new
            writes.append(Write(outcome.op, item_id, old, new))
        steps.append(StepHistory(before, tuple(writes), memory))
    return tuple(steps)
