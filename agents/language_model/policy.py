"""The language model as a policy: views in, decisions out.

* `LanguageModelPolicy` - what trainers sample from and evaluation asks.
* `Decision` - one message with all that is needed to train on it.
* `load_policy` - the policy of a folder; `saved_settings` - what the folder says of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from agents.base import View
from agents.language_model.fitting import Fitted, fit
from agents.language_model.model import CausalLM
from agents.language_model.prompt import PromptSettings
from agents.language_model.sampling import Sample, SamplingSettings, sample
from agents.language_model.spoken import spoken
from memenvs.errors import DataError, SettingsError

PROMPT_FILE = "prompt.json"
"""Beside the weights: how they were asked when they were trained."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One message as it was drawn."""

    message: str
    """What the environment gets: the text without thoughts."""
    sample: Sample
    """Prompt and message in token ids, log-probabilities, whether it was cut off."""
    shortened: bool = False
    """Whether the prompt shows less memory than its settings allow, since the model's context has no room for more."""

    @property
    def log_prob(self) -> float:
        """Log-probability of the whole message at the sampling temperature."""
        return sum(self.sample.log_probs)

    @property
    def truncated(self) -> bool:
        """Whether the message was cut off at its longest."""
        return self.sample.truncated


class LanguageModelPolicy:
    """A model, its prompts and how it is sampled.

    Args:
        lm: the model.
        prompt: see `PromptSettings`.
        sampling: see `SamplingSettings`.
        batch: most prompts that are forwarded together.

    Raises:
        SettingsError: ``batch`` is below 1.
    """

    def __init__(
        self,
        lm: CausalLM,
        prompt: PromptSettings = PromptSettings(),
        sampling: SamplingSettings = SamplingSettings(),
        batch: int = 64,
    ) -> None:
        if batch < 1:
            raise SettingsError(f"batch must be at least 1, got {batch}")
        self.lm, self.prompt, self.sampling, self.batch = lm, prompt, sampling, batch

    def fit(self, view: View) -> Fitted:
        """The prompt for a view, with less memory where the model's context asks for it; the only way from a view to the model.

        Raises:
            SettingsError: the prompt does not fit without any memory either.
        """
        return fit(self.lm, view, self.prompt, self.sampling.max_tokens)

    def tokens(self, view: View) -> tuple[int, ...]:
        """The token ids of `fit`."""
        return self.fit(view).tokens

    def act(
        self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None, greedy: bool = False
    ) -> list[Decision]:
        """Decide for several episodes at once.

        Views of one chunk, such as the rollouts of a group, share most of their prompt, which is read once for all of them.

        Args:
            views: what each episode's agent sees.
            rngs: one generator per episode, so that an episode does not depend on its batch; unused if greedy. Each gives
                ``max_tokens`` numbers, however long the message becomes.
            greedy: take the most probable token each time, whatever ``sampling`` says.

        Returns:
            One `Decision` per view.

        Raises:
            SettingsError: not greedy and no generator per view, or prompt and message exceed the model's context even without any
                memory.
        """
        how = self.sampling
        greedy = greedy or how.temperature == 0
        if not greedy and (rngs is None or len(rngs) != len(views)):
            raise SettingsError(f"sampling needs one generator per view: {len(views)} views, rngs={rngs!r:.80}")
        if greedy:
            how = SamplingSettings(0.0, 1.0, how.max_tokens, how.stop)
        chances = None if greedy or rngs is None else [rng.random(how.max_tokens) for rng in rngs]
        fitted = [self.fit(view) for view in views]
        prompts = [one.tokens for one in fitted]
        groups = [(view.chunk, view.step, view.T) for view in views]
        # Rows of a group stay together; they go through the model from the shortest prompt to the longest.
        order = sorted(range(len(views)), key=lambda i: (groups.index(groups[i]), len(prompts[i])))
        drawn: dict[int, Sample] = {}
        for start in range(0, len(order), self.batch):
            part = order[start : start + self.batch]
            uniforms = None if chances is None else np.stack([chances[i] for i in part])
            samples = sample(self.lm, [prompts[i] for i in part], how, uniforms, [groups[i] for i in part])
            drawn |= dict(zip(part, samples, strict=True))
        return [
            Decision(spoken(drawn[i].text, self.lm.thinks(one.tokens)), drawn[i], one.shortened)
            for i, one in enumerate(fitted)
        ]

    def save(self, folder: str | Path) -> None:
        """Write model, tokenizer, how prompts are made and messages end, and the dtype: `load_policy` asks it as it was trained."""
        path = Path(folder)
        self.lm.model.save_pretrained(path)
        self.save_prompt(path)

    def save_prompt(self, folder: str | Path) -> None:
        """Write all of `save` but the model."""
        path = Path(folder)
        self.lm.tokenizer.save_pretrained(path)
        told = {
            "prompt": asdict(self.prompt),
            "sampling": {"max_tokens": self.sampling.max_tokens, "stop": self.sampling.stop},
            "thinking": self.lm.thinking,
            "system": self.lm.system,
            "dtype": self.lm.dtype,
        }
        if self.lm.template != self.lm.tokenizer.chat_template:
            told["chat_template"] = self.lm.template
        (path / PROMPT_FILE).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_policy(model: str | Path, batch: int = 64, **settings: Any) -> LanguageModelPolicy:
    """The policy of a model.

    Args:
        model: a folder or an id on a hub. A folder that `LanguageModelPolicy.save` wrote says how its prompts are made, how its
            messages end, and in what dtype it computes (float32 where it does not say).
        batch: most prompts that are forwarded together.
        settings: of `PromptSettings`, `SamplingSettings` and `CausalLM.from_pretrained`; they go before what the folder says.

    Raises:
        DataError: there is no such model, or the folder's settings cannot be read.
        SettingsError: a setting cannot work.
        TypeError: a setting is unknown.
    """
    told = saved_settings(Path(model))
    prompt = PromptSettings(**told.pop("prompt", {}) | _taken(PromptSettings, settings))
    sampling = SamplingSettings(**told.pop("sampling", {}) | _taken(SamplingSettings, settings))
    return LanguageModelPolicy(CausalLM.from_pretrained(model, **told | settings), prompt, sampling, batch)


def _taken(kind: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are fields of a dataclass; taken out."""
    return {field.name: settings.pop(field.name) for field in fields(kind) if field.name in settings}


def saved_settings(folder: Path) -> dict[str, Any]:
    """What `LanguageModelPolicy.save` wrote about a model, as plain data: ``prompt``, ``sampling`` and so on; {} if nothing.

    Raises:
        DataError: it cannot be read.
    """
    file = folder / PROMPT_FILE
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        PromptSettings(**told["prompt"])
        SamplingSettings(**told["sampling"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} should hold what LanguageModelPolicy.save writes: {error}") from error
    return told
