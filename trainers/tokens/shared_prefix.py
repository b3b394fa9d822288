"""Log-probabilities of completions whose prompts begin alike, the common beginning forwarded once.

The prefix goes through the model alone, with its keys and values in a cache that keeps their gradient; the cache is branched over
the rows, and only what differs goes through the model again. The result is that of forwarding each row whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainers.tokens.rows import TokenRow, common_prefix
from trainers.tokens.selected import selected_log_probs


def row_log_probs(model: Any, rows: Sequence[TokenRow], temperature: float = 1.0, share: bool = True) -> list[Tensor]:
    """Log-probabilities of the completions, differentiable.

    Args:
        model: a causal language model of transformers, with or without adapters of peft.
        rows: forwarded together; they should share a prefix (`micro_batches`).
        temperature: that the tokens were drawn at.
        share: forward the common prefix once; otherwise whole padded rows, which gives the same at a higher price.

    Returns:
        One (n,) float32 tensor per row, n the length of its completion.
    """
    device = next(model.parameters()).device
    decoder = model.get_decoder()
    shared = common_prefix([row.prompt for row in rows]) if share and len(rows) > 1 else 0
    tails = [row.prompt[shared:] + row.completion[:-1] for row in rows]
    width = max(map(len, tails))
    tokens = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros(len(rows), shared + width, dtype=torch.int64)
    for i, tail in enumerate(tails):
        tokens[i, : len(tail)] = torch.tensor(tail)
        mask[i, : shared + len(tail)] = 1
    # What stands after a row's end is hidden by causality, so the rows are padded on the right.
    positions = torch.arange(shared, shared + width).expand(len(rows), -1)
    given: dict[str, Any] = {"use_cache": False}
    if shared:
        from transformers import DynamicCache

        cache = DynamicCache()
        prefix = torch.tensor([rows[0].prompt[:shared]], device=device)
        decoder(input_ids=prefix, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(rows))
        given = {"past_key_values": cache, "use_cache": True}
    inputs = {
        "input_ids": tokens.to(device), "attention_mask": mask.to(device), "position_ids": positions.to(device), **given,
    }  # fmt: skip
    counts = [len(row.completion) for row in rows]
    where = torch.cat([
        torch.arange(i * width + len(tail) - count, i * width + len(tail))
        for i, (tail, count) in enumerate(zip(tails, counts, strict=True))
    ]).to(device)  # fmt: skip
    targets = torch.tensor([token for row in rows for token in row.completion], device=device)
    if plain_head(model):
        states = decoder(**inputs).last_hidden_state.flatten(0, 1)[where]
        found = selected_log_probs(states, model.get_output_embeddings().weight, targets, temperature)
    else:
        logits = model(**inputs).logits.flatten(0, 1)[where].float() / temperature
        found = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return list(found.split(counts))


def plain_head(model: Any) -> bool:
    """Whether the logits are the last hidden states times a matrix and nothing else; some families scale or cap them."""
    changed = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    return getattr(model.get_output_embeddings(), "bias", None) is None and not any(
        getattr(model.config, name, None) is not None for name in changed
    )
