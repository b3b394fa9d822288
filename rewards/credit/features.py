"""What a step looks like to a predictor of the return: counts and shares worked out from the record up to that step."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from memenvs.memory import count_tokens
from memenvs.memory.operations import OPERATION_NAMES
from memenvs.memory.tokens import search_tokens
from memenvs.record import EpisodeRecord, StepRecord
from rewards.credit.history import StepHistory, history

_BUCKETS = 32
"""Into which the words written are hashed."""
STEP_FEATURES = (
    *OPERATION_NAMES,
    "invalid",
    "silent",
    "tokens written",
    "tokens dropped",
    "known",
    "quoted",
    *(f"words {bucket}" for bucket in range(_BUCKETS)),
)
"""Names of the columns of `step_features`."""


def step_features(record: EpisodeRecord) -> NDArray[np.float64]:
    """What each step did, (T, features) float64; the columns are `STEP_FEATURES`.

    Counts of valid operations by type and of invalid ones; 1 for a message without operations; tokens written, and dropped by
    UPDATE and DELETE; of the different words written, the share that the memory had before (known) and that the chunk has (quoted),
    and how many fall into each bucket of a hash (CRC-32, the same in every process). Questions and scores play no part, nor does
    anything that the step could not choose: the length of its chunk, say, would be credit for the stream.

    Raises:
        DataError: the record contradicts itself, see `rewards.credit.history.history`.
    """
    pairs = zip(record.steps, history(record), strict=True)
    return np.array([_features(step, then) for step, then in pairs], np.float64)


def _features(step: StepRecord, then: StepHistory) -> list[float]:
    valid = [outcome.op for outcome in step.operations if outcome.valid]
    written = [write.after.content for write in then.writes if write.after is not None]
    dropped = [write.before.content for write in then.writes if write.before is not None]
    words = {word for text in written for word in search_tokens(text)}
    memory = {word for entry in then.before.values() for word in search_tokens(entry.content)}
    buckets = [0.0] * _BUCKETS
    for word in words:
        buckets[zlib.crc32(word.encode("utf-8", "surrogatepass")) % _BUCKETS] += 1.0
    return [
        *(float(valid.count(name)) for name in OPERATION_NAMES),
        float(len(step.operations) - len(valid)),
        float(not step.operations),
        float(sum(map(count_tokens, written))),
        float(sum(map(count_tokens, dropped))),
        len(words & memory) / max(1, len(words)),
        len(words & set(search_tokens(step.chunk))) / max(1, len(words)),
        *buckets,
    ]
