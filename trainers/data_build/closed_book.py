"""Which questions a model answers without having read anything: asked over an endpoint, so that builds can leave them out.

Mem-alpha asks Qwen3-32B, thinking off, to be brief; its words are not taken over, and another model leaves out other questions. The
rule that decides is the published one (`memenvs.streams.closed_book`).
"""

from __future__ import annotations

from collections.abc import Sequence

from memenvs.endpoint import ChatEndpoint, Failure
from memenvs.errors import DataError
from memenvs.memory.tokens import TokenCounter
from memenvs.streams.builders.instance import BuiltQuestion
from memenvs.streams.closed_book import keeps_question

_ASK = (
    "Answer this question in as few words as possible, from what you know. Write nothing else.\n\nQuestion: {question}"
)
_THOUGHTS_END = "</think>"


class ClosedBook:
    """Leaves out the questions that a model answers without the text.

    Args:
        model: who is asked. With a ``cache`` in its settings a build that was interrupted does not ask again.
        count: token counter of the rule.

    Attributes:
        asked: questions that were put to the model.
        known: questions of these that it answered, which are left out.
        blank: questions to which it replied without text; as published they are kept.
    """

    def __init__(self, model: ChatEndpoint, count: TokenCounter) -> None:
        self.model, self._count = model, count
        self.asked = self.known = self.blank = 0

    def __call__(self, questions: Sequence[BuiltQuestion]) -> list[BuiltQuestion]:
        """Those that stay, in their order.

        Raises:
            DataError: some got no reply; those that did are in the cache.
            SettingsError, EndpointError: the model cannot be asked at all.
        """
        prompts = [[{"role": "user", "content": _ASK.format(question=asked.question)}] for asked in questions]
        replies = self.model.complete(prompts)
        # A model that has nothing to say is no fault of the line.
        failed = [r for r in replies if isinstance(r, Failure) and r.kind != "no_text"]
        if failed:
            raise DataError(
                f"{len(failed)} of {len(questions)} closed-book questions got no reply, so nothing is written; the first reason: "
                f"{failed[0]}. The same command goes on with what is answered"
            )
        said = ["" if isinstance(r, Failure) else r.text.rpartition(_THOUGHTS_END)[2] for r in replies]
        stay = [q for q, text in zip(questions, said, strict=True) if keeps_question(q.answer, text, self._count)]
        self.asked += len(questions)
        self.known += len(questions) - len(stay)
        self.blank += sum(not text.strip() for text in said)
        return stay

    def report(self) -> dict[str, int]:
        """What was counted so far."""
        return {"asked": self.asked, "left_out": self.known, "blank_replies": self.blank}
