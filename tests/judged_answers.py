"""Answers as judges see them."""

from trainers.slots.judging import Judged


def judged(*texts, **fields):
    """Answers with a value of each field."""
    return [Judged(text, **{name: values[i] for name, values in fields.items()}) for i, text in enumerate(texts)]
