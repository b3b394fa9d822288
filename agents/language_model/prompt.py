"""The prompt of one step, the same in training, evaluation and behind an endpoint.

* `PromptSettings` - what may be chosen about it.
* `make_prompt` - what an agent sees, as a `Prompt`. Nothing else makes prompts.

Its order is instructions, chunk, memory, request. The rollouts of a group see the same chunk at a step and different memories, so
their prompts begin alike up to the memory, and a model reads this beginning once for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.base import View
from agents.language_model.formats import PROMPTED, format_text, tools_of, tools_text
from agents.language_model.view import SHOW, memory_view
from memenvs.errors import SettingsError, did_you_mean, whole
from memenvs.memory.dialects_sentences import numbered
from memenvs.memory.operations import MEMALPHA, SENTENCES

_TASK = """You keep a memory of a long text that comes in chunks. Each chunk is shown once. After the last one, somebody answers \
questions about all of them and sees nothing but items found in your memory by their words.

At each step, compare the chunk with the memory and decide what to write, what to correct and what to drop:
- Write what may be asked for later: names, numbers, dates, events, stated facts, labelled examples. Leave out small talk.
- One fact, one item, understandable by itself: names instead of pronouns.
- Where the chunk changes what an item says, update this item instead of adding another one.
- Delete items that are wrong or useless now.
All operations of a step stand in one reply."""
_REQUEST = "Reply with the operations for this chunk."


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What may be chosen about prompts."""

    dialect: str = "json"
    """Dialect of the messages, one of `PROMPTED`; the environment must read the same."""
    memory_tokens: int | None = 2048
    """Most tokens of memory shown, words and punctuation marks; None shows all of it."""
    show: str = "alike"
    """Which items are shown where not all fit, see `agents.language_model.view.SHOW`."""
    max_operations: int | None = None
    """Writes per step that the environment accepts; told to the model. None: no limit, nothing told. The others likewise."""
    max_item_tokens: int | None = None
    """Tokens of one item."""
    memory_budget: int | None = None
    """Tokens of the whole memory."""
    task: str = _TASK
    """The instructions, all but the format of a message."""

    def __post_init__(self) -> None:
        if self.dialect not in PROMPTED:
            raise SettingsError(
                f"no prompt for the dialect {self.dialect!r}; known: {', '.join(PROMPTED)}."
                f"{did_you_mean(str(self.dialect), PROMPTED)}"
            )
        if self.show not in SHOW:
            raise SettingsError(f"show must be one of {', '.join(SHOW)}, got {self.show!r}")
        for name, least in (("memory_tokens", 0), ("max_operations", 1), ("max_item_tokens", 1), ("memory_budget", 1)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole(name, value, least, " or None"))


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked at one step."""

    instructions: str
    """The same at every step."""
    request: str
    """Chunk, memory, and what is wanted."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tools of the dialect in OpenAI's format."""

    def messages(self, tools: bool, system: bool = True) -> list[dict[str, str]]:
        """The conversation.

        Args:
            tools: whether the tools are given beside the messages; otherwise the instructions describe them.
            system: whether instructions may be a message of the role "system"; otherwise they begin the user's.
        """
        instructions = self.instructions
        if self.tools and not tools:
            instructions += "\n\n" + tools_text(self.tools)
        if system:
            return [{"role": "system", "content": instructions}, {"role": "user", "content": self.request}]
        return [{"role": "user", "content": f"{instructions}\n\n{self.request}"}]


def make_prompt(view: View, settings: PromptSettings = PromptSettings()) -> Prompt:
    """The prompt for what an agent sees: a pure function, equal views give equal bytes."""
    chunk = numbered(view.chunk) if settings.dialect == SENTENCES else view.chunk
    when = "" if view.timestamp is None else f" ({view.timestamp})"
    shown = memory_view(view.memory, view.chunk, settings.memory_tokens, settings.show)
    sections = (
        f"# Chunk {view.step + 1} of {view.T}{when}\n{chunk}",
        f"# Memory\n{shown.text(parts=settings.dialect == MEMALPHA)}",
        f"# Now\n{_REQUEST}",
    )
    instructions = "\n\n".join(filter(None, (settings.task, _limits(settings), format_text(settings.dialect))))
    return Prompt(instructions, "\n\n".join(sections), tools_of(settings.dialect))


def _limits(settings: PromptSettings) -> str:
    told = (
        ("Operations in one reply", settings.max_operations),
        ("Tokens of one item", settings.max_item_tokens),
        ("Tokens of the whole memory", settings.memory_budget),
    )
    lines = [f"- {name}: at most {value}" for name, value in told if value is not None]
    head = "Limits (a word or a punctuation mark is one token; what exceeds them is refused):"
    return "\n".join([head, *lines]) if lines else ""
