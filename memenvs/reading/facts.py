"""The symbolic reader of fact lists: it follows the newest facts among its items."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from memenvs.reading.base import Answer, Reading
from memenvs.reading.fact_paths import best_path, by_subject
from memenvs.streams.facts import Fact, facts_in, newest


class FactReader:
    """Answers from the newest facts (`memenvs.streams.facts`) that its items hold, over one hop or several.

    It starts from the longest subjects that the question names and follows facts along the relations that the question's
    words name (`memenvs.reading.fact_words`), at most four hops. Of two facts with one relation and subject the one of the
    larger serial number counts; where items have no numbers, the one retrieved first. The items cited are those of the facts
    on the path. It never sees references. Same input, same answer, in every process. Safe to share between threads.
    """

    name = "facts"

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """Answer each reading, in order; ``Answer("", ())`` where no fact is to the point. Never raises."""
        found = []
        for reading in readings:
            text, places = _answer(reading.question, tuple(content for _, content in reading.items))
            found.append(Answer(text, tuple(reading.items[place][0] for place in places)))
        return found


@lru_cache(maxsize=4096)
def _answer(question: str, texts: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """Answer and positions of the items used."""
    places: dict[Fact, int] = {}
    for place, text in enumerate(texts):
        for fact in facts_in(text):
            places.setdefault(fact, place)
    # In the order of numbers: that of retrieval decides nothing where there are some.
    path = best_path(question, by_subject(newest(places).values()))
    if path is None:
        return "", ()
    return path.facts[-1].value, tuple(sorted({places[fact] for fact in path.facts}))
