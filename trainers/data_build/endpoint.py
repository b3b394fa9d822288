"""Chunk questions through an OpenAI-compatible endpoint: one model writes them, another verifies them.

Fine-Mem (arXiv 2601.08435) has five questions per chunk written by one model and verified by another from the chunk alone,
duplicates left out. Its prompts are not published; these are ours. Here a question that is answered without the chunk is left
out too.

* `EndpointSettings` - where and with which models.
* `Models`, `connect` - the two models.
* `Spent` - what it cost.
* `ask_chunk` - the questions of one chunk.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from memenvs.endpoint import ChatEndpoint, ChatSettings, Failure
from memenvs.endpoint.limits import Clock
from memenvs.errors import MemenvsError, SettingsError, whole
from memenvs.scoring.profiles import score
from memenvs.streams.builders.chunk_questions import normal
from trainers.data_build.asked import Questions
from trainers.data_build.json_lists import json_lists
from trainers.extra_parameters import canonical, with_extra

_GENERATE = """Below is a text. Write {number} questions that somebody who remembers this text can answer and nobody else.
Each question asks for one thing that the text says, can be understood without the text, and has a short answer in the words of
the text. Where the text consists of labelled examples, ask for the label of an example, quoting it. Reply with nothing but a
JSON list: [{{"question": "...", "answer": "..."}}, ...]

{text}"""
_MORE = "\n\nThese questions exist already; ask for other things:\n{known}"
_VERIFY = """{given}Answer each of these questions in as few words as possible. Write "" where you cannot know the answer. Reply
with nothing but a JSON list of {number} strings, the answers in the order of the questions.

{questions}"""


class ReplyError(MemenvsError):
    """The endpoint gave no usable reply. The chunk is tried again by the next run; nothing of it becomes data."""


@dataclass(frozen=True)
class EndpointSettings:
    """Where models are asked, and which."""

    endpoint: str
    """Base address, for instance http://127.0.0.1:8000/v1."""
    generator: str
    """Model that writes questions."""
    verifier: str
    """Model that answers them, from the chunk and from nothing."""
    per_chunk: int = 5
    """Verified questions wanted for a chunk."""
    rounds: int = 2
    """How often the generator is asked about a chunk, while too few of its questions are verified."""
    concurrency: int = 8
    """Chunks in work at a time."""
    max_retries: int = 3
    """Of a request, after 429, 5xx (but 502 to 504), late replies and such that are none."""
    timeout: float = 120.0
    """Seconds for a request."""
    give_up: int = 20
    """A run ends after so many failed chunks one after the other."""
    patience: float = 60.0
    """Seconds that the server may be out of reach before requests fail."""
    extra: str = "{}"
    """More parameters of every request, as JSON: see `trainers.extra_parameters`."""

    def __post_init__(self) -> None:
        canonical(self.extra, "models")
        for name, least in (("per_chunk", 1), ("rounds", 1), ("concurrency", 1), ("max_retries", 0), ("give_up", 1)):
            whole(name, getattr(self, name), least)
        for name in ("endpoint", "generator", "verifier"):
            if not getattr(self, name):
                raise SettingsError(
                    f"{name} is missing: questions through an endpoint need endpoint, generator and verifier"
                )


