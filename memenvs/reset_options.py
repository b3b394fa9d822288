"""Which stream and which questions an episode is about: drawn with the environment's generator, or given as options of `reset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memenvs.errors import SettingsError, did_you_mean
from memenvs.streams import StreamDataset
from memenvs.streams.types import Stream

RESET_OPTIONS = ("stream", "questions")
"""What `MemoryEnv.reset` takes as options."""


def draw(
    dataset: StreamDataset, rng: np.random.Generator, options: Mapping[str, Any], question_share: float
) -> tuple[int, Stream, Sequence[int] | None]:
    """Index of the stream, the stream, and indices of its global questions or None for all.

    Args:
        dataset: the streams.
        rng: the environment's generator.
        options: ``"stream"`` and ``"questions"``, as given.
        question_share: share of the questions that is asked where none are given.

    Raises:
        SettingsError: an unknown option, or no index of the dataset.
    """
    for name in options:
        if name not in RESET_OPTIONS:
            raise SettingsError(
                f"unknown reset option {name!r}; known: {', '.join(RESET_OPTIONS)}.{did_you_mean(name, RESET_OPTIONS)}"
            )
    # Both draws are always made, so that options do not shift the streams that follow.
    drawn = int(rng.integers(len(dataset)))
    question_seed = int(rng.integers(2**31))
    index = options.get("stream", drawn)
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < len(dataset):
        raise SettingsError(f'the option "stream" must be an index below {len(dataset)}, got {index!r}')
    stream, asked = dataset[int(index)], options.get("questions")
    if asked is None and question_share < 1:
        total = len(stream.questions)
        order = np.random.default_rng(question_seed).permutation(total)
        asked = sorted(int(i) for i in order[: max(1, round(question_share * total))])
    return int(index), stream, asked
