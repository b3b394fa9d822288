"""Language models as memory managers.

* `PromptSettings`, `make_prompt`, `Prompt` - what a model is asked at one step.
* `CausalLM` - a model of transformers with its tokenizer.
* `SamplingSettings`, `sample`, `Sample` - messages drawn from it, with their log-probabilities.
* `LanguageModelPolicy`, `Decision`, `load_policy` - views in, decisions out.
* `LanguageModelAgent` - the policy as an agent.
* `EndpointAgent` - a model behind an OpenAI-compatible server as an agent.

Neither torch nor transformers is imported for prompts or the endpoint.
"""

from importlib import import_module
from typing import Any

from agents.language_model.prompt import Prompt, PromptSettings, make_prompt
from memenvs.errors import SettingsError

_LATER = {
    "CausalLM": "model",
    "Decision": "policy",
    "EndpointAgent": "endpoint",
    "LanguageModelAgent": "agent",
    "LanguageModelPolicy": "policy",
    "Sample": "sampling",
    "SamplingSettings": "sampling",
    "load_policy": "policy",
    "sample": "sampling",
}

__all__ = ["Prompt", "PromptSettings", "make_prompt", *_LATER]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise SettingsError(f"{name} needs torch and transformers: pip install -e '.[train,lm]'") from error
