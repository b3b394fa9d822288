"""The eight attributes that questions ask about. An agent has to find out which these are."""

from __future__ import annotations

from memenvs.streams.procedural import vocabulary as words
from memenvs.streams.procedural.attributes import Attribute, Form

PEOPLE_NAMED = tuple(f"{a} {b}" for a, b in zip(words.FIRST_NAMES[::3], words.LAST_NAMES[1::2], strict=False))
"""Values that are people; a stream drops those who share a name with its own cast."""

ASKED = (
    Attribute(
        "residence",
        "person",
        words.CITIES,
        (
            Form(
                "{s} lives in {v}",
                "{s} now lives in {v}",
                "{s} no longer lives in {o} but in {v} instead",
                "In which city does {s} live?",
                "Where does {s} live?",
            ),
            Form(
                "the home of {s} is in {v}",
                "the home of {s} is now in {v}",
                "the home of {s} is no longer in {o} but in {v} instead",
                "Which town is the home of {s}?",
                "Where is the home of {s}?",
            ),
        ),
    ),
    Attribute(
        "job",
        "person",
        words.JOBS,
        (
            Form(
                "{s} works as a {v}",
                "{s} now works as a {v}",
                "{s} no longer works as a {o} but as a {v} instead",
                "What does {s} work as?",
                "What kind of work does {s} do?",
            ),
            Form(
                "the occupation of {s} is {v}",
                "the occupation of {s} is now {v}",
                "the occupation of {s} is no longer {o} but {v} instead",
                "What is the occupation of {s}?",
                "Which occupation does {s} have?",
            ),
        ),
    ),
    Attribute(
        "pet",
        "person",
        words.PETS,
        (
            Form(
                "{s} keeps a {v} as a pet",
                "{s} now keeps a {v} as a pet",
                "{s} no longer keeps a {o} as a pet but a {v} instead",
                "What does {s} keep as a pet?",
                "Which pet does {s} keep?",
            ),
            Form(
                "the animal that {s} owns is a {v}",
                "the animal that {s} owns is now a {v}",
                "the animal that {s} owns is no longer a {o} but a {v} instead",
                "Which animal does {s} own?",
                "What animal belongs to {s}?",
            ),
        ),
    ),
    Attribute(
        "checkup",
        "person",
        words.DATES,
        (
            Form(
                "the checkup of {s} is on {v}",
                "the checkup of {s} is now on {v}",
                "the checkup of {s} is no longer on {o} but on {v} instead",
                "When is the checkup of {s}?",
                "On which date is the checkup of {s}?",
            ),
            Form(
                "{s} sees the doctor on {v}",
                "{s} now sees the doctor on {v}",
                "{s} no longer sees the doctor on {o} but on {v} instead",
                "When does {s} see the doctor?",
                "On what day does {s} see the doctor?",
            ),
        ),
    ),
    Attribute(
        "dish",
        "person",
        words.DISHES,
        (
            Form(
                "the favourite dish of {s} is {v}",
                "the favourite dish of {s} is now {v}",
                "the favourite dish of {s} is no longer {o} but {v} instead",
                "What is the favourite dish of {s}?",
                "Which dish is the favourite of {s}?",
            ),
            Form(
                "the food that {s} likes most is {v}",
                "the food that {s} likes most is now {v}",
                "the food that {s} likes most is no longer {o} but {v} instead",
                "What food does {s} like most?",
                "Which food does {s} like most of all?",
            ),
        ),
    ),
    Attribute(
        "locker",
        "person",
        words.NUMBERS,
        (
            Form(
                "the locker of {s} is number {v}",
                "the locker of {s} is now number {v}",
                "the locker of {s} is no longer number {o} but number {v} instead",
                "What is the locker number of {s}?",
                "Which number does the locker of {s} have?",
            ),
            Form(
                "{s} stores belongings in box {v}",
                "{s} now stores belongings in box {v}",
                "{s} no longer stores belongings in box {o} but in box {v} instead",
                "In which box does {s} store belongings?",
                "What box does {s} use to store belongings?",
            ),
        ),
    ),
    Attribute(
        "opening",
        "place",
        words.TIMES,
        (
            Form(
                "the {s} opens at {v}",
                "the {s} now opens at {v}",
                "the {s} no longer opens at {o} but at {v} instead",
                "At what time does the {s} open?",
                "When does the {s} open?",
            ),
            Form(
                "the doors of the {s} are unlocked at {v}",
                "the doors of the {s} are now unlocked at {v}",
                "the doors of the {s} are no longer unlocked at {o} but at {v} instead",
                "At what time are the doors of the {s} unlocked?",
                "When are the doors of the {s} unlocked?",
            ),
        ),
    ),
    Attribute(
        "manager",
        "place",
        PEOPLE_NAMED,
        (
            Form(
                "the {s} is run by {v}",
                "the {s} is now run by {v}",
                "the {s} is no longer run by {o} but by {v} instead",
                "Who runs the {s}?",
                "By whom is the {s} run?",
            ),
            Form(
                "the manager of the {s} is {v}",
                "the manager of the {s} is now {v}",
                "the manager of the {s} is no longer {o} but {v} instead",
                "Who is the manager of the {s}?",
                "What is the name of the manager of the {s}?",
            ),
        ),
    ),
)
