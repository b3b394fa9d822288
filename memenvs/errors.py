"""Errors that memenvs raises, all under one root so that callers can catch them together.

Each message says what was expected, what came and the way out.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any


class MemenvsError(Exception):
    """Root of every error raised on purpose by memenvs."""


class DataError(MemenvsError):
    """A data source cannot be opened or a record in it is malformed."""


class SettingsError(MemenvsError, ValueError):
    """An argument has a value that cannot work."""


class EpisodeError(MemenvsError, RuntimeError):
    """An episode was driven out of order (for instance ``act`` after the end)."""


class ReaderError(MemenvsError):
    """A reader could not answer. It becomes ``info["failure"]``, never a score of 0."""


class ScorerError(MemenvsError):
    """A prediction cannot be scored under the chosen profile."""


def whole(name: str, value: Any, least: int, otherwise: str = "") -> int:
    """``value`` as an int; ``otherwise`` says in the message what else is allowed.

    Raises:
        SettingsError: it is no whole number, or below ``least``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise SettingsError(f"{name} must be a whole number{otherwise}, got {value!r}")
    if number < least:
        raise SettingsError(f"{name} must be at least {least}{otherwise}, got {number}")
    return number


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or the empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
