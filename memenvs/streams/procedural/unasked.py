"""The sixteen attributes that no global question asks about: as well formed as the others, and of no use."""

from __future__ import annotations

from typing import Literal

from memenvs.streams.procedural import vocabulary as words
from memenvs.streams.procedural.asked import PEOPLE_NAMED
from memenvs.streams.procedural.attributes import Attribute, Form


def _form(before: str, verb: str, after: str, question: str) -> Form:
    """``before verb after`` with the updates derived; ``after`` holds ``{v}``."""
    # "is" takes its adverb behind it, a full verb in front of it.
    now = f"{verb} now" if verb in ("is", "are") else f"now {verb}"
    never = f"{verb} no longer" if verb in ("is", "are") else f"no longer {verb}"
    old = after.replace("{v}", "{o}")
    return Form(
        f"{before} {verb} {after}",
        f"{before} {now} {after}",
        f"{before} {never} {old} but {after} instead",
        question,
        question,
    )


def _attribute(name: str, subject: Literal["person", "place"], values: tuple[str, ...], a: Form, b: Form) -> Attribute:
    return Attribute(name, subject, values, (a, b))


UNASKED = (
    _attribute(
        "instrument",
        "person",
        words.INSTRUMENTS,
        _form("{s}", "plays", "the {v}", "What does {s} play?"),
        _form("the instrument of {s}", "is", "the {v}", "What is the instrument of {s}?"),
    ),
    _attribute(
        "language",
        "person",
        words.LANGUAGES,
        _form("{s}", "learns", "{v}", "What does {s} learn?"),
        _form("the evening course of {s}", "is", "in {v}", "In what is the evening course of {s}?"),
    ),
    _attribute(
        "car",
        "person",
        words.COLOURS,
        _form("the car of {s}", "is", "{v}", "What colour is the car of {s}?"),
        _form("the colour of the car of {s}", "is", "{v}", "What is the colour of the car of {s}?"),
    ),
    _attribute(
        "shoes",
        "person",
        words.SHOE_SIZES,
        _form("{s}", "wears", "shoes in size {v}", "Which size of shoes does {s} wear?"),
        _form("the shoe size of {s}", "is", "{v}", "What is the shoe size of {s}?"),
    ),
    _attribute(
        "hobby",
        "person",
        words.HOBBIES,
        _form("the hobby of {s}", "is", "{v}", "What is the hobby of {s}?"),
        _form("the pastime of {s}", "is", "{v}", "What is the pastime of {s}?"),
    ),
    _attribute(
        "drink",
        "person",
        words.DRINKS,
        _form("{s}", "drinks", "{v} at breakfast", "What does {s} drink at breakfast?"),
        _form("the breakfast beverage of {s}", "is", "{v}", "What is the breakfast beverage of {s}?"),
    ),
    _attribute(
        "allergy",
        "person",
        words.ALLERGENS,
        _form("{s}", "is", "allergic to {v}", "What is {s} allergic to?"),
        _form("the allergy of {s}", "is", "to {v}", "What is the allergy of {s}?"),
    ),
    _attribute(
        "flowers",
        "person",
        words.FLOWERS,
        _form("{s}", "grows", "{v} on the balcony", "What does {s} grow on the balcony?"),
        _form("the balcony flowers of {s}", "are", "{v}", "What are the balcony flowers of {s}?"),
    ),
    _attribute(
        "commute",
        "person",
        words.VEHICLES,
        _form("{s}", "commutes", "by {v}", "How does {s} commute?"),
        _form("the commute of {s}", "is", "by {v}", "How is the commute of {s}?"),
    ),
    _attribute(
        "team",
        "person",
        words.TEAMS,
        _form("{s}", "supports", "the {v}", "Which team does {s} support?"),
        _form("the team of {s}", "is", "the {v}", "What is the team of {s}?"),
    ),
    _attribute(
        "holiday",
        "person",
        words.COASTS,
        _form("{s}", "spends", "the holidays in {v}", "Where does {s} spend the holidays?"),
        _form("the holiday destination of {s}", "is", "{v}", "What is the holiday destination of {s}?"),
    ),
    _attribute(
        "lucky",
        "person",
        words.SMALL_NUMBERS,
        _form("the lucky number of {s}", "is", "{v}", "What is the lucky number of {s}?"),
        _form("{s}", "finds", "luck in the number {v}", "In which number does {s} find luck?"),
    ),
    _attribute(
        "closed",
        "place",
        words.WEEKDAYS,
        _form("the {s}", "is", "closed on {v}", "When is the {s} closed?"),
        _form("the rest day of the {s}", "is", "{v}", "When is the rest day of the {s}?"),
    ),
    _attribute(
        "walls",
        "place",
        words.COLOURS,
        _form("the walls of the {s}", "are", "{v}", "What colour are the walls of the {s}?"),
        _form("the wall colour at the {s}", "is", "{v}", "What is the wall colour at the {s}?"),
    ),
    _attribute(
        "seats",
        "place",
        words.SMALL_NUMBERS,
        _form("the {s}", "seats", "{v} guests", "How many guests does the {s} seat?"),
        _form("the number of seats in the {s}", "is", "{v}", "What is the number of seats in the {s}?"),
    ),
    _attribute(
        "founder",
        "place",
        PEOPLE_NAMED,
        _form("the {s}", "is", "a creation of {v}", "Whose creation is the {s}?"),
        _form("the founder of the {s}", "is", "{v}", "Who is the founder of the {s}?"),
    ),
)
