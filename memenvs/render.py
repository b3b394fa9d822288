"""Text views: the memory as the agent sees it, and an episode for people."""

from __future__ import annotations

from collections.abc import Sequence

from memenvs.episode import Episode
from memenvs.memory.bank import MemoryItem


def render_memory(items: Sequence[MemoryItem], max_chars: int) -> str:
    """One line ``[id] content`` per item in INSERT order.

    Where the text would exceed ``max_chars``, the oldest items are left out and the first line says how many; hidden items keep
    their ids and can still be updated or deleted.
    """
    lines = [f"[{item.id}] {item.content}" for item in items]
    text = "\n".join(lines)
    if len(text) <= max_chars:
        return text
    room = max_chars - 60
    shown: list[str] = []
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    return "\n".join([f"({len(lines) - len(shown)} older items are not shown)"[:max_chars], *reversed(shown)])


def render_episode(episode: Episode) -> str:
    """The episode's state for a person."""
    return render_memory(episode.bank.items, 1 << 30)
