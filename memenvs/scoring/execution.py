"""How well a running sum is kept, turn by turn: index, prefix and step accuracy, and the horizon they promise.

Source: "The Illusion of Diminishing Returns": the metrics from long-horizon-execution/measuring-execution@d95e009, dict_sum_util.py
(specification), the horizon from the paper's argument.

    record = env.unwrapped.record                         # an episode of RunningSum-v0, played by any agent
    step_accuracy(true_sums(record), running_sums(record))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from memenvs.errors import ScorerError
from memenvs.record import EpisodeRecord, ReadingRecord
from memenvs.scoring.metrics import last_integer
from memenvs.streams.running_sum import SOURCE


def index_accuracy(truth: Sequence[int], outputs: Sequence[int | None]) -> tuple[int, ...]:
    """1 at each turn whose sum is right.

    Args:
        truth: the true running sums, one per turn.
        outputs: the agent's, None where it gave none (NOOP).

    Raises:
        ScorerError: the two differ in length.
    """
    if len(truth) != len(outputs):
        raise ScorerError(f"expected one output per turn, {len(truth)} of them (None for a NOOP), got {len(outputs)}")
    return tuple(int(output == true) for true, output in zip(truth, outputs, strict=True))


def prefix_accuracy(truth: Sequence[int], outputs: Sequence[int | None]) -> tuple[int, ...]:
    """1 at each turn up to which every sum is right; the paper's task accuracy. Arguments and errors as `index_accuracy`."""
    return tuple(accumulate(index_accuracy(truth, outputs), min))


def step_accuracy(truth: Sequence[int], outputs: Sequence[int | None]) -> tuple[int, ...]:
    """1 at each turn that adds rightly to the agent's own sum before, whether that was right or not.

    A NOOP keeps the sum before, so it is right where the turn adds 0; at the first turn it leaves 0 to go on from and is wrong.
    Arguments and errors as `index_accuracy`.
    """
    right = list(index_accuracy(truth, outputs))
    before = 0
    for t, output in enumerate(outputs):
        now = before if output is None else output
        if t:
            right[t] = int(now - before == truth[t] - truth[t - 1])
        before = now
    return tuple(right)


def horizon(accuracy: float, success: float = 0.5) -> float:
    """H_s = ln s / ln p: turns after which an agent of constant step accuracy p is still right with probability s.

    Args:
        accuracy: p, in [0, 1].
        success: s, in (0, 1].

    Returns:
        Turns, not rounded; infinity for p = 1, 0 for p = 0.

    Raises:
        ScorerError: p or s is out of its range.
    """
    if not 0 <= accuracy <= 1 or not 0 < success <= 1:
        raise ScorerError(f"expected an accuracy in [0, 1] and a success rate in (0, 1], got {accuracy} and {success}")
    if accuracy in (0, 1):
        return math.inf if accuracy else 0.0
    return math.log(success) / math.log(accuracy)


def running_sums(record: EpisodeRecord) -> tuple[int | None, ...]:
    """What the agent's memory held as the running sum after each turn, as the reader read it; None where it found no number.

    Raises:
        ScorerError: the episode asked for no running sum, or the reader failed on one.
    """
    readings = _sum_readings(record)
    if any(reading.prediction is None for reading in readings):
        raise ScorerError(f"the reader failed ({record.failure}); leave failed episodes out")
    return tuple(last_integer(reading.prediction or "") for reading in readings)


def true_sums(record: EpisodeRecord) -> tuple[int, ...]:
    """The true running sum after each turn.

    Raises:
        ScorerError: the episode asked for no running sum.
    """
    return tuple(int(reading.references[0]) for reading in _sum_readings(record))


def _sum_readings(record: EpisodeRecord) -> list[ReadingRecord]:
    found = [reading for step in record.steps for reading in step.readings if reading.source == SOURCE]
    if not found:
        raise ScorerError(
            f"the episode of stream {record.stream_id!r} asked for no running sum at its steps; "
            "play RunningSum-v0 with chunk_questions of at least 1"
        )
    return found
