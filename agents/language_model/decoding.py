"""What makes drawing one token after the other cheap, on any model of transformers.

* `with_room` - a cache that takes tokens in without being copied.
* `folded_attention` - attention of one new token that does not copy the keys of grouped heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "memenvs_folded"


class _Room(DynamicLayer):
    """Keys and values at the beginning of a block that has room for more."""

    keys: Any
    values: Any

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._blocks = [_block(part, room) for part in (keys, values)]
        self._show(keys.shape[-2])

    def _show(self, length: int) -> None:
        self.keys, self.values = (block[:, :, :length] for block in self._blocks)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """See `DynamicLayer.update`."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for block, new in zip(self._blocks, (key_states, value_states), strict=True):
            block[:, :, start:end] = new
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """See `DynamicLayer.batch_select_indices`."""
        length = self.keys.shape[-2]
        self._blocks = [block[indices] for block in self._blocks]
        self._show(length)


def _block(part: Tensor, room: int) -> Tensor:
    rows, heads, length, width = part.shape
    block = part.new_empty(rows, heads, length + room, width)
    block[:, :, :length] = part
    return block


def with_room(cache: DynamicCache, room: int) -> DynamicCache:
    """The cache with room for ``room`` tokens: otherwise each one copies all keys and values before it.

    Args:
        cache: of B rows that have been read; it is changed.
        room: tokens that will be drawn.
    """
    for place, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.keys is not None and layer.values is not None:
            cache.layers[place] = _Room(layer.keys, layer.values, room)
    return cache


@contextmanager
def folded_attention(model: Any) -> Iterator[None]:
    """Attend with `_folded` inside of the block, where the model otherwise attends with PyTorch's ``sdpa``."""
    # Attention with a cap, a window of another kernel or "eager" stays what it is.
    fold = model.config.get_text_config()._attn_implementation == "sdpa"
    if fold:
        model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        if fold:
            model.set_attn_implementation("sdpa")


def _folded(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it.

    A single new token (query (B, H, 1, D), keys (B, K, N, D)) has its H / K queries of a key head as rows of one small matrix;
    ``sdpa`` in transformers copies the keys H / K times where there is a mask.
    """
    rows, heads, length, width = query.shape
    if length > 1 or key.shape[1] == heads:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **settings)
    queries = query.reshape(rows, key.shape[1], heads // key.shape[1], width)
    found = scaled_dot_product_attention(queries, key, value, attn_mask=attention_mask, scale=scaling)
    return found.reshape(rows, 1, heads, width), None


AttentionInterface.register(_NAME, _folded)
AttentionMaskInterface.register(_NAME, sdpa_mask)
