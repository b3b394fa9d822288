"""Text views: the memory as the agent sees it, and an episode for people.

* `render_memory`, `render_bank` - the memory as one text, for observations.
* `render_episode` - where an episode stands, for ``render_mode="ansi"``: plain text, at most `WIDTH` columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from memenvs.episode import Episode
from memenvs.memory.bank import MemoryBank, MemoryItem, OperationOutcome
from memenvs.memory.three_part import ThreePartMemory
from memenvs.memory.three_part_view import manager_view
from memenvs.record import ReadingRecord, StepRecord

WIDTH = 100
"""Columns of `render_episode`."""
_LONGEST = 600
"""Characters of one text that are shown to people."""


def render_memory(items: Sequence[MemoryItem], max_chars: int) -> str:
    """One line ``[id] content`` per item in INSERT order.

    Where the text would exceed ``max_chars``, the oldest items are left out and the first line says how many; hidden items keep
    their ids and can still be updated or deleted.
    """
    shown: list[str] = []
    room = max_chars + 1  # the last line has no line break behind it
    for item in reversed(items):  # what does not fit is not even looked at
        line = item.line
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    else:
        return "\n".join(reversed(shown))
    room += len(line) + 1 - 61  # for the line about what is hidden
    while room < 0 and shown:
        room += len(shown.pop()) + 1
    hidden = f"({len(items) - len(shown)} older items are not shown)"
    return "\n".join([hidden[:max_chars], *reversed(shown)])


def render_bank(bank: MemoryBank, max_chars: int) -> str:
    """The memory as its manager sees it: `render_memory`, or `manager_view` for a memory of three parts."""
    if isinstance(bank, ThreePartMemory):
        return manager_view(bank, max_chars=max_chars)
    return render_memory(bank.items, max_chars)


def render_episode(episode: Episode) -> str:
    """Where the episode stands, for a person.

    Returns:
        Lines of at most `WIDTH` columns: the step just finished (chunk, operations with validity and reasons, chunk questions),
        the memory with what that step changed (``+`` inserted, ``~`` updated, ``-`` deleted), and the next chunk or, at the end,
        each global question with prediction, references, score, the items retrieved and the ones that answered it.
    """
    lines = _wrapped(f"step {episode.step}/{episode.T}  ", f"stream {episode.stream.id}, {_size(episode)}")
    if episode.failure is not None:
        lines += _wrapped("READER FAILED: ", episode.failure)
    last = episode.steps[-1] if episode.steps else None
    if last is not None:
        lines += ["", _rule(f"chunk {last.step} (processed, {last.chunk_tokens} tokens)"), *_wrapped("  ", last.chunk)]
        lines += ["", _rule("operations"), *_operations(last)]
        if last.readings:
            lines += [
                "",
                _rule("chunk questions"),
                *(line for reading in last.readings for line in _reading(reading, None)),
            ]
    lines += ["", _rule("memory"), *_memory(episode, last)]
    if not episode.done:
        chunk = episode.observe()
        when = f", {chunk.timestamp}" if chunk.timestamp else ""
        lines += ["", _rule(f"chunk {chunk.step} (next{when})"), *_wrapped("  ", chunk.chunk)]
        return "\n".join(lines)
    record = episode.record()
    memory = {item.id: item for item in record.memory}
    lines += ["", _rule(f"questions: r_global = {record.r_global:.3f}")]
    for number, reading in enumerate(record.questions, 1):
        lines += [*_reading(reading, number), *_provenance(reading, memory)]
    return "\n".join(lines)


def _size(episode: Episode) -> str:
    budget = episode.settings.limits.max_tokens
    return f"memory {len(episode.bank)} items, {episode.bank.tokens}{f'/{budget}' if budget else ''} tokens"


def _rule(title: str) -> str:
    return f"--- {title} ".ljust(WIDTH, "-")[:WIDTH]


def _wrapped(prefix: str, text: str) -> list[str]:
    """``text`` folded and wrapped behind ``prefix``; what is too long or unprintable is shown in short."""
    shown = " ".join(text.split())
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]} ... ({len(text)} characters)"
    # Lone surrogates cannot be printed, and a message must not steer the terminal.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    indent = " " * min(len(prefix), 30)
    return textwrap.wrap(shown, WIDTH, initial_indent=prefix, subsequent_indent=indent) or [prefix.rstrip()]


def _operations(step: StepRecord) -> Iterator[str]:
    if step.error is not None:
        yield from _wrapped("  no operations: ", step.error)
    for outcome in step.operations:
        sign = "ok " if outcome.valid else "BAD"
        target = f" [{outcome.id}]" if outcome.id is not None else ""
        yield from _wrapped(f"  {sign} {outcome.op}{target[:40]} ", outcome.content or "")
        if outcome.reason is not None:
            yield from _wrapped("      because ", outcome.reason)


def _memory(episode: Episode, last: StepRecord | None) -> Iterator[str]:
    written = _written(last.operations) if last is not None else {}
    items = {item.id: item for item in episode.bank.items}
    if not items and not written:
        yield "  (empty)"
    for item in items.values():
        ops = written.get(item.id, [])
        sign = "+" if "INSERT" in ops else "~" if "UPDATE" in ops else " "
        provenance = f"step {item.step}" if item.step == item.created else f"step {item.step}, from {item.created}"
        yield from _wrapped(f"{sign} [{item.id}] ", f"{item.content} ({provenance}; {item.tokens} tokens)")
        if sign == "~":
            yield from _wrapped("    was ", _content_before(episode, item.id))
    for item_id, ops in written.items():
        if item_id not in items and "INSERT" not in ops:
            yield from _wrapped(f"- [{item_id}] ", _content_before(episode, item_id))


def _written(operations: Sequence[OperationOutcome]) -> dict[str, list[str]]:
    """Valid writes by item."""
    found: dict[str, list[str]] = {}
    for outcome in operations:
        if outcome.valid and outcome.id is not None:
            found.setdefault(outcome.id, []).append(outcome.op)
    return found


def _content_before(episode: Episode, item_id: str) -> str:
    """What the item held before the last step: its latest valid write in the steps before that."""
    for step in reversed(episode.steps[:-1]):
        for outcome in reversed(step.operations):
            if outcome.valid and outcome.id == item_id:
                return outcome.content or ""
    return ""


def _reading(reading: ReadingRecord, number: int | None) -> Iterator[str]:
    score = " fail" if reading.score is None else f"{reading.score:5.2f}"
    lead = "" if number is None else f"{number:3}. "
    yield from _wrapped(f"{lead}{score}  ", reading.question)
    yield from _wrapped(
        "         said ", "(the reader failed)" if reading.prediction is None else reading.prediction or "(nothing)"
    )
    yield from _wrapped("       wanted ", " | ".join(reading.references))


def _provenance(reading: ReadingRecord, memory: dict[str, MemoryItem]) -> Iterator[str]:
    for item_id in reading.evidence_ids:
        yield from _wrapped(f"         from [{item_id}] ", f"{memory[item_id].content} (step {memory[item_id].step})")
    retrieved = ", ".join(f"{r.id} ({r.score:.2f})" for r in reading.retrieved)
    yield from _wrapped("    retrieved ", retrieved or "(nothing)")
