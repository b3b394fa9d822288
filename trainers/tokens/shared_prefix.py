"""Log-probabilities of completions whose prompts begin alike, the common beginning forwarded once.

The prefix goes through the model alone, with its keys and values in a cache that keeps their gradient; the rows look back at it,
and only what differs goes through the model again. The result is that of forwarding each row whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from agents.language_model.cpu_linear import fast_linear
from agents.language_model.filling import fill
from agents.language_model.prefill import common_prefix, slides
from trainers.tokens.recompute import PassCache, checkpointed
from trainers.tokens.rows import TokenRow
from trainers.tokens.selected import selected_log_probs


def row_log_probs(
    model: Any, rows: Sequence[TokenRow], temperature: float = 1.0, share: bool = True, checkpointing: bool = False
) -> list[Tensor]:
    """Log-probabilities of the completions, differentiable.

    Args:
        model: a causal language model of transformers, with or without adapters of peft.
        rows: forwarded together; they should share a prefix (`micro_batches`).
        temperature: that the tokens were drawn at.
        share: forward the common prefix once; otherwise whole padded rows, which gives the same at a higher price.
        checkpointing: keep only what goes into each decoder layer for the backward pass, see `trainers.tokens.recompute`.

    Returns:
        One (n,) float32 tensor per row, n the length of its completion.
    """
    counts = [len(row.completion) for row in rows]
    weight = next(model.parameters())
    checkpointing = checkpointing and torch.is_grad_enabled()
    with fast_linear(weight), checkpointed(model) if checkpointing else nullcontext():
        given, where = _read_prompts(model, rows, share, checkpointing)
        targets = torch.tensor([token for row in rows for token in row.completion], device=weight.device)
        if plain_head(model):
            hidden = model.get_decoder()(**given).last_hidden_state.flatten(0, 1)[where]
            found = selected_log_probs(hidden, model.get_output_embeddings().weight, targets, temperature)
        else:
            logits = model(**given).logits.flatten(0, 1)[where].float() / temperature
            found = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return list(found.split(counts))


def _read_prompts(
    model: Any, rows: Sequence[TokenRow], share: bool, checkpointing: bool
) -> tuple[dict[str, Any], Tensor]:
    """Read the prompts into a cache; the decoder's inputs for the rest, and where in it the completions are predicted from."""
    device = next(model.parameters()).device
    shared = common_prefix([row.prompt for row in rows]) if share and len(rows) > 1 else 0
    read = [shared] * len(rows)
    cache = PassCache.empty(model) if checkpointing else DynamicCache()
    mask = torch.ones(len(rows), shared, dtype=torch.int64, device=device)
    given: dict[str, Any] = {"use_cache": False}
    if shared:
        cache = _read(model, cache, input_ids=torch.tensor([rows[0].prompt[:shared]], device=device))
        cache.batch_repeat_interleave(len(rows))
        given = {"past_key_values": cache, "use_cache": True}
    # The rest of the prompts apart from the completions: of a prompt only keys and values are wanted. Where no token is shared,
    # a prompt of one token would be nothing but padding. Windows count places, padding between two passes among them.
    if share and (shared or min(len(row.prompt) for row in rows) > 1) and not slides(model):
        between = _Stretches([row.prompt[shared:-1] for row in rows], read, device)
        if between.width:
            mask = torch.cat([mask, between.mask], dim=1)
            cache = _read(model, cache, **between.inputs, attention_mask=mask)
            given = {"past_key_values": cache, "use_cache": True}
        read = [len(row.prompt) - 1 for row in rows]
    last = _Stretches(
        [(row.prompt + row.completion[:-1])[start:] for row, start in zip(rows, read, strict=True)], read, device
    )
    given |= last.inputs | {"attention_mask": torch.cat([mask, last.mask], dim=1)}
    return given, last.ends([len(row.completion) for row in rows])


def _read(model: Any, cache: DynamicCache, **inputs: Any) -> DynamicCache:
    """Read tokens, see `fill`; the cache to go on with."""
    if isinstance(cache, PassCache):
        return cache.read(model, **inputs)
    fill(model, cache, **inputs)
    return cache


class _Stretches:
    """Tokens of B rows that go through the model together, padded on the right: what stands after a row's end, causality hides."""

    def __init__(self, stretches: Sequence[tuple[int, ...]], starts: Sequence[int], device: torch.device) -> None:
        self._lengths = list(map(len, stretches))
        self.width = max(self._lengths)
        tokens = torch.zeros(len(stretches), self.width, dtype=torch.int64)
        for i, stretch in enumerate(stretches):
            tokens[i, : len(stretch)] = torch.tensor(stretch, dtype=torch.int64)
        places = torch.arange(self.width)
        self.mask = (places < torch.tensor(self._lengths)[:, None]).to(device, torch.int64)
        self.inputs = {
            "input_ids": tokens.to(device), "position_ids": (torch.tensor(starts)[:, None] + places).to(device)
        }  # fmt: skip

    def ends(self, counts: Sequence[int]) -> Tensor:
        """Places of the last ``counts`` tokens of each row in the flattened (B width) ones."""
        device = self.mask.device
        return torch.cat([
            torch.arange(i * self.width + length - count, i * self.width + length, device=device)
            for i, (length, count) in enumerate(zip(self._lengths, counts, strict=True))
        ])  # fmt: skip


def plain_head(model: Any) -> bool:
    """Whether the logits are the last hidden states times a matrix and nothing else.

    Some families scale or cap them; adapters, quantisation and weights that come and go make another layer of it.
    """
    changed = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    head = model.get_output_embeddings()
    plain = type(head) is torch.nn.Linear and head.bias is None and not hasattr(head, "_hf_hook")
    return plain and not any(getattr(model.config, name, None) is not None for name in changed)
