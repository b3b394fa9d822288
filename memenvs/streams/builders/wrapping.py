"""The lines around a chunk's content. Sentences are ours; line forms and dates are those of the published chunks.

* `dialogue` - the user tells facts or examples, the assistant confirms.
* `reading` - the user reads a book.
* `date` - the day of a chunk.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

START = datetime(2024, 1, 1)
"""Day of the first chunk."""

FACTS = (
    "I came across the following today:",
    "Please keep these facts in mind for later:",
    "This is what I have just read:",
    "I would like you to remember this:",
    "I learned a few things worth keeping:",
    "Have a look at this, I will come back to it:",
    "Something new for you to hold on to:",
    "I want to be able to ask you about this some day:",
)
"""How a user introduces facts."""
EXAMPLES = (
    "Learn from these examples, each with its label:",
    "I will ask you for labels like these; here are examples:",
    "Keep these labelled sentences, they show how I classify:",
    "Some sentences and the label that I give to each:",
    "Take note of which label goes with which kind of sentence:",
    "More labelled examples for you to remember:",
)
"""How a user introduces labelled examples."""
CONFIRMATIONS = (
    "Understood, I have noted it.",
    "Thank you, I will keep that.",
    "Noted, ask me whenever you like.",
    "I have it and will remember it.",
    "Good, that is stored.",
    "All right, I will know it when you ask.",
)
"""How the assistant answers."""


def date(days: int) -> datetime:
    """The day ``days`` after `START`."""
    return START + timedelta(days=days)


def dialogue(
    index: int, content: str, draw: random.Random, openings: tuple[str, ...] = FACTS, blank: bool = False
) -> str:
    """Chunk ``index`` as a dialogue of its own day.

    Args:
        index: of the chunk, from 0; it is that many days after `START`.
        content: what the user tells.
        draw: chooses the sentences around it.
        openings: what the user may say first.
        blank: an empty line before the content, as in the chunks of labelled abstracts.
    """
    opening, closing = draw.choice(openings), draw.choice(CONFIRMATIONS)
    gap = "\n\n" if blank else "\n"
    when = date(index).strftime("%Y-%m-%d %H:%M")
    return f"[Dialogue between User and Assistant on {when}]\n<User>{opening}{gap}{content}\n<Assistant>{closing}"


def reading(days: int, content: str) -> str:
    """A part of a book that the user reads ``days`` after `START`."""
    day = date(days).strftime("%Y-%m-%d")
    return (
        f"[Event happened on {day} The user is reading a book]\n<User> {content}\n\n"
        f"<System> Please remember what the user reads on {day}: keep the details and an account of the book so far."
    )
