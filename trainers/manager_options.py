"""Options for language models that manage a memory: what a person sets about them on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from memenvs.errors import SettingsError
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
    manager_max_tokens: int
    """Of endpoint: managers: longest message."""
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


_BOTH = frozenset({"manager_temperature"})
_LOADED = frozenset({"manager_dtype"})


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
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
            raise SettingsError(f"{flags}: only agents {kind}:... take it, and none is named")
    if not named and _BOTH & options.keys():
        raise SettingsError("--manager-temperature: only agents lm:... and endpoint:... take it, and none is named")


def manager_arguments(name: str, options: ManagerOptions, folder: Path) -> dict[str, Any]:
    """Arguments of `agents.base.make_agent` for a language model.

    Args:
        name: of the agent.
        options: those that were given.
        folder: of the evaluation; keeps what a server replied.
    """
    loaded = name.startswith("lm:")
    own = {
        key.removeprefix(_PREFIX): value for key, value in options.items() if key in _BOTH or (key in _LOADED) == loaded
    }
    return own if loaded else {"cache": folder / REPLIES} | own
