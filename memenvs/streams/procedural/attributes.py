"""What a fact can be about: an attribute of a person or a place, its values and its two surface forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Form:
    """One way of putting an attribute into words. ``{s}`` is the subject, ``{v}`` the value, ``{o}`` the old value."""

    fact: str
    """First mention."""
    now: str
    """Update that only gives the new value."""
    instead: str
    """Update that gives both values."""
    global_question: str
    """How the final questions ask for it."""
    chunk_question: str
    """How chunk questions ask for it: other words, so that nothing is learnt by heart."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property that a subject has exactly one value of at any time."""

    name: str
    subject: Literal["person", "place"]
    values: tuple[str, ...]
    forms: tuple[Form, Form]
