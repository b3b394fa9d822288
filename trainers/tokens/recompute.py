"""Gradient checkpointing: what a decoder layer works out is worked out again in the backward pass instead of being kept.

Of a layer's pass over some tokens only its inputs are kept, and the keys and values that later passes look back at. A layer that is
forwarded again hands its keys and values to the cache again, so a cache is here of one pass and does not grow: the layer finds what
it found. The switch of transformers takes the cache away from the layers instead, and with it the shared prefix.

* `checkpointed` - layers forwarded within are forwarded again for the gradient.
* `PassCache` - the keys and values that a pass looks back at.

Source: Chen et al. 2016, arXiv 1604.06174, section 4; the work is done by `torch.utils.checkpoint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_layers import GradientCheckpointingLayer

from agents.language_model.cpu_linear import fast_linear
from agents.language_model.filling import Filled, fill
from memenvs.errors import SettingsError


@contextmanager
def checkpointed(model: Any) -> Iterator[None]:
    """Gradient checkpointing of every decoder layer; the backward pass may come after the block.

    Random numbers, such as those of dropout, are the same when a layer is forwarded again.

    Args:
        model: a causal language model of transformers, with or without adapters. A cache that it is given within is to be
            a `PassCache`.

    Raises:
        SettingsError: its decoder layers are not found.
    """
    layers = [part for part in model.get_decoder().modules() if isinstance(part, GradientCheckpointingLayer)]
    if len(layers) != (wanted := model.config.get_text_config().num_hidden_layers):
        raise SettingsError(
            f"gradient checkpointing needs the {wanted} decoder layers of {type(model).__name__}, and {len(layers)} are marked as "
            "such (transformers.modeling_layers.GradientCheckpointingLayer); leave it off (gradient_checkpointing=False)"
        )
    own = [vars(layer).get("forward") for layer in layers]  # accelerate may have put one there
    weight = next(model.parameters())
    try:
        for layer in layers:
            layer.forward = _again(layer.forward, weight)
        yield
    finally:
        for layer, forward in zip(layers, own, strict=True):
            if forward is None:
                del layer.forward
            else:
                layer.forward = forward


def _again(forward: Callable[..., Any], weight: Tensor) -> Callable[..., Any]:
    """The layer's forward, checkpointed."""

    def to_the_end(*given: Any, **more: Any) -> Any:
        # An exception would end the checkpoint as well. The second pass stops by itself, after the last tensor that is needed.
        try:
            return forward(*given, **more)
        except Filled:
            return None

    @wraps(forward)
    def checkpointing(*given: Any, **more: Any) -> Any:
        # What autograd saves of a linear layer depends on who multiplies.
        found = checkpoint(
            to_the_end, *given, use_reentrant=False, context_fn=lambda: (nullcontext(), fast_linear(weight)), **more
        )
        if found is None:
            raise Filled
        return found

    return checkpointing


class _PassLayer(DynamicLayer):
    """One layer's keys and values in one pass.

    Args:
        past: keys and values of each pass before, (rows, heads, tokens, width) in both. A single row is everybody's.
    """

    def __init__(self, past: tuple[tuple[Tensor, Tensor], ...] = ()) -> None:
        super().__init__()
        self.past = past
        self.new: tuple[Tensor, Tensor] | None = None
        self.reading = False
        """Whether `new` is kept: for `PassCache.read` alone. Later it would keep a graph alive that keeps this cache alive."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens before and of these."""
        if self.reading:
            self.new = key_states, value_states
        keys, values = zip(*self.past, (key_states, value_states), strict=True)
        return _joined(keys), _joined(values)

    def get_seq_length(self) -> int:
        """Tokens before, and those that are being read."""
        known = self.past if self.new is None else (*self.past, self.new)
        return sum(keys.shape[-2] for keys, _ in known)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    rows = len(parts[-1])
    return torch.cat([part.expand(rows, -1, -1, -1) for part in parts], dim=-2)


class PassCache(DynamicCache):
    """The keys and values that one pass looks back at, and no more: a pass leaves it as it was.

    Args:
        layers: one for each decoder layer.
    """

    def __init__(self, layers: Sequence[_PassLayer]) -> None:
        super().__init__()
        self.layers: list[Any] = list(layers)

    @classmethod
    def empty(cls, model: Any) -> PassCache:
        """For the first pass."""
        return cls([_PassLayer() for _ in range(model.config.get_text_config().num_hidden_layers)])

    def read(self, model: Any, **inputs: Any) -> PassCache:
        """Read tokens, as `agents.language_model.filling.fill` does.

        Args:
            model: a causal language model of transformers.
            inputs: see `fill`.

        Returns:
            The next pass's cache, for as many rows as were read, or for any number of rows where one was.
        """
        for layer in self.layers:
            layer.reading = True
        fill(model, self, **inputs)
        following = PassCache([_PassLayer((*layer.past, layer.new)) for layer in self.layers])
        for layer in self.layers:
            layer.reading, layer.new = False, None
        return following

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Nothing is copied: one row of keys and values is shown to as many rows as look at it."""
