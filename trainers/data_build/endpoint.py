"""Chunk questions through an OpenAI-compatible endpoint: one model writes them, another verifies them.

Fine-Mem (arXiv 2601.08435) has five questions per chunk written by one model and verified by another from the chunk alone,
duplicates left out. Its prompts are not published; these are ours. Here a question that is answered without the chunk is left
out too.

* `EndpointSettings` - where and with which models.
* `Usage` - what it cost.
* `ask_chunk` - the questions of one chunk.
* `json_list` - the list in a model's reply.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from memenvs.errors import MemenvsError, SettingsError, whole
from memenvs.scoring.profiles import score
from memenvs.streams.builders.chunk_questions import normal
from trainers.data_build.asked import Questions

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
    """Of a request, by the client, after 429, 5xx and broken connections."""
    timeout: float = 120.0
    """Seconds for a request."""
    give_up: int = 20
    """A run ends after so many failed chunks one after the other."""

    def __post_init__(self) -> None:
        for name, least in (("per_chunk", 1), ("rounds", 1), ("concurrency", 1), ("max_retries", 0), ("give_up", 1)):
            whole(name, getattr(self, name), least)
        for name in ("endpoint", "generator", "verifier"):
            if not getattr(self, name):
                raise SettingsError(
                    f"{name} is missing: questions through an endpoint need endpoint, generator and verifier"
                )
        if not self.timeout > 0:
            raise SettingsError(f"timeout must be above 0 seconds, got {self.timeout}")


@dataclass
class Usage:
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


Complete = Callable[[str, str, Usage], str]
"""(model, prompt, usage) -> the reply's text; raises `ReplyError`."""


def connect(settings: EndpointSettings) -> Complete:
    """A function that asks the endpoint. The key is taken from OPENAI_API_KEY; local servers need none.

    Raises:
        SettingsError: the client is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise SettingsError("asking an endpoint needs the openai client: pip install -e '.[endpoint]'") from error
    client = openai.OpenAI(
        base_url=settings.endpoint,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        max_retries=settings.max_retries,
        timeout=settings.timeout,
    )

    def complete(model: str, prompt: str, usage: Usage) -> str:
        try:
            reply = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}], temperature=0
            )
        except (openai.OpenAIError, ValueError) as error:
            raise ReplyError(f"{model}: {type(error).__name__}: {error}") from error
        # What is no JSON comes back as a plain string, what is JSON but no completion as an object without choices.
        spent = getattr(reply, "usage", None)
        tokens = [getattr(spent, name, None) or 0 for name in ("prompt_tokens", "completion_tokens")]
        usage.add(1, tokens[0], tokens[1])
        choices = getattr(reply, "choices", None)
        text = choices[0].message.content if choices and choices[0].message else None
        if not isinstance(text, str) or not text.strip():
            raise ReplyError(f"{model}: expected a chat completion with text, got {str(reply)[:120]!r}")
        return text

    return complete


def ask_chunk(complete: Complete, settings: EndpointSettings, text: str, source: str, usage: Usage) -> Questions:
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
        for pair in _pairs(complete(settings.generator, prompt, usage)):
            if normal(pair["question"]) not in tried and normal(pair["answer"]):
                tried.add(normal(pair["question"]))
                new.append(pair)
        if not new:
            break
        informed = _answers(complete, settings.verifier, text, new, usage)
        blind = _answers(complete, settings.verifier, "", new, usage)
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
    for listed in json_list(reply):
        if listed and all(isinstance(pair, dict) and {"question", "answer"} <= set(pair) for pair in listed):
            pairs = [{name: str(pair[name]).strip() for name in ("question", "answer")} for pair in listed]
            return [pair for pair in pairs if all(pair.values())]
    raise ReplyError(f'the generator was asked for a JSON list of {{"question", "answer"}}, got {reply[:120]!r}')


def _answers(complete: Complete, model: str, text: str, asked: Questions, usage: Usage) -> list[str]:
    """The verifier's answers, one per question."""
    questions = "\n".join(f"{number}. {pair['question']}" for number, pair in enumerate(asked, 1))
    given = f"{text}\n\n" if text else ""
    reply = complete(model, _VERIFY.format(given=given, number=len(asked), questions=questions), usage)
    for listed in json_list(reply):
        if len(listed) == len(asked) and all(isinstance(answer, (str, int, float)) for answer in listed):
            return [str(answer) for answer in listed]
    raise ReplyError(f"the verifier was asked for a JSON list of {len(asked)} answers, got {reply[:120]!r}")


def json_list(reply: str) -> Sequence[list[Any]]:
    """Every JSON list in a reply, from the first on: models write words, fences and thoughts around it."""
    decoder, found, start = json.JSONDecoder(), [], reply.find("[")
    while start >= 0:
        try:
            listed, end = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found.append(listed)
        start = reply.find("[", end)
    return found
