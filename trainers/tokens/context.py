"""Whether the chunks that a run is going to read fit into its model's context."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.base import View
from agents.language_model.policy import LanguageModelPolicy
from memenvs.errors import SettingsError
from memenvs.streams.sources import GENERATED
from memenvs.streams.types import StreamDataset

LOOKED_AT = 32
"""Streams that are looked at of training data that is made from a seed: there is no end to it, and they are alike."""


def check_run(policy: LanguageModelPolicy, training: Any, heldout: Any, streams: int) -> None:
    """Find chunks that never fit before days are spent: in all training streams of a file, and in the held-out ones of the run.

    Args:
        policy: makes the prompts.
        training: one of the environments.
        heldout: likewise, over the held-out streams.
        streams: the most of these that an evaluation plays.

    Raises:
        SettingsError: a prompt does not fit without any memory.
    """
    for env, most in ((training, LOOKED_AT), (heldout, streams)):
        dataset = env.unwrapped.dataset
        whole = env is training and dataset.source not in GENERATED
        check_prompts(policy, dataset, range(len(dataset) if whole else min(most, len(dataset))))


def check_prompts(policy: LanguageModelPolicy, dataset: StreamDataset, streams: Iterable[int]) -> None:
    """Make the prompt of every chunk, with an empty memory.

    Args:
        policy: makes the prompts.
        dataset: the streams.
        streams: indices of those that are looked at.

    Raises:
        SettingsError: one of them does not fit.
    """
    if policy.lm.context is None:
        return
    for index in streams:
        stream = dataset[index]
        for step, chunk in enumerate(stream.chunks):
            try:
                policy.fit(View(chunk.text, (), step, stream.T, chunk.timestamp))
            except SettingsError as error:
                where = f"stream {index} ({stream.id}) of {dataset.source}, {dataset.split}"
                raise SettingsError(f"{where}: {error}") from error
