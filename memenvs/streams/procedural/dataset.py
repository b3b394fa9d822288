"""The embedded default data source: readable streams made up from a seed."""

from __future__ import annotations

import datetime
import json
import operator
import random
from dataclasses import asdict
from functools import cached_property

from memenvs.streams.generated import GeneratedStreams, rng_for
from memenvs.streams.procedural.plot import Plot, draw_plot
from memenvs.streams.procedural.settings import ProceduralSettings
from memenvs.streams.procedural.threads import Asking, Event, Fact, Thread, Topic
from memenvs.streams.types import Chunk, Question, Stream

GENERATOR_VERSION = 1
"""Raised whenever equal settings would give other streams."""
_QUESTION_SHARES = {
    "accurate-retrieval": 8,
    "test-time-learning": 4,
    "long-range-understanding": 2,
    "conflict-resolution": 4,
}
_MAX_PER_SUBJECT = 4
"""Evidence sentences about one subject that are asked for: five retrieved items can then hold all of them."""


class ProceduralStreams(GeneratedStreams[ProceduralSettings]):
    """Endless made-up streams; a `StreamDataset`.

    A stream tells, sentence by sentence, facts about people and places, updates of such facts, labelled requests,
    points about topics, things that happen several times, and a good deal of small talk about the same people.
    Questions are asked about eight of twenty-four attributes; which ones is the same in all streams, so an agent can
    learn what is worth keeping.

    Args, errors and what a stream depends on are those of `GeneratedStreams`, with `ProceduralSettings`
    (``ProceduralStreams(T=40, relevance=0.5)``).

    Each question carries exact evidence: for a fact the first sentence that gives its current value, for summaries and
    counts every sentence that contributes, for a label the example that the question was made from.
    ``metadata["families"]`` has each global question's family; ``metadata["stale"]`` lists the outdated sentences of the
    updated ones as ``[question index, step, text]``.
    """

    source = "builtin"
    version = GENERATOR_VERSION
    settings_type = ProceduralSettings

    @cached_property
    def _told_key(self) -> str:
        # What is told and asked in the end does not depend on how the chunks are asked about, so that arms of a study that
        # differ in the chunk questions alone see the same streams.
        told = {
            k: v for k, v in asdict(self.settings).items() if k not in ("chunk_questions", "relevance", "timestamps")
        }
        return json.dumps([self.version, self.seed, self.split, told], sort_keys=True)

    def _make(self, number: int) -> Stream:
        rng = rng_for(f"{self._told_key}/{number}")
        plot = draw_plot(rng, self.settings)
        questions, families, stale = _global_questions(rng, plot, self.settings)
        chunks = _chunks(rng_for(f"{self._key}/{number}/chunk questions"), plot, self.settings, number)
        metadata = {"generator_version": GENERATOR_VERSION, "seed": self.seed, "families": families, "stale": stale}
        return Stream(f"builtin-{self.split}-{number}", self.source, chunks, questions, metadata)


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
