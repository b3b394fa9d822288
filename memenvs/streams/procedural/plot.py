"""The plot of one stream: which threads there are and in which order their sentences are told."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from memenvs.streams.procedural import phrases, vocabulary
from memenvs.streams.procedural.asked import ASKED, PEOPLE_NAMED
from memenvs.streams.procedural.attributes import Attribute
from memenvs.streams.procedural.settings import ProceduralSettings
from memenvs.streams.procedural.threads import Event, Fact, Label, Thread, Topic, framed
from memenvs.streams.procedural.unasked import UNASKED

# Shares of all sentences at the default settings; other settings keep the proportions.
_RELEVANT_SHARES = {
    "accurate-retrieval": 0.13,
    "test-time-learning": 0.10,
    "long-range-understanding": 0.08,
    "conflict-resolution": 0.12,
}
_UNASKED_SHARE, _REPEAT_SHARE, _TALK_SHARE = 0.27, 0.04, 0.26
_CLASSES = 4


@dataclass(slots=True)
class Plot:
    """Threads by kind; ``tellings`` is the order of telling as (thread, index of its sentence)."""

    facts: list[Fact] = field(default_factory=list)
    updated: list[Fact] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    junk: list[Thread] = field(default_factory=list)
    tellings: list[tuple[Thread, int]] = field(default_factory=list)

    @property
    def threads(self) -> list[Thread]:
        """All threads, kind by kind."""
        return [*self.facts, *self.updated, *self.labels, *self.topics, *self.events, *self.junk]


def _paired(rng: random.Random, first: tuple[str, ...], second: tuple[str, ...], count: int) -> list[str]:
    """``count`` distinct names, or all there are; no word occurs twice as long as there are enough words."""
    size = min(len(first), len(second))
    a, b = rng.sample(first, size), rng.sample(second, size)
    # Each full round shifts the second words by one, so pairs repeat only after size * size names.
    return [f"{a[n % size]} {b[(n + n // size) % size]}" for n in range(min(count, size * size))]


def _lengths(rng: random.Random, budget: int, low: int, high: int, long_chance: float) -> list[int]:
    """Thread lengths from ``low`` to ``high`` that fill ``budget`` as far as they can; at least one."""
    lengths: list[int] = []
    while budget >= low or not lengths:
        length = low
        while length < high and rng.random() < long_chance:
            length += 1
        length = max(low, min(length, budget))
        lengths.append(length)
        budget -= length
    return lengths


class _Cast:
    """Who and what a stream is about."""

    def __init__(self, rng: random.Random, asked: int, total: int, topics: int) -> None:
        people = max(4, -(-asked // 4), -(-total // 30))
        self.people = _paired(rng, vocabulary.FIRST_NAMES, vocabulary.LAST_NAMES, people)
        self.places = _paired(rng, vocabulary.PLACE_FIRST, vocabulary.PLACE_SECOND, max(2, people // 2))
        self.topics = _paired(rng, vocabulary.TOPIC_FIRST, vocabulary.TOPIC_SECOND, topics)
        taken = {word for name in self.people for word in name.split()}
        self.others = tuple(name for name in PEOPLE_NAMED if taken.isdisjoint(name.split()))
        if len(self.others) < 8:  # A very large cast uses up all names; then values may share a word with it.
            self.others = tuple(name for name in PEOPLE_NAMED if name not in set(self.people))

    def slots(self, attributes: tuple[Attribute, ...]) -> list[tuple[str, Attribute]]:
        return [(s, a) for a in attributes for s in (self.people if a.subject == "person" else self.places)]

    def facts(
        self, rng: random.Random, slots: list[tuple[str, Attribute]], lengths: list[int], asked: bool
    ) -> list[Fact]:
        """One fact per length, taken off the end of ``slots``."""
        found = []
        for length in lengths[: len(slots)]:
            subject, attribute = slots.pop()
            values = self.others if attribute.values is PEOPLE_NAMED else attribute.values
            found.append(Fact.draw(rng, subject, attribute, asked, length - 1, values))
        return found


def _labels(rng: random.Random, count: int) -> list[Label]:
    """Labelled requests, dealt out evenly over the classes; no request occurs twice while there are new ones."""
    kinds = rng.sample(list(phrases.REQUESTS), _CLASSES)
    codes = rng.sample(range(10, 100), _CLASSES)
    decks: dict[str, list[tuple[str, str, str]]] = {kind: [] for kind in kinds}
    found = []
    for number in range(count):
        kind = kinds[number % _CLASSES]
        deck = decks[kind]
        if not deck:
            things, complaints = phrases.REQUESTS[kind]
            deck.extend((a, b, c) for a in things for b in complaints for c in phrases.REQUEST_ENDINGS)
            rng.shuffle(deck)
        found.append(Label.draw(rng, kind, str(codes[number % _CLASSES]), deck.pop()))
    return found


def _small_talk(rng: random.Random, cast: _Cast, kinds: list[str], events: list[Event]) -> Thread:
    """A sentence of no use that shares its words with the rest of the stream."""
    things, complaints = phrases.REQUESTS[rng.choice(kinds)]
    event = rng.choice(events) if events else None
    past, base, thing = event.action if event else rng.choice(vocabulary.EVENTS)
    clause = rng.choice(phrases.SMALL_TALK).format(
        s=rng.choice(cast.people),
        p=rng.choice(cast.places),
        t=rng.choice(cast.topics),
        w=event.person if event else rng.choice(cast.people),
        past=past,
        base=base,
        o=thing,
        r=f"{rng.choice(things)} {rng.choice(complaints)}",
    )
    return Thread(texts=[framed(rng, clause)])


def draw_plot(rng: random.Random, settings: ProceduralSettings) -> Plot:
    """Draw threads that fill exactly ``T * sentences`` sentences, and the order in which they are told."""
    total = settings.T * settings.sentences
    weight = sum(_RELEVANT_SHARES[family] for family in settings.families)
    # Rounded down: the families together must not outgrow the stream.
    budget = {
        family: int(total * (1 - settings.distractors) * _RELEVANT_SHARES[family] / weight)
        if family in settings.families
        else 0
        for family in _RELEVANT_SHARES
    }
    single = max(1, budget["accurate-retrieval"]) if "accurate-retrieval" in settings.families else 0
    updated = (
        _lengths(rng, budget["conflict-resolution"], 2, 3, 0.25) if "conflict-resolution" in settings.families else []
    )
    examples = max(1, budget["test-time-learning"]) if "test-time-learning" in settings.families else 0
    long = (
        _lengths(rng, budget["long-range-understanding"], 2, 4, 0.5)
        if "long-range-understanding" in settings.families
        else []
    )

    asked = single + len(updated)
    first_kind = int(rng.random() * 2)
    topic_lengths, event_lengths = long[first_kind::2], long[1 - first_kind :: 2]
    cast = _Cast(rng, asked, total, len(topic_lengths) + 2)
    plot = Plot()
    slots = cast.slots(ASKED)
    rng.shuffle(slots)
    plot.facts = cast.facts(rng, slots, [1] * single, True)
    plot.updated = cast.facts(rng, slots, updated, True)
    plot.labels = _labels(rng, examples)
    plot.topics = [Topic.draw(rng, topic, n) for topic, n in zip(cast.topics, topic_lengths, strict=False)]
    doings = [(person, action) for person in cast.people for action in vocabulary.EVENTS]
    doings = rng.sample(doings, min(len(doings), len(event_lengths)))
    plot.events = [Event.draw(rng, who, action, n) for (who, action), n in zip(doings, event_lengths, strict=False)]

    left = total - sum(len(thread.texts) for thread in plot.threads)
    junk = _UNASKED_SHARE + _REPEAT_SHARE + _TALK_SHARE
    slots = cast.slots(UNASKED)
    rng.shuffle(slots)
    lengths = _lengths(rng, round(left * _UNASKED_SHARE / junk), 1, 2, 0.12) if left > 1 else []
    unasked = cast.facts(rng, slots, lengths, False)
    repeatable = [*plot.facts, *plot.updated, *unasked]
    for _ in range(round(left * _REPEAT_SHARE / junk) if repeatable else 0):
        rng.choice(repeatable).repeat(rng)
    plot.junk = list(unasked)
    talk = total - sum(len(thread.texts) for thread in plot.threads)
    kinds = list(dict.fromkeys(label.kind for label in plot.labels)) or list(phrases.REQUESTS)
    plot.junk += [_small_talk(rng, cast, kinds, plot.events) for _ in range(talk)]

    # Shuffle the sentences, then hand each thread's places out in its own order: updates come after what they update.
    order = [thread for thread in plot.threads for _ in thread.texts]
    rng.shuffle(order)
    for position, thread in enumerate(order):
        plot.tellings.append((thread, len(thread.steps)))
        thread.steps.append(position // settings.sentences)
    return plot
