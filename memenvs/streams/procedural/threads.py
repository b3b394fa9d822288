"""Threads: sentences about one thing, whose order matters (a fact, its repeats and its updates).

Each thread knows its sentences and what can be asked of them. Where a sentence lands (``steps``) is filled in later.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from memenvs.streams.procedural import phrases, vocabulary
from memenvs.streams.procedural.attributes import Attribute
from memenvs.streams.types import Evidence, Question


class Asking(NamedTuple):
    """A question in the making."""

    text: str
    reference: str
    source: str
    told: tuple[int, ...]
    """Indices of the thread's sentences that hold the answer."""


def framed(rng: random.Random, clause: str) -> str:
    """A statement as a sentence with a capital letter and a full stop."""
    text = rng.choice(phrases.FRAMES).format(c=clause)
    return text[0].upper() + text[1:]


@dataclass(slots=True, eq=False)
class Thread:
    """Sentences in the order in which they are told."""

    texts: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    """Chunk of each sentence, once placed."""
    relevant = False
    """Whether it is of a kind that global questions ask about."""

    def chunk_askings(self, rng: random.Random, told: list[int]) -> list[Asking]:
        """Questions that the sentences ``told`` (indices within one chunk, ascending) answer, preferred ones first."""
        return []

    def question(self, asking: Asking) -> Question:
        """The finished question; all sentences must have been placed."""
        evidence = tuple(Evidence(self.steps[k], self.texts[k]) for k in asking.told)
        return Question(asking.text, (asking.reference,), asking.source, evidence)


@dataclass(slots=True, eq=False)
class Fact(Thread):
    """One attribute of one subject with its successive values."""

    subject: str = ""
    attribute: Attribute | None = None
    asked: bool = True
    values: list[str] = field(default_factory=list)
    forms: list[int] = field(default_factory=list)
    version: list[int] = field(default_factory=list)
    """Index into ``values`` and ``forms`` for each sentence."""

    @property
    def relevant(self) -> bool:  # type: ignore[override]
        """Whether its attribute is among the asked ones."""
        return self.asked

    @classmethod
    def draw(
        cls, rng: random.Random, subject: str, attribute: Attribute, asked: bool, updates: int, values: tuple[str, ...]
    ) -> Fact:
        """A fact stated once and updated ``updates`` times, each time to a value it never had."""
        drawn = rng.sample(values, updates + 1)
        fact = cls(subject=subject, attribute=attribute, asked=asked, values=drawn)
        for number, value in enumerate(drawn):
            form = int(rng.random() * 2)
            words = attribute.forms[form]
            template = words.fact if number == 0 else words.now if rng.random() < 0.5 else words.instead
            fact.forms.append(form)
            fact.version.append(number)
            fact.texts.append(framed(rng, template.format(s=subject, v=value, o=drawn[number - 1])))
        return fact

    def repeat(self, rng: random.Random) -> None:
        """Tell one of the sentences again, word for word, before the next update."""
        k = int(rng.random() * len(self.texts))
        self.texts.insert(k, self.texts[k])
        self.version.insert(k, self.version[k])

    def asking(self, rng: random.Random) -> Asking:
        """The global question about the current value; half of the time in the words of the other form."""
        assert self.attribute is not None
        form = self.attribute.forms[int(rng.random() * 2)]
        latest = self.version.index(len(self.values) - 1)
        return Asking(form.global_question.format(s=self.subject), self.values[-1], "builtin-fact", (latest,))

    def stale(self) -> list[int]:
        """The first sentence of each value that no longer holds."""
        return [self.version.index(number) for number in range(len(self.values) - 1)]

    def chunk_askings(self, rng: random.Random, told: list[int]) -> list[Asking]:
        """See `Thread.chunk_askings`."""
        assert self.attribute is not None
        value = self.values[self.version[told[-1]]]
        first = int(rng.random() * 2)
        return [
            Asking(self.attribute.forms[form].chunk_question.format(s=self.subject), value, "builtin-fact", (told[-1],))
            for form in (first, 1 - first)
        ]


