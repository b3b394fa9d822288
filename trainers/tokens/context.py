"""Whether the chunks that a run is going to read fit into its model's context."""

from __future__ import annotations

from collections.abc import Iterable

from agents.base import View
from agents.language_model.policy import LanguageModelPolicy
from memenvs.errors import SettingsError
from memenvs.streams.types import StreamDataset


def check_prompts(policy: LanguageModelPolicy, dataset: StreamDataset, streams: Iterable[int]) -> None:
    """Make the prompt of every chunk, with an empty memory.

    Args:
        policy: makes the prompts.
        dataset: the streams.
        streams: indices of those that are looked at.

    Raises:
        SettingsError: one of them does not fit; a training run would end at it.
    """
    if policy.lm.context is None:
        return
    for index in streams:
        stream = dataset[index]
        for step, chunk in enumerate(stream.chunks):
            try:
                policy.fit(View(chunk.text, (), step, stream.T, chunk.timestamp))
            except SettingsError as error:
                raise SettingsError(
                    f"stream {index} ({stream.id}) of {dataset.source}, {dataset.split}: {error}"
                ) from error
