"""Hindsight: an anchor that knows the questions."""

from __future__ import annotations

from typing import Any

from agents.base import View
from agents.controls import Control
from agents.overlap import overlap
from agents.units import units
from memenvs.memory.operations import Operation
from memenvs.streams.types import Question, Stream


class Hindsight(Control):
    """Stores exactly the evidence of the global questions, at the step where it stands, the most asked first.

    What it stores does not go stale: statements that are superseded later are no evidence. Where a stream does not tell
    the evidence, the sentences that hold one of a question's acceptable answers, word for word, stand in for it.

    An upper anchor only where evidence is named. Elsewhere it may keep outdated statements, and it keeps nothing for an answer that
    no sentence holds: a summary, or a count.

    Args:
        limits: see `Control`.
    """

    name = "hindsight"

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self._asked: list[dict[str, int]] = []

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Look at the whole stream.

        Raises:
            ValueError: no stream was given.
        """
        super().reset(seed)
        if stream is None:
            raise ValueError("the hindsight agent needs the stream: reset(seed, stream)")
        chunks = [units(chunk.text, self.max_item_tokens) for chunk in stream.chunks]
        self._asked = [{} for _ in chunks]
        for question in stream.questions:
            for step, text in {*_evidence(question, chunks)}:
                self._asked[step][text] = self._asked[step].get(text, 0) + 1

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        asked = self._asked[view.step]
        held = {item.content for item in view.memory}
        wanted = [text for text in dict.fromkeys(texts) if text in asked and text not in held]
        return self.inserts(view, sorted(wanted, key=lambda text: -asked[text]))


def _evidence(question: Question, chunks: list[tuple[str, ...]]) -> list[tuple[int, str]]:
    """Step and text of the sentences that answer a question."""
    found = []
    for evidence in question.evidence:
        # Cut or normalised sentences may differ from the evidence in detail: take the piece most like it.
        texts = chunks[evidence.step]
        if texts:
            wanted = evidence.text or " ".join((question.text, *question.references))
            found.append((evidence.step, max(texts, key=lambda text: (text == wanted, overlap(text, wanted)))))
    if found:
        return found
    answers = [reference.lower() for reference in question.references if reference.strip()]
    return [(t, text) for t, texts in enumerate(chunks) for text in texts if any(a in text.lower() for a in answers)]
