r"""How Mem-alpha cuts dated sessions of a conversation into chunks: LongMemEval, in training and in its copy of MemoryAgentBench.

Source: wangyu-ustc/Mem-alpha@9c0e1f6, process_data.py (process_lme_train_dataset and process_memory_agent_bench).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from memenvs.memory.tokens import TokenCounter

_BREAK = re.compile(r"(?<=[.!?])\s+")
_SLACK = 150
"""Tokens kept free for the heading when a long turn is cut."""
_NEARLY = 1800
"""A chunk of at least so many tokens is closed."""

Turn = tuple[str, str]
"""(role, content)."""


def session_chunks(
    dates: Sequence[str], sessions: Sequence[Sequence[Mapping[str, str]]], count: TokenCounter, most: int = 2048
) -> list[str]:
    """Chunks of whole segments; a segment is a run of turns of one session under the session's date.

    Chunks aim at 1,800 to ``most`` tokens. Some exceed it: a long sentence that follows another one in a long turn is not cut,
    and a user's turn that is moved on, to stand before its reply, is not counted with it. The published code only warns.

    Args:
        dates: one per session.
        sessions: turns with ``role`` and ``content``.
        count: token counter; the published sets were cut by ``token_counter("qwen")``'s kind.
        most: tokens per chunk.

    Raises:
        ValueError: not as many dates as sessions.
    """
    chunks: list[str] = []
    chunk = ""
    for date, session in zip(dates, sessions, strict=True):
        turns = [(turn["role"], turn["content"]) for turn in session]
        for segment in _segments(date, turns, count, most):
            candidate = f"{chunk}\n\n{segment}" if chunk else segment
            tokens = count(candidate)
            if tokens > most:
                if chunk:
                    chunks.append(chunk)
                chunk = segment
            elif tokens >= _NEARLY:
                chunks.append(candidate)
                chunk = ""
            else:
                chunk = candidate
    return [*chunks, chunk] if chunk else chunks


def _spoken(turn: Turn) -> str:
    role, content = turn
    return f"<{role.capitalize()}>{content}"


def _rendered(date: str, turns: Sequence[Turn]) -> str:
    return "\n".join([f"[Dialogue at timestamp {date}]", *map(_spoken, turns)])


def _segments(date: str, turns: Sequence[Turn], count: TokenCounter, most: int) -> list[str]:
    """Runs of turns within ``most`` tokens; a user's turn is not left at a run's end, away from its reply."""
    segments: list[str] = []
    run: list[Turn] = []
    for turn in (part for whole in turns for part in _parts(whole, count, most - _SLACK)):
        if count(_rendered(date, [*run, turn])) <= most:
            run.append(turn)
            continue
        moved = [run.pop()] if len(run) > 1 and run[-1][0].lower() == "user" else []
        if run:
            segments.append(_rendered(date, run))
        run = [*moved, turn]
    return [*segments, _rendered(date, run)] if run else segments


def _parts(turn: Turn, count: TokenCounter, most: int) -> Iterator[Turn]:
    """The turn, cut between sentences where it has more than ``most`` tokens."""
    role, content = turn
    if count(_spoken(turn)) <= most:
        yield turn
        return
    held = ""
    for sentence in _BREAK.split(content):
        longer = f"{held} {sentence}" if held else sentence
        if count(_spoken((role, longer))) <= most:
            held = longer
        elif held:
            # Not looked at again: a sentence beyond ``most`` stays whole here.
            yield role, held.strip()
            held = sentence
        else:
            *full, held = _word_runs(role, sentence.split(), count, most)
            yield from ((role, run.strip()) for run in full)
    if held:
        yield role, held.strip()


def _word_runs(role: str, words: Sequence[str], count: TokenCounter, most: int) -> list[str]:
    """The words of one sentence in runs of at most ``most`` tokens; the last run may be empty."""
    runs = [""]
    for word in words:
        longer = f"{runs[-1]} {word}" if runs[-1] else word
        if count(_spoken((role, longer))) <= most or not runs[-1]:
            runs[-1] = longer
        else:
            runs.append(word)
    return runs
