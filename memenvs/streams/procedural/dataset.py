"""The embedded default data source: readable streams made up from a seed."""

from __future__ import annotations

import datetime
import hashlib
import json
import operator
import random
from dataclasses import asdict
from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.streams.procedural.plot import Plot, draw_plot
from memenvs.streams.procedural.settings import ProceduralSettings
from memenvs.streams.procedural.threads import Asking, Event, Fact, Thread, Topic
from memenvs.streams.types import Chunk, Question, Stream

GENERATOR_VERSION = 1
"""Raised whenever equal settings would give other streams."""
SPLITS = ("train", "validation", "test")
_QUESTION_SHARES = {
    "accurate-retrieval": 8,
    "test-time-learning": 4,
    "long-range-understanding": 2,
    "conflict-resolution": 4,
}
_MAX_PER_SUBJECT = 4
"""Evidence sentences about one subject that are asked for: five retrieved items can then hold all of them."""


class ProceduralStreams:
    """Endless made-up streams; a `StreamDataset`.

    A stream tells, sentence by sentence, facts about people and places, updates of such facts, labelled requests,
    points about topics, things that happen several times, and a good deal of small talk about the same people.
    Questions are asked about eight of twenty-four attributes; which ones is the same in all streams, so an agent can
    learn what is worth keeping.

    Args:
        seed: of the whole dataset.
        split: "train", "validation" or "test"; they share no stream.
        length: number of streams, which are made when asked for.
        settings: a `ProceduralSettings`, or give its fields as keyword arguments (``T=40, relevance=0.5``).

    Raises:
        SettingsError: an argument or a setting is out of range or unknown.

    ``dataset[i]`` depends on (seed, split, i, settings) alone. Each question carries exact evidence: for a fact the
    first sentence that gives its current value, for summaries and counts every sentence that contributes, for a label
    the example that the question was made from. ``metadata["families"]`` has each global question's family;
    ``metadata["stale"]`` lists the outdated sentences of the updated ones as ``[question index, step, text]``.
    """

    source = "builtin"
    licence = "MIT (generated)"

    def __init__(
        self,
        seed: int = 0,
        split: str = "train",
        length: int = 1_000_000,
        settings: ProceduralSettings | None = None,
        **fields: Any,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise SettingsError(f"seed must be a whole number, got {seed!r}")
        if split not in SPLITS:
            raise SettingsError(
                f"unknown split {split!r}; known: {', '.join(SPLITS)}.{did_you_mean(str(split), SPLITS)}"
            )
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise SettingsError(f"length must be a whole number from 1, got {length!r}")
        if settings is not None and not isinstance(settings, ProceduralSettings):
            raise SettingsError(f"settings must be ProceduralSettings, got {settings!r}")
        if settings is not None and fields:
            raise SettingsError(f"give settings or its fields, not both; got both settings and {', '.join(fields)}")
        known = ProceduralSettings.__dataclass_fields__
        for name in fields:
            if name not in known:
                raise SettingsError(f"unknown setting {name!r}; known: {', '.join(known)}.{did_you_mean(name, known)}")
        if "families" in fields and isinstance(fields["families"], list):
            fields["families"] = tuple(fields["families"])
        self.seed = seed
        self.split = split
        self.settings = settings if settings is not None else ProceduralSettings(**fields)
        self.max_steps = self.settings.T
        self._length = length
        self._last: tuple[int, Stream] | None = None
        self._key = json.dumps([GENERATOR_VERSION, seed, split, asdict(self.settings)], sort_keys=True)
        # What is told and asked in the end does not depend on how the chunks are asked about, so that arms of a study that
        # differ in the chunk questions alone see the same streams.
        told = {
            k: v for k, v in asdict(self.settings).items() if k not in ("chunk_questions", "relevance", "timestamps")
        }
        self._told_key = json.dumps([GENERATOR_VERSION, seed, split, told], sort_keys=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the generator's version and all arguments."""
        return hashlib.sha256(f"{self._key}/{self._length}".encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"ProceduralStreams({self.seed}, {self.split!r}, {self._length}, {self.settings})"

    def __getitem__(self, index: int) -> Stream:
        """Make stream ``index``; a negative index counts from the end.

        Raises:
            IndexError: there is no such stream.
        """
        number = operator.index(index)
        if not -self._length <= number < self._length:
            raise IndexError(f"stream {number} of {self._length}")
        number %= self._length
        # The rollouts of a group ask for one stream after the other's reset: the last one is kept.
        if self._last is None or self._last[0] != number:
            self._last = number, self._make(number)
        return self._last[1]

    def _make(self, number: int) -> Stream:
        rng = _rng(f"{self._told_key}/{number}")
        plot = draw_plot(rng, self.settings)
        questions, families, stale = _global_questions(rng, plot, self.settings)
        chunks = _chunks(_rng(f"{self._key}/{number}/chunk questions"), plot, self.settings, number)
        metadata = {"generator_version": GENERATOR_VERSION, "seed": self.seed, "families": families, "stale": stale}
        return Stream(f"builtin-{self.split}-{number}", self.source, chunks, questions, metadata)


def _rng(key: str) -> random.Random:
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


def _chunks(rng: random.Random, plot: Plot, settings: ProceduralSettings, number: int) -> tuple[Chunk, ...]:
    day = datetime.date(2024, 1, 1).toordinal() + number % 365
    size = settings.sentences
    found = []
    for step in range(settings.T):
        told = plot.tellings[step * size : (step + 1) * size]
        text = " ".join(thread.texts[k] for thread, k in told)
        timestamp = f"{datetime.date.fromordinal(day + step)} 09:00" if settings.timestamps else None
        found.append(Chunk(text, timestamp, _chunk_questions(rng, told, settings)))
    return tuple(found)


def _chunk_questions(
    rng: random.Random, told: list[tuple[Thread, int]], settings: ProceduralSettings
) -> tuple[Question, ...]:
    by_thread: dict[int, tuple[Thread, list[int]]] = {}
    for thread, k in told:
        by_thread.setdefault(id(thread), (thread, []))[1].append(k)
    # Two decks, relevant or not; within a deck every thread gets its turn before one is asked about in other words.
    decks: dict[bool, list[tuple[float, Asking, Thread]]] = {True: [], False: []}
    for thread, indices in by_thread.values():
        for turn, asking in enumerate(thread.chunk_askings(rng, indices)):
            decks[thread.relevant].append((turn + rng.random(), asking, thread))
    for deck in decks.values():
        deck.sort(key=operator.itemgetter(0), reverse=True)
    found: list[Question] = []
    for _ in range(settings.chunk_questions):
        deck = decks[rng.random() < settings.relevance]
        if deck:
            _, asking, thread = deck.pop()
            # Two examples of one class may be asked about in the same words.
            if all(question.text != asking.text for question in found):
                found.append(thread.question(asking))
    return tuple(found)


def _shares(settings: ProceduralSettings) -> dict[str, int]:
    """Questions per family: the shares rounded so that they add up (largest remainder)."""
    weight = sum(_QUESTION_SHARES[family] for family in settings.families)
    exact = {family: settings.questions * _QUESTION_SHARES[family] / weight for family in settings.families}
    counts = {family: int(value) for family, value in exact.items()}
    rest = settings.questions - sum(counts.values())
    for family in sorted(exact, key=lambda name: counts[name] - exact[name])[:rest]:
        counts[family] += 1
    return counts


def _global_questions(
    rng: random.Random, plot: Plot, settings: ProceduralSettings
) -> tuple[tuple[Question, ...], list[str], list[tuple[int, int, str]]]:
    counts = _shares(settings)
    drawn: list[tuple[str, Question, Thread]] = []
    load: dict[str, int] = {}

    long_range: list[Topic | Event] = [*plot.topics, *plot.events]
    for thread in rng.sample(long_range, min(counts.get("long-range-understanding", 0), len(long_range))):
        drawn.append(("long-range-understanding", thread.question(thread.asking(rng)), thread))
        if isinstance(thread, Event):
            load[thread.person] = load.get(thread.person, 0) + len(thread.texts)
    for family, facts in (("conflict-resolution", plot.updated), ("accurate-retrieval", plot.facts)):
        wanted = counts.get(family, 0)
        for fact in rng.sample(facts, len(facts)):
            if wanted and load.get(fact.subject, 0) < _MAX_PER_SUBJECT:
                wanted -= 1
                load[fact.subject] = load.get(fact.subject, 0) + 1
                drawn.append((family, fact.question(fact.asking(rng)), fact))
    if plot.labels:
        deck = rng.sample(plot.labels, len(plot.labels))
        texts: set[str] = set()
        # Few examples are asked about several times, in other words.
        for turn in range(counts["test-time-learning"]):
            label = deck[turn % len(deck)]
            asking = label.asking(rng)
            if asking.text not in texts:
                texts.add(asking.text)
                drawn.append(("test-time-learning", label.question(asking), label))
    rng.shuffle(drawn)
    stale = [
        (j, thread.steps[k], thread.texts[k])
        for j, (_, _, thread) in enumerate(drawn)
        if isinstance(thread, Fact)
        for k in thread.stale()
    ]
    return tuple(asked for _, asked, _ in drawn), [family for family, _, _ in drawn], stale