@dataclass(slots=True, eq=False)
class Label(Thread):
    """One labelled request."""

    kind: str = ""
    thing: str = ""
    complaint: str = ""
    label: str = ""
    relevant = True

    @classmethod
    def draw(cls, rng: random.Random, kind: str, label: str, request: tuple[str, str, str]) -> Label:
        """A labelled request; ``request`` is (thing, complaint, ending)."""
        thing, complaint, ending = request
        text = rng.choice(phrases.LABELS).format(x=f"{thing} {complaint} {ending}", l=label)
        return cls(texts=[text], kind=kind, thing=thing, complaint=complaint, label=label)

    def new_request(self, rng: random.Random) -> str:
        """Another request of the class: the same complaint with another thing, or the other way round."""
        things, complaints = phrases.REQUESTS[self.kind]
        thing, complaint = self.thing, self.complaint
        if rng.random() < 0.5:
            thing = rng.choice([other for other in things if other != thing])
        else:
            complaint = rng.choice([other for other in complaints if other != complaint])
        return f"{rng.choice(phrases.REQUEST_OPENERS)} {thing} {complaint}"

    def asking(self, rng: random.Random) -> Asking:
        """The global question."""
        text = rng.choice(phrases.LABEL_QUESTIONS).format(x=self.new_request(rng))
        return Asking(text, self.label, "builtin-label", (0,))

    def chunk_askings(self, rng: random.Random, told: list[int]) -> list[Asking]:
        """See `Thread.chunk_askings`."""
        return [
            Asking(template.format(x=self.new_request(rng)), self.label, "builtin-label", (0,))
            for template in phrases.CHUNK_LABEL_QUESTIONS
        ]


@dataclass(slots=True, eq=False)
class Topic(Thread):
    """Points made about one topic."""

    topic: str = ""
    keywords: list[str] = field(default_factory=list)
    relevant = True

    @classmethod
    def draw(cls, rng: random.Random, topic: str, points: int) -> Topic:
        """A topic with ``points`` different points."""
        keywords = rng.sample(vocabulary.KEYWORDS, points)
        texts = [framed(rng, rng.choice(phrases.POINTS).format(t=topic, k=keyword)) for keyword in keywords]
        return cls(texts=texts, topic=topic, keywords=keywords)

    def asking(self, rng: random.Random) -> Asking:
        """The global question."""
        text = phrases.SUMMARY_QUESTION.format(t=self.topic)
        return Asking(text, ", ".join(self.keywords), "builtin-summary", tuple(range(len(self.texts))))

    def chunk_askings(self, rng: random.Random, told: list[int]) -> list[Asking]:
        """See `Thread.chunk_askings`."""
        keywords = ", ".join(self.keywords[k] for k in told)
        return [Asking(phrases.POINT_QUESTION.format(t=self.topic), keywords, "builtin-summary", tuple(told))]


@dataclass(slots=True, eq=False)
class Event(Thread):
    """Something that one person did several times, each time on another day of the week."""

    person: str = ""
    action: tuple[str, str, str] = ("", "", "")
    days: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    relevant = True

    @classmethod
    def draw(cls, rng: random.Random, person: str, action: tuple[str, str, str], times: int) -> Event:
        """Something done on ``times`` different days; ``action`` is (past tense, base form, object)."""
        days = rng.sample(vocabulary.WEEKDAYS, times)
        reasons = rng.sample(vocabulary.REASONS, times)
        texts = [
            framed(rng, rng.choice(phrases.EVENTS).format(d=day, s=person, past=action[0], o=action[2], r=reason))
            for day, reason in zip(days, reasons, strict=True)
        ]
        return cls(texts=texts, person=person, action=action, days=days, reasons=reasons)

    def asking(self, rng: random.Random) -> Asking:
        """The global question."""
        text = phrases.COUNT_QUESTION.format(s=self.person, base=self.action[1], o=self.action[2])
        return Asking(text, str(len(self.texts)), "builtin-count", tuple(range(len(self.texts))))

    def chunk_askings(self, rng: random.Random, told: list[int]) -> list[Asking]:
        """See `Thread.chunk_askings`."""
        return [
            Asking(
                phrases.EVENT_QUESTION.format(s=self.person, base=self.action[1], o=self.action[2], d=self.days[k]),
                self.reasons[k],
                "builtin-fact",
                (k,),
            )
            for k in told
        ]
