"""Forward passes of which nothing is wanted but keys and values."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from agents.language_model.placement import hooked
from memenvs.errors import SettingsError


class Filled(Exception):  # noqa: N818 - it is no error
    """The last layer's keys and values are in the cache: raised out of it, and caught by `fill`."""


def fill(model: Any, past_key_values: DynamicCache, **inputs: Any) -> None:
    """Read tokens into a cache.

    The last layer stops at its keys and values, since nobody reads what it would make of them: in a model of 4 layers nearly a
    quarter of the arithmetic. A model whose modules have hooks, such as those with which accelerate moves weights between devices,
    runs to its end, for hooks may have to do something after a pass.

    Args:
        model: a causal language model of transformers.
        past_key_values: a cache made without a configuration, so that all its layers are whole; it receives keys and values, and
            keeps their gradient where gradients are.
        inputs: of the decoder: ``input_ids`` and, after the first tokens, ``attention_mask`` and ``position_ids``.

    Raises:
        SettingsError: the model kept no keys and values, as one with transformers' gradient checkpointing does in training.
    """
    for _ in range(len(past_key_values.layers), model.config.get_text_config().num_hidden_layers):
        past_key_values.layers.append(DynamicLayer())
    before = past_key_values.get_seq_length()
    if hooked(model):
        model.get_decoder()(**inputs, past_key_values=past_key_values, use_cache=True)
    else:
        _all_but_the_end(model, past_key_values, inputs)
    wanted, kept = before + inputs["input_ids"].shape[1], past_key_values.get_seq_length()
    if kept != wanted:
        raise SettingsError(
            f"after reading {wanted} tokens the model has keys and values of {kept}. With transformers' gradient checkpointing it "
            "keeps none: switch that off (model.gradient_checkpointing_disable()) and ours on (gradient_checkpointing=True)"
        )


def _all_but_the_end(model: Any, cache: DynamicCache, inputs: dict[str, Any]) -> None:
    last: Any = cache.layers[-1]

    def update(*given: Any, **more: Any) -> tuple[Tensor, Tensor]:
        type(last).update(last, *given, **more)
        raise Filled

    last.update = update
    try:
        model.get_decoder()(**inputs, past_key_values=cache, use_cache=True)
    except Filled:
        pass
    finally:
        del last.update
