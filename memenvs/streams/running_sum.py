"""Running-sum streams: a dictionary goes by, then turns that name keys to add; long-horizon execution without any knowledge.

The task is that of "The Illusion of Diminishing Returns" (five-letter keys, integers in [-99, 99], K keys per turn; specification:
long-horizon-execution/measuring-execution@d95e009, dict_sum_util.py). There the dictionary stays in the prompt; here it is told
chunk by chunk and gone, so that dictionary and sum must survive in the memory. Keys within one turn differ.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from memenvs.errors import DataError, SettingsError
from memenvs.streams.generated import GeneratedStreams, check_range, rng_for
from memenvs.streams.types import Chunk, Evidence, Question, Stream

SOURCE = "running-sum"
"""Name of the data source, of its streams and of the questions for the sum."""
VALUE_SOURCE = "running-sum-value"
"""Source of the questions for the value of a key."""
FAMILY = "long-horizon-execution"
LARGEST = 99
"""Values are whole numbers from -LARGEST to LARGEST."""
# A syllable that ends like no English word, then an open one: keys can be pronounced and are never words, so that neither the
# reader's word knowledge nor a language model's gives one of them another meaning.
_LETTERS = ("bdghklmrtvz", "aeiou", "bdgkpt", "fvz", "aiou")


@dataclass(frozen=True, slots=True)
class RunningSumSettings:
    """Settings of `RunningSumStreams`.

    Raises:
        SettingsError: a value is out of its range, or T leaves no turn; the message names the range.
    """

    T: int = 20
    """Chunks per stream, 2 to 400: those that tell the dictionary, then one per turn."""
    keys: int = 16
    """Entries of the dictionary, 1 to 500; the paper has 100."""
    entries: int = 4
    """Entries told per chunk, 1 to 100."""
    K: int = 2
    """Keys to add per turn (the paper's turn complexity), 1 to ``keys``."""
    questions: int = 4
    """Global questions, 1 to ``keys + 1``: the running sum after the last turn and the values of ``questions - 1`` keys."""

    def __post_init__(self) -> None:
        check_range("T", self.T, 2, 400)
        check_range("keys", self.keys, 1, 500)
        check_range("entries", self.entries, 1, 100)
        check_range("K", self.K, 1, self.keys)
        check_range("questions", self.questions, 1, self.keys + 1)
        if self.turns < 1:
            least = self.T - self.turns + 1
            raise SettingsError(
                f"T must be at least {least} for {self.keys} keys, {self.entries} a chunk, and a turn; got {self.T}"
            )

    @property
    def turns(self) -> int:
        """Chunks that are turns: T less the ceil(keys / entries) that tell the dictionary."""
        return self.T - -(-self.keys // self.entries)


class RunningSumStreams(GeneratedStreams[RunningSumSettings]):
    """Endless running-sum streams; a `StreamDataset`.

    Args, errors and what a stream depends on are those of `GeneratedStreams`, with `RunningSumSettings`
    (``RunningSumStreams(T=60, keys=100, K=4)``); see `running_sum_stream` for what is told and asked.
    """

    source = SOURCE
    version = 1
    settings_type = RunningSumSettings

    def _make(self, number: int) -> Stream:
        settings, rng = self.settings, rng_for(f"{self._key}/{number}")
        keys = _draw_keys(rng, settings.keys)
        dictionary = {key: rng.randint(-LARGEST, LARGEST) for key in keys}
        turns = [rng.sample(keys, settings.K) for _ in range(settings.turns)]
        asked = rng.sample(keys, settings.questions - 1)
        extras = {"generator_version": self.version, "seed": self.seed}
        return running_sum_stream(f"{SOURCE}-{self.split}-{number}", dictionary, turns, asked, settings.entries, extras)


def running_sum_stream(
    name: str,
    dictionary: Mapping[str, int],
    turns: Sequence[Sequence[str]],
    asked: Sequence[str] = (),
    entries: int = 4,
    metadata: Mapping[str, Any] | None = None,
) -> Stream:
    """The stream of given keys, values and turns.

    Args:
        name: the stream's id.
        dictionary: key -> integer, in the order of telling.
        turns: per turn the keys to add; at least one turn, and one key in each.
        asked: keys whose values are asked for in the end, before the sum.
        entries: told per chunk.
        metadata: extras of the stream.

    Returns:
        ceil(len(dictionary) / entries) chunks of entries ("The value of kadvu is -17."), then one chunk per turn ("Turn 2: add
        kadvu and topzi to the running sum."). A chunk of entries asks for the value of each of its keys, a turn for the running
        sum now. Evidence of a sum is every entry and every turn that went into it. ``metadata["families"]`` has each global
        question's family.

    Raises:
        DataError: there is no turn, a turn names no key, or a key is not in the dictionary.
    """
    keys = list(dictionary)
    if not turns or not all(turns):
        raise DataError(f"a running-sum stream needs at least one turn and one key in each, got {turns!r}")
    if unknown := [key for key in (*asked, *chain(*turns)) if key not in dictionary]:
        raise DataError(f"keys that the dictionary does not have: {', '.join(unknown)}; it has {', '.join(keys)}")
    told = {key: Evidence(i // entries, f"The value of {key} is {dictionary[key]}.") for i, key in enumerate(keys)}
    chunks = []
    for start in range(0, len(keys), entries):
        some = keys[start : start + entries]
        questions = tuple(_value_question(key, dictionary, told) for key in some)
        chunks.append(Chunk(" ".join(told[key].text for key in some), questions=questions))

    sums = list(accumulate(sum(dictionary[key] for key in turn) for turn in turns))
    added: set[str] = set()
    said: list[Evidence] = []
    for number, (turn, total) in enumerate(zip(turns, sums, strict=True), 1):
        said.append(Evidence(len(chunks), _turn_text(number, turn)))
        added.update(turn)
        evidence = (*(told[key] for key in keys if key in added), *said)
        chunks.append(Chunk(said[-1].text, questions=(_sum_question("now", total, evidence),)))

    last = _sum_question("after the last turn", sums[-1], evidence)
    questions = (*(_value_question(key, dictionary, told) for key in asked), last)
    families = {"families": [FAMILY] * len(questions)}
    return Stream(name, SOURCE, tuple(chunks), questions, dict(metadata or {}) | families)


def _draw_keys(rng: random.Random, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choice(letters) for letters in _LETTERS)] = None
    return list(found)


def _turn_text(number: int, keys: Sequence[str]) -> str:
    names = " and ".join([", ".join(keys[:-1]), keys[-1]] if len(keys) > 1 else keys)
    start = ", which starts at 0" if number == 1 else ""
    return f"Turn {number}: add {names} to the running sum{start}."


def _value_question(key: str, dictionary: Mapping[str, int], told: Mapping[str, Evidence]) -> Question:
    return Question(f"What is the value of {key}?", (str(dictionary[key]),), VALUE_SOURCE, (told[key],))


def _sum_question(when: str, total: int, evidence: tuple[Evidence, ...]) -> Question:
    return Question(f"How much is the running sum {when}?", (str(total),), SOURCE, evidence)