@dataclass
class Spent:
    """Tokens as the endpoint reports them; replies without a report count as 0. Safe to add to from several threads."""

    calls: int = 0
    """Requests that were answered."""
    prompt_tokens: int = 0
    """Read by the models."""
    completion_tokens: int = 0
    """Written by them."""
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, calls: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Count some more."""
        with self._lock:
            self.calls += calls
            self.prompt_tokens += prompt_tokens
            self.completion_tokens += completion_tokens

    def plain(self) -> dict[str, int]:
        """As JSON-able data."""
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass(frozen=True)
class Models:
    """The two models, each behind a line of its own."""

    generator: ChatEndpoint
    verifier: ChatEndpoint

    def counted_apart(self) -> Models:
        """The same models with new counts."""
        return Models(self.generator.with_own_usage(), self.verifier.with_own_usage())

    @property
    def spent(self) -> Spent:
        """What both were asked and cost."""
        sums = Spent()
        for asked in (self.generator.usage, self.verifier.usage):
            sums.add(asked.answered, asked.prompt_tokens, asked.completion_tokens)
        return sums


def connect(settings: EndpointSettings) -> Models:
    """The models. The key is taken from OPENAI_API_KEY; local servers need none.

    Raises:
        SettingsError: the client is not installed, or the address is none.
    """

    def model(name: str) -> ChatEndpoint:
        # A clock of its own: replies of an earlier run in this process, which may have been unusable, are not remembered.
        return ChatEndpoint(
            ChatSettings(
                settings.endpoint,
                name,
                timeout=settings.timeout,
                max_retries=settings.max_retries,
                patience=settings.patience,
                concurrency=settings.concurrency,
                **{"max_tokens": None} | with_extra({"extra": settings.extra}, "models"),
            ),
            Clock(),
        )

    return Models(model(settings.generator), model(settings.verifier))


def _complete(model: ChatEndpoint, prompt: str) -> str:
    """The reply's text without thoughts, whose drafts are no answers; raises `ReplyError`."""
    (reply,) = model.complete([[{"role": "user", "content": prompt}]])
    if isinstance(reply, Failure):
        raise ReplyError(f"{model.name}: {reply}")
    if "<think>" in reply.text and "</think>" not in reply.text:
        raise ReplyError(f"{model.name}: the reply ends within its thoughts; switch thinking off (--extra)")
    return reply.text.rpartition("</think>")[2]


def ask_chunk(models: Models, settings: EndpointSettings, text: str, source: str) -> Questions:
    """At most ``settings.per_chunk`` verified questions on a chunk, no two with the same words or the same answer.

    A question is verified if the verifier's answer from the chunk scores 1 under the source's metric, and its answer from nothing
    does not.

    Raises:
        ReplyError: a request failed, or a reply has not the form that was asked for.
    """
    kept: Questions = []
    tried: set[str] = set()
    for _ in range(settings.rounds):
        wanted = settings.per_chunk - len(kept)
        # Some more than needed, because some will not be verified.
        prompt = _GENERATE.format(number=wanted + 3, text=text)
        if tried:
            prompt += _MORE.format(known="\n".join(sorted(tried)))
        new: Questions = []
        for pair in _pairs(_complete(models.generator, prompt)):
            if normal(pair["question"]) not in tried and normal(pair["answer"]):
                tried.add(normal(pair["question"]))
                new.append(pair)
        if not new:
            break
        informed = _answers(models.verifier, text, new)
        blind = _answers(models.verifier, "", new)
        for pair, seen, unseen in zip(new, informed, blind, strict=True):
            known = {normal(other["answer"]) for other in kept}
            right = score(seen, (pair["answer"],), source) == 1 > score(unseen, (pair["answer"],), source)
            if right and normal(pair["answer"]) not in known and len(kept) < settings.per_chunk:
                kept.append(pair)
        if len(kept) == settings.per_chunk:
            break
    return kept


def _pairs(reply: str) -> Questions:
    """The questions in a generator's reply."""
    for listed in json_lists(reply):
        if listed and all(isinstance(pair, dict) and {"question", "answer"} <= set(pair) for pair in listed):
            pairs = [{name: str(pair[name]).strip() for name in ("question", "answer")} for pair in listed]
            return [pair for pair in pairs if all(pair.values())]
    raise ReplyError(f'the generator was asked for a JSON list of {{"question", "answer"}}, got {reply[:120]!r}')


def _answers(model: ChatEndpoint, text: str, asked: Questions) -> list[str]:
    """The verifier's answers, one per question."""
    questions = "\n".join(f"{number}. {pair['question']}" for number, pair in enumerate(asked, 1))
    given = f"{text}\n\n" if text else ""
    reply = _complete(model, _VERIFY.format(given=given, number=len(asked), questions=questions))
    for listed in json_lists(reply):
        if len(listed) == len(asked) and all(isinstance(answer, (str, int, float)) for answer in listed):
            return [str(answer) for answer in listed]
    raise ReplyError(f"the verifier was asked for a JSON list of {len(asked)} answers, got {reply[:120]!r}")
