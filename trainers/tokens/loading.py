"""The model that a run begins or goes on with.

* `load_lm` - as its folder or a hub has it.
* `adapted` - with adapters around it.
* `load_weights` - the weights of a checkpoint put into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.language_model.model import CausalLM
from agents.language_model.policy import saved_settings
from memenvs.errors import DataError, SettingsError
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


def adapted(model: Any, rank: int) -> Any:
    """The model with trainable adapters on every linear layer, and everything else frozen.

    It is in evaluation mode, in which it stays in training: with dropout, a token's probability would not be the one it was drawn
    with.

    Raises:
        SettingsError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise SettingsError("adapters need peft: pip install -e '.[lm]'") from error
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config).eval()


def load_weights(model: Any, folder: Path) -> None:
    """Put the weights that ``save_pretrained`` wrote into a model of the same shape, or into its adapters.

    Raises:
        DataError: they are not there, or do not fit.
    """
    from safetensors.torch import load_file

    try:
        if (folder / "adapter_model.safetensors").is_file():
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
            return
        loaded = type(model).from_pretrained(folder, dtype=next(model.parameters()).dtype)
        model.load_state_dict(loaded.state_dict())
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{folder}: the model's weights do not fit: {error}") from error
