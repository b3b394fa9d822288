"""Arms whose episodes earlier commands left in the folder: they stand in the same table, scored under the same rules.

The folder's mark says that they were played on the same streams, with the same settings and the same reader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from memenvs.errors import MemenvsError
from trainers.suites.arms_list import ARMS, SHUFFLED, find_arm
from trainers.suites.kept import KeptRecords
from trainers.suites.plan import DEFAULT_REFERENCE


@dataclass(frozen=True, slots=True)
class Earlier:
    """An arm of an earlier command."""

    kept: KeptRecords
    """Its episodes."""
    kind: str
    """As `trainers.suites.arms_list.Arm.kind`."""
    note: str
    """One sentence for the table."""
    size_of: str | None
    """Whose memory size it got, if it needs one."""


def earlier_arms(folder: Path, now: Collection[str]) -> dict[str, Earlier]:
    """What the folder holds beside the arms of this command, in the order of `ARMS`, others first.

    Args:
        folder: of the evaluation; its mark was checked.
        now: file names of the arms of this command.
    """
    found: dict[str, tuple[int, Earlier]] = {}
    order = list(ARMS)
    for path in sorted((folder / "records").glob("*.jsonl")):
        if path.stem in now:
            continue
        kept = KeptRecords(path)
        first = next(iter(kept), None)
        if first is None:
            continue
        arm = str(first.settings.get("arm"))
        kind, note, sized = _about(arm)
        size_of = path.stem.partition("@")[2] or DEFAULT_REFERENCE if sized else None
        found[path.stem] = order.index(arm) if arm in ARMS else -1, Earlier(kept, kind, note, size_of)
    return {name: found[name][1] for name in sorted(found, key=lambda name: (found[name][0], name))}


def told(earlier: Mapping[str, Earlier], counts: Mapping[str, int], streams: int) -> Iterator[str]:
    """What stands below the table.

    Args:
        earlier: the arms.
        counts: arm -> its episodes.
        streams: how many there should be.
    """
    if not earlier:
        return
    names = ", ".join(f"{name} (size of {arm.size_of})" if arm.size_of else name for name, arm in earlier.items())
    yield f"from earlier commands in this folder, scored again with the others; name them to ask open questions again: {names}"
    few = ", ".join(f"{name} {counts[name]}" for name in earlier if counts[name] < streams)
    if few:
        yield f"not on all {streams} streams: {few}; named again, an arm goes on or says why it cannot"


def _about(arm: str) -> tuple[str, str, bool]:
    """Kind and note of an arm, and whether it needs a memory size."""
    try:
        found = find_arm(arm)
    except MemenvsError:  # the folder of a run that is not there any more; its episodes are
        kind = "control" if arm.startswith(f"{SHUFFLED}:") else "agent"
        return kind, f"{arm}, which is not there any more", False
    return found.kind, found.note, found.needs_budget
