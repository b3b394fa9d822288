"""What an agent is, and how to make one by name.

* `Agent` - the protocol: `reset` at the start of an episode, `act` once per step.
* `View` - what an agent sees at one step, without the rendered memory.
* `AgentError` - an agent could not decide.
* `make_agent`, `AGENTS` - agents by name; `MODEL_AGENTS` - those that need a model too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from memenvs.episode import Observation
from memenvs.errors import MemenvsError, SettingsError, did_you_mean
from memenvs.memory.bank import MemoryItem
from memenvs.memory.operations import Operation
from memenvs.streams.types import Stream

SKIP_MESSAGE = '[{"op": "SKIP"}]'
"""The message that changes nothing."""


class AgentError(MemenvsError):
    """An agent could not decide, for instance because its server failed. That is no SKIP: the step has not been played."""


@dataclass(frozen=True, slots=True)
class View:
    """What an agent sees at one step."""

    chunk: str
    """The chunk's text."""
    memory: tuple[MemoryItem, ...]
    """All memory items in the order of their INSERT."""
    step: int
    """0-based."""
    T: int
    """Number of steps of the episode."""
    timestamp: str | None = None
    """When the chunk happened, if the data says so."""

    @classmethod
    def of(cls, observation: Mapping[str, Any], info: Mapping[str, Any]) -> View:
        """Take a view from what the environment returned."""
        step, T = int(observation["step"]), int(info["T"])
        return cls(observation["chunk"], info["memory"], step, T, info.get("timestamp"))

    @classmethod
    def each(cls, observations: Mapping[str, Any], infos: Mapping[str, Any]) -> list[View]:
        """Take one view per episode from what a vector environment returned."""
        rows = zip(
            observations["chunk"], infos["memory"], observations["step"], infos["T"], infos["timestamp"], strict=True
        )
        return [cls(chunk, memory, int(step), int(T), timestamp) for chunk, memory, step, T, timestamp in rows]

    @classmethod
    def seen(cls, observation: Observation) -> View:
        """Take a view from what `memenvs.Episode.observe` returned."""
        return cls(observation.chunk, observation.memory, observation.step, observation.T, observation.timestamp)


@runtime_checkable
class Agent(Protocol):
    """Something that manages a memory."""

    name: str
    """Name in results."""

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Forget the last episode and start another one.

        Args:
            seed: makes the agent's own draws repeatable.
            stream: the episode's material. Only hindsight agents, which serve as upper anchors, may look at its later
                chunks, questions and evidence; all others must ignore it.
        """
        ...

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """Choose the operations of one step.

        Args:
            observation: ``chunk``, ``memory`` (rendered) and ``step``, as returned by the environment.
            info: among others ``memory``, a tuple of `MemoryItem`, and ``T``.

        Returns:
            The raw message, native JSON.
        """
        ...


_REGISTRY = {
    "keep_everything": "agents.controls:KeepEverything",
    "nothing": "agents.controls:Nothing",
    "random": "agents.controls:Random",
    "careless": "agents.blended:Careless",
    "blended": "agents.blended:Blended",
    "first": "agents.budgeted:First",
    "last": "agents.budgeted:Last",
    "random_budget": "agents.budgeted:RandomBudget",
    "scripted": "agents.scripted:Scripted",
    "hindsight": "agents.hindsight:Hindsight",
    "adder": "agents.adder:Adder",
    "every_fact": "agents.newest_fact:EveryFact",
    "newest_fact": "agents.newest_fact:NewestFact",
    "candidate": "agents.candidate:CandidateAgent",
}
AGENTS = list(_REGISTRY)
"""Names accepted by `make_agent`."""
_MODEL_REGISTRY = {
    "lm": "agents.language_model:LanguageModelAgent",
    "endpoint": "agents.language_model:EndpointAgent",
}
_MODEL_ARGUMENTS = {"lm": "model", "endpoint": "url"}
MODEL_AGENTS = list(_MODEL_REGISTRY)
"""Names accepted with a model behind a colon: ``"lm:FOLDER"`` or ``"lm:HUB_ID"``, ``"endpoint:http://host:port/v1#model"``."""


def make_agent(name: str, **settings: Any) -> Agent:
    """Make an agent by name.

    Args:
        name: one of `AGENTS`, or one of `MODEL_AGENTS` with its model behind a colon.
        settings: keyword arguments of the agent, for instance ``max_operations=3``.

    Raises:
        SettingsError: the name or a setting is unknown, or a model is missing.
    """
    kind, _, model = name.partition(":")
    if kind in _MODEL_REGISTRY:
        argument = _MODEL_ARGUMENTS[kind]
        if model:
            settings[argument] = model
        elif argument not in settings:
            raise SettingsError(f"the agent {kind!r} needs a model: {kind}:MODEL, or {argument}=...")
    elif name not in _REGISTRY:
        known = ", ".join([*AGENTS, *(f"{kind}:MODEL" for kind in MODEL_AGENTS)])
        raise SettingsError(f"unknown agent {name!r}; known: {known}.{did_you_mean(name, [*AGENTS, *MODEL_AGENTS])}")
    module, attribute = (_REGISTRY | _MODEL_REGISTRY)[kind].split(":")
    agent_class = getattr(import_module(module), attribute)
    try:
        return agent_class(**settings)
    except TypeError as error:
        raise SettingsError(f"the agent {name!r} does not take these settings: {error}") from error


def message(operations: Iterable[Operation]) -> str:
    """Operations as a native message in canonical order: DELETE, UPDATE, INSERT, each in the order given.

    Deleting first makes room under a token budget. No operation at all gives `SKIP_MESSAGE`.
    """
    order = {"DELETE": 0, "UPDATE": 1, "INSERT": 2}
    entries = []
    for operation in sorted((o for o in operations if o.op != "SKIP"), key=lambda o: order[o.op]):
        target = "" if operation.id is None else f', "id": {_quoted(operation.id)}'
        content = "" if operation.content is None else f', "content": {_quoted(operation.content)}'
        entries.append(f'{{"op": "{operation.op}"{target}{content}}}')
    return f"[{', '.join(entries)}]" if entries else SKIP_MESSAGE


@lru_cache(maxsize=16384)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
