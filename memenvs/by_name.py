"""Classes and functions of a user's own, named as text."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from memenvs.errors import SettingsError


def import_by_name(name: str, called: str, expected: str) -> Any:
    """What ``"module:attribute"`` names; the module is installed or in the current directory.

    Args:
        name: as given.
        called: what the setting is called in messages, such as "the reward".
        expected: what belongs there, such as "a class around the environment".

    Raises:
        SettingsError: it cannot be imported, whatever went wrong (its cause), or is nothing that can be called.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # a module may do anything when it is imported
        raise SettingsError(
            f"{called} {name!r} cannot be imported: {type(error).__name__}: {error}; expected module:name, {expected}, the module "
            "installed or in the current directory"
        ) from error
    if not callable(found):
        raise SettingsError(f"{called} {name!r} is {type(found).__name__}; expected {expected}")
    return found
