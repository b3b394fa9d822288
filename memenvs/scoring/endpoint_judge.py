"""EndpointJudge: a model behind an OpenAI-compatible server judges.

* `EndpointJudge` - answers the prompts of a rubric.
* `make_judge` - a judge from an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memenvs.endpoint import ChatEndpoint, EndpointError, Failure, Usage, chat_settings
from memenvs.errors import SettingsError
from memenvs.scoring.judge import Judge, JudgeError, all_replied


class EndpointJudge:
    """See `memenvs.scoring.Judge`. Each prompt is one user message, without a system message.

    Replies are kept by the endpoint, in memory and in the file of its settings (``cache=...``): scoring again costs nothing.
    Thoughts in ``<think>`` are no part of a reply.

    Args:
        endpoint: who is asked. Without a model's name in its settings the server is asked for it here, so it must be up.

    Raises:
        SettingsError: the model cannot be named.
    """

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self.endpoint = endpoint
        try:
            self.name = endpoint.name
        except EndpointError as error:
            raise SettingsError(f"{error}. Start the server, or name the model") from error

    def __reduce__(self) -> Any:
        return type(self), (self.endpoint,)

    @property
    def usage(self) -> Usage:
        """What asking cost so far."""
        return self.endpoint.usage

    def replies(self, prompts: Sequence[str]) -> list[str]:
        """See `memenvs.scoring.Judge.replies`.

        Raises:
            ScorerError: a prompt got no reply. Those that got one are kept, so asking again costs only what failed.
        """
        return all_replied(self.name, self.attempts(prompts))

    def attempts(self, prompts: Sequence[str]) -> list[str | JudgeError]:
        """As `replies`, with a `JudgeError` in place of each reply that failed."""
        try:
            found = self.endpoint.complete([[{"role": "user", "content": prompt}] for prompt in prompts])
        except (SettingsError, EndpointError) as error:
            return [JudgeError(f"the judge {self.name!r} cannot ask: {error}")] * len(prompts)
        texts = [reply if isinstance(reply, Failure) else _said(reply.text) for reply in found]
        return [text if isinstance(text, str) else JudgeError(str(text)) for text in texts]


def _said(text: str) -> str | Failure:
    """A reply without thoughts."""
    said = text.rpartition("</think>")[2].strip() if "</think>" in text else text
    if not said or ("<think>" in text and "</think>" not in text):
        return Failure("no_text", "the reply holds thoughts and no verdict; raise max_tokens, or switch thinking off")
    return said


def make_judge(judge: str | Judge, **settings: Any) -> Judge:
    """A judge from an address, or the given one.

    Args:
        judge: the address of an OpenAI-compatible server, ``"http://127.0.0.1:8000/v1"`` or with a model
            ``"http://127.0.0.1:8000/v1#Qwen/Qwen3-32B"``, or a judge.
        settings: fields of `memenvs.endpoint.ChatSettings`.

    Raises:
        SettingsError: it is neither, the model cannot be named, or a setting is unknown or cannot work.
    """
    if isinstance(judge, str):
        if not judge.startswith(("http://", "https://")):
            raise SettingsError(
                f"a judge is given as the address of a server, http://HOST:PORT/v1#MODEL, got {judge!r}"
            )
        return EndpointJudge(ChatEndpoint(chat_settings(judge, **settings)))
    if settings:
        raise SettingsError(f"only a judge at an address takes settings, got {', '.join(settings)}")
    if not callable(getattr(judge, "replies", None)) or not isinstance(getattr(judge, "name", None), str):
        raise SettingsError(f"a judge needs a name and replies(prompts) -> list of texts, got {type(judge).__name__}")
    return judge
