"""Reading many prompts at once, what they have in common only once.

* `plan` - which beginnings are shared.
* `prefill` - the prompts forwarded; the cache is branched where they part.
* `select` - rows of a cache.

Prompts are read in up to three levels: the beginning of all of them (the instructions), the beginning of each group (the chunk,
for the rollouts of one stream), and the rest of each row (the memory). Each level is one forward pass over a padded batch;
of all but each row's last token, nothing is made but keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.language_model.cpu_linear import fast_linear
from agents.language_model.filling import fill
from agents.language_model.placement import input_device


class Level(NamedTuple):
    """Stretches of tokens that are forwarded together."""

    stretches: tuple[tuple[int, ...], ...]
    """Token ids of each branch."""
    parents: tuple[int, ...]
    """Which branch of the level before each of them continues; 0 at the first level."""


class Prefilled(NamedTuple):
    """B prompts that were read."""

    cache: Any
    """Keys and values, B rows."""
    mask: Tensor
    """(B, K) int64: 1 where the cache holds a token of the row, 0 where it holds padding."""
    lengths: Tensor
    """(B,) int64: tokens of each prompt."""
    logits: Tensor
    """(B, V): of the token that follows."""


def common_prefix(rows: Sequence[tuple[int, ...]]) -> int:
    """Number of tokens with which all rows begin, at most one less than the shortest has: each row keeps its last token."""
    first, last = min(rows), max(rows)  # sorted rows differ first at the ends
    limit = min(map(len, rows)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)


def plan(prompts: Sequence[tuple[int, ...]], groups: Sequence[Any]) -> list[Level]:
    """The levels of B prompts.

    Args:
        prompts: token ids, none of them empty.
        groups: B labels; rows with equal ones share more than the others.

    Returns:
        One to three levels. The last one has a branch per prompt, in order, none of them empty.
    """
    members: dict[Any, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    everywhere = common_prefix(prompts) if len(prompts) > 1 else 0
    shared = {group: common_prefix([prompts[row] for row in rows]) for group, rows in members.items()}
    # A level in which some rows have nothing at all to look back at is left out: their padding would attend to nothing.
    if len(members) == 1 or len(members) == len(prompts) or (not everywhere and not min(shared.values())):
        shared = dict.fromkeys(members, everywhere)
    levels: list[Level] = []
    if everywhere:
        levels.append(Level((prompts[0][:everywhere],), (0,)))
    parents = dict.fromkeys(members, 0)
    if any(end > everywhere for end in shared.values()):
        stretches = tuple(prompts[rows[0]][everywhere : shared[group]] for group, rows in members.items())
        levels.append(Level(stretches, (0,) * len(members)))
        parents = {group: branch for branch, group in enumerate(members)}
    rest = tuple(prompt[shared[group] :] for prompt, group in zip(prompts, groups, strict=True))
    levels.append(Level(rest, tuple(parents[group] for group in groups)))
    return levels


def prefill(model: Any, prompts: Sequence[tuple[int, ...]], groups: Sequence[Any] | None = None) -> Prefilled:
    """Read B prompts.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none of them empty.
        groups: see `plan`; None shares nothing.

    Returns:
        What is needed to go on. Logits equal those of each prompt read alone, up to rounding.
    """
    from transformers import DynamicCache

    device = input_device(model)
    # The window of sliding attention counts places in the cache, padding between two levels among them.
    share = groups is not None and not slides(model)
    levels = plan(prompts, groups or ()) if share else [Level(tuple(prompts), (0,) * len(prompts))]
    if not slides(model):
        levels = _last_apart(levels)
    cache = DynamicCache()
    mask = torch.zeros(1, 0, dtype=torch.int64, device=device)
    lengths = torch.zeros(1, dtype=torch.int64, device=device)
    for depth, level in enumerate(levels):
        parents = torch.tensor(level.parents, device=device)
        if depth:
            select(cache, parents)
        mask, lengths = mask[parents], lengths[parents]
        tokens, own = (part.to(device) for part in _padded(level.stretches))
        mask = torch.cat([mask, own], dim=1)
        positions = lengths[:, None] + (own.cumsum(1) - 1).clamp(min=0)
        lengths = lengths + own.sum(1)
        inputs: dict[str, Any] = {
            "input_ids": tokens,
            "attention_mask": mask,
            "position_ids": positions,
            "past_key_values": cache,
        }
        with fast_linear(next(model.parameters())):
            if depth + 1 < len(levels):
                fill(model, **inputs)
            else:
                logits = model(**inputs, use_cache=True, logits_to_keep=1).logits[:, -1]
    return Prefilled(cache, mask, lengths, logits)


def _last_apart(levels: list[Level]) -> list[Level]:
    """The last token of each row as a level of its own, since logits are wanted of it alone."""
    *before, rest = levels
    # Where nothing comes before it, a row of one token would be nothing but padding.
    if max(map(len, rest.stretches)) == 1 or (not before and min(map(len, rest.stretches)) == 1):
        return levels
    begin = Level(tuple(stretch[:-1] for stretch in rest.stretches), rest.parents)
    return [*before, begin, Level(tuple(stretch[-1:] for stretch in rest.stretches), tuple(range(len(rest.stretches))))]


def select(cache: Any, rows: Tensor) -> None:
    """Keep these rows of a cache, whose layers may be on several devices.

    Args:
        cache: of transformers; it is changed.
        rows: (B,) int64, numbers of rows; they may repeat.
    """
    for layer in cache.layers:
        if layer.keys is not None:
            layer.batch_select_indices(rows.to(layer.keys.device))


def slides(model: Any) -> bool:
    """Whether a layer sees only the last tokens."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return any(kind != "full_attention" for kind in kinds)
    return getattr(config, "sliding_window", None) is not None


def _padded(stretches: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, padded on the left: so the last column holds the last token of every row."""
    width = max(map(len, stretches))
    tokens = torch.zeros(len(stretches), width, dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    for row, stretch in enumerate(stretches):
        if stretch:
            tokens[row, width - len(stretch) :] = torch.tensor(stretch)
            mask[row, width - len(stretch) :] = 1
    return tokens, mask
