"""More parameters of the requests to a model, as a command line says them: one JSON object.

* `canonical` - the same text for the same object.
* `with_extra` - settings of a model at an address, or of a local: one, with what the object says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memenvs.errors import SettingsError

LEFT_OUT = ("temperature", "max_tokens")
"""Parameters that null leaves out of every request, for models that refuse them."""
TEMPLATE = "chat_template_kwargs"
"""The parameter that a local: reader takes, too."""


def canonical(text: str, whose: str) -> str | None:
    """One spelling of an object, so that settings which say the same are equal; None for an empty one.

    Args:
        text: JSON.
        whose: "reader", "manager" or "judge", for messages.

    Raises:
        SettingsError: it is no JSON object.
    """
    try:
        given = json.loads(text, parse_constant=_refused)
        if not isinstance(given, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        expected = """a JSON object, such as '{"chat_template_kwargs": {"enable_thinking": false}}'"""
        raise SettingsError(
            f"extra parameters of the {whose} must be {expected}, got {text[:120]!r}: {error}"
        ) from error
    return json.dumps(given, sort_keys=True) if given else None


def with_extra(given: Mapping[str, Any], whose: str, local: bool = False) -> dict[str, Any]:
    """Settings of `memenvs.endpoint.ChatSettings`, or of `memenvs.reading.local_settings.LocalSettings`.

    Args:
        given: settings, among them ``extra`` as JSON, if it was given.
        whose: "reader", "manager" or "judge", for messages.
        local: whether it is for a local: reader.

    Returns:
        The settings, with ``extra`` as they take it, and None for those of `LEFT_OUT` that are null in it; of a local: reader with
        ``chat_template_kwargs``.

    Raises:
        SettingsError: ``extra`` is no JSON object, holds what a local: reader does not take, or leaves out what is given.
    """
    others = {name: value for name, value in given.items() if name != "extra"}
    extra = json.loads(canonical(given.get("extra", "{}"), whose) or "{}")
    if local:
        if (strange := sorted(extra.keys() - {TEMPLATE})) or not isinstance(extra.get(TEMPLATE, {}), dict):
            what = ", ".join(strange) or f"{TEMPLATE} that is no object"
            raise SettingsError(f"extra parameters of a local: {whose} are {TEMPLATE}, an object, alone; got {what}")
        return others | extra
    dropped = left_out(given.get("extra", "{}"))
    if both := [name for name in dropped if name in others]:
        raise SettingsError(
            f"extra parameters of the {whose} leave out {' and '.join(both)} (null), which is given as well; give one of the two "
            "(what a run was trained with counts; --extra '{}' takes none of its extra parameters)"
        )
    sent = {name: value for name, value in extra.items() if name not in dropped}
    return others | dict.fromkeys(dropped) | ({"extra": sent} if sent else {})


def left_out(extra: str) -> list[str]:
    """Those of `LEFT_OUT` that are null in extra parameters; none where these are no JSON object."""
    try:
        found = json.loads(extra)
    except (ValueError, RecursionError):
        return []
    return [name for name in LEFT_OUT if isinstance(found, dict) and name in found and found[name] is None]


def _refused(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")
