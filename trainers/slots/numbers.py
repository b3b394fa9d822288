"""Which values of the slots read which number: a number that was given and that nobody reads is refused."""

from __future__ import annotations

from typing import TypeAlias

from memenvs.errors import SettingsError
from trainers.slots.choices import SLOTS, Slots

Ways: TypeAlias = tuple[dict[str, tuple[str, ...]], ...]
"""Combinations of slot -> values, of which one has to hold."""
_COMPARING = tuple(name for name in SLOTS["advantage"] if name not in ("whiten", "gae"))
"""Advantages that look at baselines; the others look at no number of the group slot."""
_PENALTY: Ways = ({"regulariser": tuple(name for name in SLOTS["regulariser"] if name != "none")},)
_SPREAD: Ways = ({"advantage": ("zscore", "decoupled", "turn_outcome", "alpha_mix")}, {"mix": ("gdpo",)})
READ_BY: dict[str, Ways] = {
    "clip_low": ({"ratio": ("ppo", "gspo", "decoupled")}, {"ratio": ("cispo",), "cap": ("range",)}),
    "clip_high": ({"ratio": SLOTS["ratio"]},),
    "cap": ({"ratio": ("cispo",)},),
    "beta": _PENALTY,
    "reset_every": _PENALTY,
    "reset_above": _PENALTY,
    "gamma": ({"advantage": ("whiten", "gae")}, {"group": ("state",), "advantage": _COMPARING}),
    "lam": ({"advantage": ("gae",)},),
    "alpha": ({"advantage": ("turn_outcome", "alpha_mix")},),
    "omega": ({"group": ("state", "local", "tree"), "advantage": _COMPARING},),
    "ddof": _SPREAD,
    "eps": (*_SPREAD, {"advantage": ("published",)}),
}
"""Number -> what the slots must be for it to be read: any one of these."""


def check_numbers(slots: Slots) -> None:
    """See that every number that was given is read.

    Args:
        slots: as they were given; what the preset says is not looked at.

    Raises:
        SettingsError: a number would be ignored, or what `Slots.filled` says.
    """
    filled = slots.filled
    unread: dict[str, list[str]] = {}
    for number, ways in READ_BY.items():
        if getattr(slots, number) is not None and not any(
            all(getattr(filled, slot) in values for slot, values in way.items()) for way in ways
        ):
            unread.setdefault(", or ".join(map(_told, ways)), []).append(number)
    if unread:
        raise SettingsError(
            "; ".join(
                f"{' and '.join(numbers)} would not be used: take the {ways}, or leave {' and '.join(numbers)} out"
                for ways, numbers in unread.items()
            )
        )


def _told(way: dict[str, tuple[str, ...]]) -> str:
    return " with the ".join(f"{slot} {'|'.join(values)}" for slot, values in way.items())
