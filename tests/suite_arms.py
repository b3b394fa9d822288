"""Small streams and a reader that notes what it is shown, for the tests of arms."""

from __future__ import annotations

from memenvs.memory.tokens import search_tokens
from memenvs.reading import Answer, Reading
from memenvs.streams import Chunk, Evidence, Question, Stream, StreamList

FACTS = ("Ann likes tea. It rains.", "Bob plays chess. The bus was late.", "Ann lives in Oslo. Nobody came.")


class Noting:
    """Answers with the first text that shares a word with the question, and keeps what it was shown."""

    name = "noting"

    def __init__(self) -> None:
        self.seen: list[Reading] = []

    def read(self, readings):
        self.seen += readings
        return [self._answer(reading) for reading in readings]

    def _answer(self, reading):
        words = set(search_tokens(reading.question))
        for item_id, content in reading.items:
            if words & set(search_tokens(content)):
                return Answer(content, (item_id,))
        return Answer("")


def question(text: str, answer: str, *evidence: Evidence) -> Question:
    return Question(text, (answer,), "squad", evidence)


def room(name: str = "room", source: str = "rooms", facts: tuple[str, ...] = FACTS) -> Stream:
    """Three chunks; the evidence of the first question is a sentence, of the second a chunk, of the third nowhere named."""
    return Stream(
        name,
        source,
        tuple(Chunk(text) for text in facts),
        (
            question("What does Ann like?", "tea", Evidence(0, facts[0].split(". ")[0] + ".")),
            question("What does Bob play?", "chess", Evidence(1)),
            question("Who came?", "nobody"),
        ),
    )


def rooms(*sources: str) -> StreamList:
    """One stream per source, told apart by a word of their own in every chunk."""
    made = []
    for number, source in enumerate(sources):
        facts = tuple(f"{text[:-1]} in house{number}." for text in FACTS)
        made.append(room(f"{source}/{number}", source, facts))
    return StreamList(made, source="rooms")
