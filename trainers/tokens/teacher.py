"""A scripted teacher for the warm start: what it would write, as rows for a language model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium as gym

from agents.base import Agent, View
from agents.language_model.policy import LanguageModelPolicy
from agents.language_model.spoken import THOUGHT
from agents.language_model.view import memory_view
from memenvs.errors import SettingsError
from memenvs.memory import MemoryItem, parse_operations
from memenvs.memory.dialects import write_operations
from memenvs.memory.dialects_sentences import span_of
from memenvs.memory.operations import Operation
from trainers.tokens.rows import TokenRow


def teacher_rows(
    env: gym.Env[Any, Any],
    teacher: Agent,
    policy: LanguageModelPolicy,
    seeds: Iterable[int],
    progress: Callable[[], None] = lambda: None,
) -> list[TokenRow]:
    """Play a teacher and keep what it wrote at each step, in the policy's dialect.

    Args:
        env: reads the policy's dialect.
        teacher: writes native JSON.
        policy: makes the prompts that it is going to be trained and asked with.
        seeds: of the streams.
        progress: called after each stream.

    Returns:
        One row per step: the policy's prompt and the teacher's message with the token that ends it.

    Raises:
        SettingsError: the teacher's message is none that the dialect can say, or the tokenizer has no token that ends a message.
    """
    end = policy.lm.tokenizer.eos_token_id
    if end is None:
        raise SettingsError("the tokenizer has no end-of-sequence token, so a model could not learn when to stop")
    rows = []
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        teacher.reset(seed, env.unwrapped.episode.stream)  # type: ignore[attr-defined]
        while True:
            view = View.of(observation, info)
            parsed = parse_operations(teacher.act(observation, info))
            written = [one for one in parsed.operations if isinstance(one, Operation)]
            if parsed.error is not None or len(written) < len(parsed.operations):
                raise SettingsError(
                    f"the teacher {teacher.name!r} must write operations in native JSON, got: {parsed.error or parsed.operations}"
                )
            prompt = policy.fit(view)
            shown = memory_view(view.memory, view.chunk, prompt.memory_tokens, policy.prompt.show).shown
            operations = [seen for one in written if (seen := _seen(one, shown)) is not None]
            operations.sort(key=lambda operation: _place(operation, view.chunk))
            message = write_operations(operations, policy.prompt.dialect, view.chunk)
            said = f"{THOUGHT}\n\n{message}" if policy.lm.thinks(prompt.tokens) else message
            completion = policy.lm.tokenizer(said, add_special_tokens=False)["input_ids"]
            rows.append(TokenRow(prompt.tokens, (*completion, end)))
            if view.step + 1 == view.T:
                break  # the last step would only put the questions to the reader
            observation, _, _, _, info = env.step(message)
        progress()
    return rows


def sayable(rows: Sequence[TokenRow], max_tokens: int) -> list[TokenRow]:
    """The rows whose message a model can write to its end; of the others it would learn nothing but to be cut off.

    Args:
        rows: of `teacher_rows`.
        max_tokens: longest message of the model.

    Raises:
        SettingsError: there is none.
    """
    kept = [row for row in rows if len(row.completion) <= max_tokens]
    if len(kept) < len(rows):
        longest = max(len(row.completion) for row in rows)
        told = f"{len(rows) - len(kept)} of the teacher's {len(rows)} messages are longer than max_tokens={max_tokens}, the "
        told += f"longest has {longest} tokens"
        if not kept:
            raise SettingsError(f"{told}: nothing is left to learn from. Set max_tokens to {longest}")
        warnings.warn(f"{told}: they are left out of the warm start", stacklevel=3)
    return kept


def _seen(operation: Operation, shown: Sequence[MemoryItem]) -> Operation | None:
    """The operation as far as the prompt shows what it names: nobody learns to name an id that is not there.

    An UPDATE of an item that is hidden becomes an INSERT, a DELETE of one is left out.
    """
    if operation.id is None or any(item.id == operation.id for item in shown):
        return operation
    return Operation("INSERT", operation.content) if operation.op == "UPDATE" else None


def _place(operation: Operation, chunk: str) -> tuple[int, int]:
    """Deletions first, then what is written in the order of the chunk: an order that can be foreseen is learnt sooner."""
    if operation.content is None:
        return 0, 0
    span = span_of(operation.content, chunk)
    return 1, span[0] if span else 0
