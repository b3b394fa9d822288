"""Options for language models that manage a memory: what a person sets about them on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from memenvs.errors import SettingsError
from trainers.chat_template import template_arguments
from trainers.extra_parameters import with_extra
from trainers.reader_settings import REPLIES

_PREFIX = "manager_"


class ManagerOptions(TypedDict, total=False):
    """Of agents ``endpoint:ADDRESS`` and ``lm:MODEL``.

    What is left out is as in `memenvs.endpoint.ChatSettings`, and as the folder of a model says.
    """

    manager_temperature: float
    """Of lm: and endpoint: managers: of sampling, repeatable by ``seed`` with lm: (0 if not given: the most probable tokens)."""
    manager_dtype: Literal["float32", "bfloat16", "float16"]
    """Of lm: managers: of the weights (that of the training; float32 where a model does not say)."""
    manager_chat_template: Path
    """Of lm: managers: file of Jinja text to write prompts with, for a tokenizer that has no chat template. Without this, thinking
    and system the tokenizer's, off and on, or as the folder's prompt.json says."""
    manager_thinking: Literal["on", "off"]
    """Of lm: managers: whether a model that can think first may; told to the chat template as enable_thinking."""
    manager_system: Literal["on", "off"]
    """Of lm: and endpoint: managers: whether the chat template knows the role "system"; where it does not (Gemma), instructions
    begin the user's message."""
    manager_max_tokens: int
    """Of endpoint: managers: longest message."""
    manager_extra: str
    """Of endpoint: managers: more parameters of the requests, a JSON object such as
    {"chat_template_kwargs": {"enable_thinking": false}}; null leaves temperature or max_tokens out, for models that refuse them."""
    manager_concurrency: int
    """Of endpoint: managers: requests under way at a time, and streams played side by side (8 if not given)."""
    manager_timeout: float
    """Of endpoint: managers: seconds for one try."""
    manager_patience: float
    """Of endpoint: managers: seconds that the server may be out of reach before a stream fails."""
    manager_requests_per_minute: int
    """Of endpoint: managers: most requests begun in a minute."""
    manager_tokens_per_minute: int
    """Of endpoint: managers: most tokens in a minute."""
    manager_price_in: float
    """Of endpoint: managers: price of a million tokens read."""
    manager_price_out: float
    """Of endpoint: managers: price of a million tokens written."""
    manager_cache: Path
    """Of endpoint: managers: file that keeps their messages; replies.sqlite in the folder if not given."""


_BOTH = frozenset({"manager_temperature", "manager_system"})
_LOADED = frozenset({"manager_dtype", "manager_chat_template", "manager_thinking"})


def check_managers(names: Sequence[str], options: ManagerOptions) -> None:
    """See that options are for one of the agents.

    Args:
        names: of the agents.
        options: those that were given.

    Raises:
        SettingsError: there is no agent for one of them.
    """
    named = {kind for kind in ("lm", "endpoint") if any(name.startswith(f"{kind}:") for name in names)}
    for kind in ("lm", "endpoint"):
        strange = [name for name in options if name not in _BOTH and (name in _LOADED) == (kind == "lm")]
        if strange and kind not in named:
            raise SettingsError(f"{_flags(strange)}: only agents {kind}:... take it, and none is named")
    if not named and (both := sorted(_BOTH & options.keys())):
        raise SettingsError(f"{_flags(both)}: only agents lm:... and endpoint:... take it, and none is named")


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def manager_arguments(name: str, options: ManagerOptions, folder: Path) -> dict[str, Any]:
    """Arguments of `agents.base.make_agent` for a language model.

    Args:
        name: of the agent.
        options: those that were given.
        folder: of the evaluation; keeps what a server replied.

    Raises:
        DataError: the chat template cannot be read.
        SettingsError: the extra parameters do not fit.
    """
    loaded = name.startswith("lm:")
    own = {
        key.removeprefix(_PREFIX): value for key, value in options.items() if key in _BOTH or (key in _LOADED) == loaded
    }
    own |= template_arguments(own)
    return own if loaded else {"cache": folder / REPLIES} | with_extra(own, "manager")
