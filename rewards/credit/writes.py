"""The operations of a finished episode that can write, as a replay carries them out again."""

from __future__ import annotations

from memenvs.episode import EpisodeSettings
from memenvs.errors import DataError
from memenvs.memory import Operation, parse_operations
from memenvs.memory.architectures import FLAT
from memenvs.memory.memalpha_calls import CORE, SEMANTIC, MemoryCall, new_item_id, part_of
from memenvs.memory.operations import Malformed
from memenvs.record import EpisodeRecord, StepRecord

Writes = tuple[list[Operation], list[str]]
"""Operations of one step, and the id of each INSERT among them: the one that its item had, or one that no operation names."""


def writes_of(record: EpisodeRecord, settings: EpisodeSettings) -> list[Writes]:
    """Per step the operations that can write.

    These are the INSERTs, the operations on items that the episode ever held and, in a three-part memory, those on the core.

    Args:
        record: a finished episode.
        settings: its settings.

    Raises:
        DataError: a message of an episode with a three-part memory has other operations than the record says.
    """
    inserts = [o for step in record.steps for o in step.operations if o.op == "INSERT" and o.id is not None]
    if settings.memory == FLAT:
        written = {o.id for o in inserts if o.valid}
        return [_flat(step, written) for step in record.steps]
    # Mem-alpha's published rule counts some INSERTs as invalid that were carried out; one that was refused has no id.
    written = {o.id for o in inserts}
    return [_three_part(step, written, settings.dialect) for step in record.steps]


def _flat(step: StepRecord, written: set[str | None]) -> Writes:
    operations: list[Operation] = []
    ids: list[str] = []
    for n, outcome in enumerate(step.operations):
        if outcome.op == "INSERT":
            operations.append(Operation("INSERT", outcome.content))
            ids.append(outcome.id or f"{step.step}.refused{n}")
        elif outcome.op in ("UPDATE", "DELETE") and outcome.id in written:
            operations.append(Operation(outcome.op, outcome.content, outcome.id))
    return operations, ids


def _three_part(step: StepRecord, written: set[str | None], dialect: str) -> Writes:
    """From the message, since an outcome does not say which part an operation meant."""
    sent = parse_operations(step.message, dialect, step.chunk).operations if step.operations else ()
    if len(sent) != len(step.operations):
        raise DataError(
            f"the message of step {step.step} has {len(sent)} operations, the record says {len(step.operations)}; "
            "give a record as Episode.record made it"
        )
    operations: list[Operation] = []
    ids: list[str] = []
    for n, (operation, outcome) in enumerate(zip(sent, step.operations, strict=True)):
        if isinstance(operation, Malformed) or operation.op == "SKIP":
            continue
        if operation.op == "INSERT":
            part = operation.kind if isinstance(operation, MemoryCall) else SEMANTIC
            operations.append(operation)
            ids.append(outcome.id or f"{new_item_id(part, step.step, n)}.refused")
            continue
        part = operation.kind if isinstance(operation, MemoryCall) else part_of(operation.id or "")
        if part == CORE or operation.id in written:
            operations.append(operation)
    return operations, ids
