"""What a manager sees of a three-part memory before it writes."""

from __future__ import annotations

from memenvs.memory.bank import MemoryItem
from memenvs.memory.three_part import ThreePartMemory

SHOWN = 5
"""Items of each part that the published manager sees."""


def manager_view(memory: ThreePartMemory, last: int = SHOWN, max_chars: int | None = None) -> str:
    """The core in full and the last items of the other parts, with a line that says how many there are.

    Args:
        memory: the memory.
        last: items shown of each part.
        max_chars: longest text. Where it is exceeded, ``last`` is halved down to 0, as in the published training; what is still
            too long is cut.

    Source: wangyu-ustc/Mem-alpha@9c0e1f6: memory.py (render_system_prompt, the part about the memory), generation.py (halving).
    """
    text = _view(memory, last)
    while max_chars is not None and len(text) > max_chars and last > 0:
        last //= 2
        text = _view(memory, last)
    return text if max_chars is None else text[:max_chars]


def _view(memory: ThreePartMemory, last: int) -> str:
    parts = [] if memory.core is None else [f"<core_memory>\n{memory.core}\n</core_memory>"]
    parts.append(_items("semantic_memory", memory.semantic, last))
    parts.append(_items("episodic_memory", memory.episodic, last))
    return "\n\n".join(parts)


def _items(name: str, items: tuple[MemoryItem, ...], last: int) -> str:
    shown = items[max(0, len(items) - last) :]
    lines = "\n".join(item.line for item in shown) or "Empty."
    header = f"(Only show the most recent {len(shown)} out of {len(items)} memories)"
    return f"<{name}> {header}\n{lines}\n</{name}>"
