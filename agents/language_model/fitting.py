"""Prompts that leave room for a message in the model's context.

Where the prompt that the settings ask for is too long, less memory is shown: the same rule in training, evaluation and for the
messages of a teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.base import View
from agents.language_model.model import CausalLM
from agents.language_model.prompt import PromptSettings, make_prompt
from agents.language_model.view import memory_view
from memenvs.errors import SettingsError
from memenvs.memory.tokens import count_tokens


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits."""

    tokens: tuple[int, ...]
    """Its token ids."""
    memory_tokens: int | None
    """Size of the memory view in it: that of the settings, or less."""
    shortened: bool
    """Whether it is less because the context has no room for more."""


def fit(lm: CausalLM, view: View, settings: PromptSettings, max_tokens: int) -> Fitted:
    """The prompt for a view with as much memory as the settings and the model's context allow.

    Args:
        lm: the model.
        view: what the agent sees.
        settings: of the prompt.
        max_tokens: longest message, which must fit behind the prompt.

    Returns:
        The prompt. Its memory view is that of the largest ``memory_tokens``, found by bisection, whose prompt fits. Where a model
        does not tell its context, prompts are left as they are.

    Raises:
        SettingsError: the prompt does not fit without any memory either.
    """
    tokens = lm.tokens(make_prompt(view, settings))
    if lm.context is None or len(tokens) + max_tokens <= lm.context:
        return Fitted(tokens, settings.memory_tokens, False)
    room = lm.context - max_tokens
    fits, found = 0, lm.tokens(make_prompt(view, replace(settings, memory_tokens=0)))
    if len(found) > room:
        raise SettingsError(
            f"the prompt of chunk {view.step + 1} of {view.T} has {len(found)} tokens without any memory, and beside messages of "
            f"up to {max_tokens} tokens the model's context of {lm.context} leaves it {max(0, room)}; take smaller chunks, a "
            "smaller max_tokens, or a model with a longer context"
        )
    shown = memory_view(view.memory, view.chunk, settings.memory_tokens, settings.show).shown
    too_much = sum(count_tokens(item.line) for item in shown)
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        tokens = lm.tokens(make_prompt(view, replace(settings, memory_tokens=middle)))
        if len(tokens) <= room:
            fits, found = middle, tokens
        else:
            too_much = middle
    return Fitted(found, fits, True)
