"""LocalModel: conversations in, replies or failures out, by a model of transformers within this process.

It is asked as `memenvs.endpoint.ChatEndpoint` is, so that a reader cannot tell one from the other.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memenvs.endpoint import EndpointError, Failure, Message, Reply, Usage
from memenvs.reading.local_settings import LocalSettings
from memenvs.reading.local_weights import shared_weights

REMEMBERED = 65_536
"""Replies that are remembered."""


class LocalModel:
    """A causal language model that writes the most probable reply.

    Models with equal settings share their weights within a process; each counts its own `usage`. It is pickled and copied by its
    settings: another process loads the weights anew.

    Args:
        settings: which model, how long its replies are.

    Raises:
        SettingsError: torch or transformers is not installed, or there is no chat template.
        DataError: there is no such model, or it is no causal language model.
    """

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self.usage = Usage()
        """What was asked, and how many tokens that took; equal conversations are read once."""
        self._weights = shared_weights(settings)
        self._known: OrderedDict[str, Reply] = OrderedDict()

    def __reduce__(self) -> Any:
        return type(self), (self.settings,)

    @property
    def name(self) -> str:
        """The folder's name, or the id on the hub."""
        local = Path(self.settings.model)
        return local.resolve().name if local.is_dir() else self.settings.model

    def complete(self, conversations: Sequence[Sequence[Message]]) -> list[Reply | Failure]:
        """One reply, or the reason why there is none, per conversation and in their order.

        A reply does not depend on the conversations beside it, but for rounding where two tokens are equally probable to the last
        digits; with ``batch=1`` not even then.

        Args:
            conversations: each a list of ``{"role": ..., "content": ...}``.
        """
        keys = [json.dumps([dict(message) for message in messages]) for messages in conversations]
        found: dict[str, Reply | Failure] = {}
        with self._weights.lock:
            new = {key: c for key, c in zip(keys, conversations, strict=True) if key not in self._known}
            found |= {key: self._known[key] for key in keys if key in self._known}
            prompts: dict[str, list[int]] = {}
            for key, messages in new.items():
                read = self._weights.tokens(self._weights.text(messages, self.settings.chat_template_kwargs))
                tokens = read if isinstance(read, Failure) else self._fitting(read, self.settings.max_tokens)
                if isinstance(tokens, Failure):
                    found[key] = tokens
                else:
                    prompts[key] = tokens
            for part in _parts(prompts, self.settings.batch):
                rows = self._weights.write([prompts[key] for key in part], self.settings.max_tokens)
                found |= dict(zip(part, rows, strict=True))
            for key in new:
                if isinstance(reply := found[key], Reply):
                    self._known[key] = reply
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        fresh = set(new)
        for key in keys:
            self.usage.count(found[key], cached=key not in fresh)
            fresh.discard(key)
        return [found[key] for key in keys]

    def token_log_probs(
        self, conversations: Sequence[Sequence[Message]], begun: Sequence[str], answers: Sequence[str]
    ) -> list[tuple[float, ...]]:
        """Natural log-probabilities of texts that a reply could go on with.

        Args:
            conversations: each a list of ``{"role": ..., "content": ...}``.
            begun: what the reply begins with, one per conversation; its probability is not asked for.
            answers: what follows, one per conversation.

        Returns:
            One tuple per conversation. Tokens are those of the whole text: one that holds the end of ``begun`` and the beginning of
            the answer counts to the answer.

        Raises:
            EndpointError: a text is too long for the model, or has no token of its own.
        """
        asked: dict[int, tuple[list[int], int]] = {}
        for place, (messages, start, answer) in enumerate(zip(conversations, begun, answers, strict=True)):
            text = self._weights.text(messages, self.settings.chat_template_kwargs)
            if isinstance(text, Failure):
                raise EndpointError(str(text))
            head = self._weights.tokens(text + start)
            whole = self._fitting(self._weights.tokens(text + start + answer), 0)
            if isinstance(whole, Failure):
                raise EndpointError(str(whole))
            own = len(whole) - next((i for i, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), len(head))
            if own < 1:
                raise EndpointError(f"the answer {answer!r} has no token of its own; give a text that is not empty")
            asked[place] = whole, own
        found: dict[int, tuple[float, ...]] = {}
        with self._weights.lock:
            for part in _parts({place: tokens for place, (tokens, _) in asked.items()}, self.settings.batch):
                rows = self._weights.log_probs([asked[place] for place in part])
                found |= dict(zip(part, rows, strict=True))
        for tokens, _ in asked.values():
            self.usage.count(Reply("", prompt_tokens=len(tokens), completion_tokens=0), cached=False)
        return [found[place] for place in range(len(asked))]

    def _fitting(self, tokens: list[int], room: int) -> list[int] | Failure:
        """The tokens, if they and ``room`` more fit into the model's context."""
        context = self._weights.context
        if context is None or len(tokens) + room <= context:
            return tokens
        more = f" and a reply of {room}" if room else ""
        return Failure(
            "refused",
            f"a prompt of {len(tokens)} tokens{more} exceed the model's context of {context}; set a smaller k or max_tokens, or "
            "shorter memory items",
        )


def _parts(prompts: dict[Any, list[int]], batch: int) -> Iterator[list[Any]]:
    """Keys of prompts that go through the model together: of similar length, so that little is padding."""
    order = sorted(prompts, key=lambda key: len(prompts[key]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
