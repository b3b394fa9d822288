"""A language model behind an OpenAI-compatible server as an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from agents.base import AgentError, View
from agents.language_model.prompt import PromptSettings, make_prompt
from agents.language_model.spoken import spoken
from memenvs.endpoint import ChatEndpoint, Failure, chat_settings
from memenvs.streams.types import Stream


class EndpointAgent:
    """A hosted model that manages a memory. It is asked the same prompts as a model in this process.

    The environment must read the agent's ``dialect``.

    Args:
        url: ``"http://host:port/v1#model"``; without a model the only one that the server lists.
        tools: whether a dialect of tool calls hands its tools to the server; otherwise they are described in the instructions, for
            servers that know of none.
        system: whether instructions are a message of the role "system"; otherwise they begin the user's.
        settings: those of `PromptSettings` and `memenvs.endpoint.ChatSettings`, such as ``dialect="function_calls"``,
            ``max_tokens=512``, ``cache="replies.sqlite"``.

    Raises:
        SettingsError: a setting is unknown or cannot work.
    """

    def __init__(self, url: str, tools: bool = True, system: bool = True, **settings: Any) -> None:
        own = {f.name for f in fields(PromptSettings)} & settings.keys()
        self.prompt = PromptSettings(**{name: settings.pop(name) for name in sorted(own)})
        self.dialect = self.prompt.dialect
        """What the environment must read."""
        self._tools, self._system = tools, system
        offered = make_prompt(View("", (), 0, 1), self.prompt).tools if tools else ()
        if offered:
            settings["extra"] = {"tools": list(offered)} | dict(settings.get("extra", {}))
        self.endpoint = ChatEndpoint(chat_settings(url, **settings))
        self.together = self.endpoint.settings.concurrency
        """Episodes that are worth playing side by side."""

    @property
    def name(self) -> str:
        """``"endpoint:MODEL"``; the server is asked where the address names no model.

        Raises:
            SettingsError: the server lists none or several.
            EndpointError: the server cannot be asked.
        """
        return f"endpoint:{self.endpoint.name}"

    @property
    def usage(self) -> Any:
        """What was asked, and what it cost: `memenvs.endpoint.Usage`."""
        return self.endpoint.usage

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Nothing to forget. The seed reaches no server: other samples of one prompt come with another ``sample``."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`.

        Raises:
            AgentError: the server gave no reply.
        """
        (found,) = self.messages([View.of(observation, info)])
        if isinstance(found, AgentError):
            raise found
        return found

    def act_batch(self, views: Sequence[View]) -> list[str | Failure]:
        """A message, or why there is none, per view; as many at a time as the endpoint's ``concurrency`` says."""
        asked = [make_prompt(view, self.prompt).messages(self._tools, self._system) for view in views]
        return [reply if isinstance(reply, Failure) else spoken(reply.text) for reply in self.endpoint.complete(asked)]

    def messages(self, views: Sequence[View], rngs: Sequence[Any] | None = None) -> list[str | AgentError]:
        """The messages of `act_batch`, with the error to raise where there is none."""
        where = self.endpoint.settings.base_url
        return [
            AgentError(f"{where} gave no message for step {view.step}: {found}")
            if isinstance(found, Failure)
            else found
            for view, found in zip(views, self.act_batch(views), strict=True)
        ]
