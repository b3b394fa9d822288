"""The evidence that the data names, as a memory: what an answer can be had from, and nothing else.

* `evidence_of` - where the answer to each question stands.
* `EvidenceKeeper` - an agent that stores just this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.base import View, message
from memenvs.errors import SettingsError
from memenvs.memory.operations import Operation
from memenvs.streams.types import Stream


def evidence_of(stream: Stream) -> dict[str, list[tuple[int, str]]]:
    """Text of a question -> (step, text) of each piece of its evidence: the sentence, or the chunk where only that is known.

    A question whose evidence the data does not name is left out. Questions of the same text share their evidence.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for question in stream.questions:
        for evidence in question.evidence:
            text = evidence.text or stream.chunks[evidence.step].text
            found.setdefault(question.text, []).append((evidence.step, text))
    return found


class EvidenceKeeper:
    """Stores the evidence of all questions, each piece once and uncut, at the step where it stands.

    Unlike `agents.hindsight.Hindsight` it knows no limits and guesses nothing where the data names no evidence.
    """

    name = "evidence"

    def __init__(self) -> None:
        self._by_step: dict[int, dict[str, None]] = {}

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Look at the whole stream.

        Raises:
            SettingsError: no stream was given.
        """
        if stream is None:
            raise SettingsError("the evidence agent needs the stream: reset(seed, stream)")
        self._by_step = {}
        for places in evidence_of(stream).values():
            for step, text in places:
                self._by_step.setdefault(step, {})[text] = None

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        step = View.of(observation, info).step
        return message(Operation("INSERT", text) for text in self._by_step.get(step, ()))
