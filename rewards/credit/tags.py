"""Operation types as tags, and rule rewards for a type that fitted, from the record alone.

* `step_tags` - the dominant operation type of each step, the group in which an advantage is normalised.
* `operation_tags` - the rule rewards.

The idea is RLVMR's (arXiv 2507.22844): a step says what kind of thought it is, and a rule checks whether that kind fitted.
Here the kind is the type of operation. Rules and thresholds are ours; they compare subject words, those of a text without the
function words of `memenvs.reading.lexicon`.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from memenvs.errors import SettingsError
from memenvs.memory.operations import OPERATION_NAMES
from memenvs.memory.tokens import search_tokens
from memenvs.reading.lexicon import FUNCTION_WORDS
from memenvs.record import EpisodeRecord, StepRecord
from memenvs.streams.sentences import sentences
from rewards.credit.history import Entry, StepHistory, Write, history
from rewards.terms import Terms


def step_tags(record: EpisodeRecord) -> tuple[str, ...]:
    """The most frequent type among each step's valid operations: INSERT, UPDATE, DELETE or SKIP.

    Of equally frequent ones the first in this order. A step without a valid operation changed nothing: SKIP.
    """
    return tuple(_tag(step) for step in record.steps)


def _tag(step: StepRecord) -> str:
    counts = Counter(outcome.op for outcome in step.operations if outcome.valid)
    return max(OPERATION_NAMES, key=lambda name: counts[name]) if counts else "SKIP"


def operation_tags(
    record: EpisodeRecord, related: float = 0.5, redundant: float = 0.8, format_penalty: float = -0.1
) -> Terms:
    """Share of each step's operations that fitted, plus a penalty for a faulty message. No reader, no outcome.

    A text holds a share of another one's subject words. It is on the other one's subject if the share is ``related`` or more. What
    fits is

    * an INSERT of something new: no single item holds ``redundant`` or more of its subject words;
    * an UPDATE that corrects or extends: the new text is on the subject of the old one and has a word that the old one lacks;
    * a DELETE of something stale: after the message, an item that was written later is on its subject; or a sentence of the chunk
      is, and does not have all of its words;
    * a SKIP of something known: the memory holds ``redundant`` or more of the chunk's subject words. A chunk that is not worth
      keeping is not known to be so, and its SKIP earns nothing.

    An invalid operation does not fit. A message is faulty if one of its operations is invalid or if it has none.

    Args:
        record: a finished episode.
        related: share of an older text's words from which on a newer one is on its subject, in (0, 1].
        redundant: share of words from which on a text is held, in (0, 1].
        format_penalty: what a faulty message earns on top, at most 0.

    Returns:
        T floats in [format_penalty, 1]. They say nothing about r_global.

    Raises:
        SettingsError: a threshold outside (0, 1], or a penalty above 0.
        DataError: the record contradicts itself.

    Source: RLVMR, arXiv 2507.22844: r = r_MR + r_fmt with r_fmt = -.1 for a faulty format; its rules are about plans and actions.
    """
    for name, value in (("related", related), ("redundant", redundant)):
        if not 0 < value <= 1:
            raise SettingsError(f"{name} is a share of words in (0, 1], got {value}")
    if not format_penalty <= 0:
        raise SettingsError(f"format_penalty is added where a message is faulty: at most 0, got {format_penalty}")
    rewards = []
    for step, then in zip(record.steps, history(record), strict=True):
        fitting = _fitting_writes(step, then, related, redundant)
        # What is known is what was there when the chunk came.
        skips = sum(outcome.op == "SKIP" and outcome.valid for outcome in step.operations)
        if skips and _held(step.chunk, *(entry.content for entry in then.before.values())) >= redundant:
            fitting += skips
        faulty = not step.operations or not all(outcome.valid for outcome in step.operations)
        rewards.append(fitting / max(1, len(step.operations)) + (format_penalty if faulty else 0.0))
    return tuple(rewards)


def _fitting_writes(step: StepRecord, then: StepHistory, related: float, redundant: float) -> int:
    """How many of a step's writes fitted."""
    memory, fitting = dict(then.before), 0
    for write in then.writes:
        if write.before is None and write.after is not None:
            fitting += all(_held(write.after.content, entry.content) < redundant for entry in memory.values())
        elif write.before is not None and write.after is not None:
            old, new = write.before.content, write.after.content
            more = not set(search_tokens(new)) <= set(search_tokens(old))
            fitting += more and _held(old, new) >= related
        elif write.before is not None:
            fitting += _stale(write.before, step, then, related)
        _follow(memory, write)
    return fitting


def _follow(memory: dict[str, Entry], write: Write) -> None:
    if write.after is None:
        del memory[write.id]
    else:
        memory[write.id] = write.after


def _stale(item: Entry, step: StepRecord, then: StepHistory, related: float) -> bool:
    """Whether something newer is on the subject of an item that was deleted."""
    newer = any(
        entry.step > item.step and _held(item.content, entry.content) >= related for entry in then.after.values()
    )
    said = set(search_tokens(item.content))
    # A sentence that repeats the item does not make it stale.
    return newer or any(
        _held(item.content, sentence) >= related and not said <= set(search_tokens(sentence))
        for sentence in sentences(step.chunk)
    )


@lru_cache(maxsize=16384)
def _subject_words(text: str) -> frozenset[str]:
    return frozenset(search_tokens(text)) - FUNCTION_WORDS


def _held(text: str, *by: str) -> float:
    """Share of a text's subject words that the texts ``by`` have together; 1 where it has none."""
    words = _subject_words(text)
    known: frozenset[str] = frozenset().union(*(_subject_words(other) for other in by))
    return len(words & known) / len(words) if words else 1.0
