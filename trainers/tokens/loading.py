"""The model that a run begins with."""

from __future__ import annotations

from pathlib import Path

from agents.language_model.model import CausalLM
from agents.language_model.policy import saved_settings
from trainers.chat_template import TEMPLATE_OPTIONS, template_arguments
from trainers.tokens.settings import LanguageModelSettings


def load_lm(own: LanguageModelSettings, device: str | None) -> CausalLM:
    """Load it, without adapters.

    Its prompts are written as the settings say; where these are silent, as the folder's prompt.json says (a run that begins with
    another run's model asks it as that run did), or else as `CausalLM.from_pretrained` does.

    Args:
        own: the settings.
        device: see `CausalLM.from_pretrained`.

    Raises:
        SettingsError: the model cannot be used.
        DataError: there is no such model, or its prompt.json or the chat template cannot be read.
    """
    told = saved_settings(Path(own.model))
    kept = {name: told[name] for name in TEMPLATE_OPTIONS if name in told}
    return CausalLM.from_pretrained(own.model, own.dtype, device, **kept | template_arguments(vars(own)))
