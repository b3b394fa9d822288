"""LocalReader: a model of transformers within this process answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from memenvs.endpoint import EndpointError
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading.base import Reading
from memenvs.reading.endpoint import EndpointReader
from memenvs.reading.local_model import LocalModel
from memenvs.reading.local_settings import local_settings
from memenvs.reading.prompts import begun_reply, conversation


class LocalReader(EndpointReader):
    """A frozen language model as reader, with what it cites and how probable it finds answers.

    It is asked as a model behind a server is, its replies are read and counted in the same way, and a reading that fails, such as
    one that is too long for the model's context, gets an `Answer` with a ``failure``.

    Args:
        model: who answers.
        templates: ``"own"``, or ``"mab"`` for MemoryAgentBench's templates, see `memenvs.reading.prompts`.

    Raises:
        SettingsError: a setting cannot work.
    """

    def __init__(self, model: LocalModel, templates: str = "own") -> None:
        super().__init__(model, templates)
        self.model = model

    def token_log_probs(self, readings: Sequence[Reading], answers: Sequence[str]) -> list[tuple[float, ...]]:
        """See `memenvs.reading.ProbabilityReader.token_log_probs`.

        The answer stands where the reply to the same prompt has it: after ``{"answer": "`` under our own templates, at the
        beginning under MemoryAgentBench's. What would follow it does not count: "Rome" is at least as probable as "Rome and Oslo".

        Raises:
            ReaderError: a text is too long for the model's context or empty, or there is no template for a source.
            SettingsError: there is not one answer per reading.
        """
        if len(answers) != len(readings):
            raise SettingsError(f"expected {len(readings)} answers, one per reading, got {len(answers)}")
        own = self.templates == "own"
        try:
            return self.model.token_log_probs(
                [conversation(reading, self.templates) for reading in readings],
                [begun_reply(reading, self.templates) for reading in readings],
                [json.dumps(answer, ensure_ascii=False)[1:-1] if own else answer for answer in answers],
            )
        except (SettingsError, EndpointError) as error:
            raise ReaderError(f"the reader {self.name!r} gives no probability: {error}") from error


def local_reader(name: str, templates: str = "own", **settings: Any) -> LocalReader:
    """A reader from a name.

    Args:
        name: ``"local:FOLDER"`` or ``"local:HUB_ID"``.
        templates: see `LocalReader`.
        settings: fields of `memenvs.reading.local_settings.LocalSettings`.

    Raises:
        SettingsError: a setting is unknown or cannot work, or torch or transformers is not installed.
        DataError: there is no such model.
    """
    return LocalReader(LocalModel(local_settings(name, **settings)), templates)
