"""A language model as an agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from agents.base import View
from agents.language_model.model import CausalLM
from agents.language_model.policy import Decision, LanguageModelPolicy, load_policy
from agents.language_model.prompt import PromptSettings
from agents.language_model.sampling import SamplingSettings
from memenvs.errors import SettingsError
from memenvs.streams.types import Stream


class LanguageModelAgent:
    """A language model that manages a memory.

    The environment must read the agent's ``dialect``.

    Args:
        model: a folder, an id on a hub, a `CausalLM`, or a `LanguageModelPolicy` with settings of its own.
        temperature: of sampling; 0 takes the most probable tokens.
        batch: most prompts that are forwarded together, for `act_batch`.
        settings: those of `SamplingSettings`, `PromptSettings` and `CausalLM.from_pretrained`, such as ``max_tokens=256``,
            ``dialect="sentences"``, ``max_operations=3``, ``dtype="bfloat16"``.

    Raises:
        SettingsError: a setting is unknown or cannot work.
        DataError: there is no such model.
    """

    def __init__(
        self,
        model: str | Path | CausalLM | LanguageModelPolicy,
        temperature: float = 0.0,
        batch: int = 64,
        **settings: Any,
    ) -> None:
        if isinstance(model, LanguageModelPolicy):
            if settings:
                raise SettingsError(f"a given policy has its own settings; not taken: {', '.join(settings)}")
            self.policy = model
        else:
            settings["temperature"] = temperature
            if isinstance(model, CausalLM):
                names = [field.name for field in fields(SamplingSettings) if field.name in settings]
                sampling = SamplingSettings(**{name: settings.pop(name) for name in names})
                self.policy = LanguageModelPolicy(model, PromptSettings(**settings), sampling, batch)
            else:
                self.policy = load_policy(model, batch, **settings)
        self.name = f"lm:{self.policy.lm.name}"
        self.dialect = self.policy.prompt.dialect
        """What the environment must read."""
        self.counts: Counter[str] = Counter()
        """Messages, those truncated, prompts shortened to fit the context, tokens read and written, since the agent was made."""
        self.together = self.policy.batch
        """Episodes that are worth playing side by side."""
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Seed the draws; the stream is not looked at."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        return self.act_batch([View.of(observation, info)], [self._rng])[0].message

    def act_batch(self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None) -> list[Decision]:
        """Decide for several episodes at once; see `LanguageModelPolicy.act`.

        Args:
            views: what each episode's agent sees.
            rngs: one generator per episode; not needed at temperature 0.
        """
        decisions = self.policy.act(views, rngs)
        for decision in decisions:
            self.counts["messages"] += 1
            self.counts["truncated"] += decision.truncated
            self.counts["shortened"] += decision.shortened
            self.counts["prompt_tokens"] += len(decision.sample.prompt)
            self.counts["completion_tokens"] += len(decision.sample.tokens)
        return decisions

    def messages(self, views: Sequence[View], rngs: Sequence[np.random.Generator]) -> list[str]:
        """The messages of `act_batch`."""
        return [decision.message for decision in self.act_batch(views, rngs)]
