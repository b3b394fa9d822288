"""The passes over one update's rows: a step of the optimiser a pass, or one for each mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.slots.choices import Slots
from trainers.tokens.measures import PassMeasures
from trainers.tokens.rows import TokenRow
from trainers.tokens.update import UpdateSettings, denominators, log_prob_table, padded, update


def mini_batches(rows: Sequence[TokenRow], most: int | None, rng: np.random.Generator) -> list[list[int]]:
    """Rows of each step of a pass, each row once.

    Steps of the rollouts come in a drawn order, and the rows of one stream and step follow each other, so that few of these groups
    are cut by the end of a mini-batch: what their prompts share is read once.

    Args:
        rows: of one update.
        most: rows in a mini-batch, at least 1; parts differ in size by at most one row. None for all rows, in their own order.
        rng: draws the order.

    Returns:
        Indices of ``rows``.
    """
    if most is None or most >= len(rows):
        return [list(range(len(rows)))]
    steps: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        steps.setdefault((row.stream, row.step), []).append(i)
    together = list(steps.values())
    order = [i for place in rng.permutation(len(together)) for i in together[place]]
    return [part.tolist() for part in np.array_split(np.array(order), -(-len(order) // most))]


def passes(
    model: Any,
    optimiser: torch.optim.Optimizer,
    rows: Sequence[TokenRow],
    slots: Slots,
    settings: UpdateSettings,
    plan: Sequence[Sequence[Sequence[int]]],
    reference: Tensor | None = None,
    proximal: Tensor | None = None,
    before_step: Callable[[float], None] = lambda share: None,
) -> dict[str, float]:
    """The steps of one update. Aggregations divide by what stands in a mini-batch: its tokens, rows or prompts.

    Args:
        model, optimiser, rows, slots, settings, reference, proximal: see `update`.
        plan: per pass, the rows of each step, see `mini_batches`; at least one pass.
        before_step: called with the share of the update's steps that are taken once this one is, in (0, 1].

    Returns:
        What `update` says, of the last pass: ``loss`` and ``gradient_norm`` as means over its steps, ``drift``, ``clip_share`` and
        ``kl`` over the tokens of all its steps, each under the weights that its step found. ``log_ratio`` is of the weights before
        the first step.
    """
    split = any(len(parts) > 1 for parts in plan)
    old, log_ratio = old_policy(model, rows, slots, settings) if split else (denominators(rows), None)
    taken, total = 0, sum(map(len, plan))
    lines = []
    for parts in plan:
        measures, told = PassMeasures(), []
        for part in parts:
            taken += 1
            before_step(taken / total)
            own, where = [rows[i] for i in part], part if split else None
            told.append(
                update(
                    model,
                    optimiser,
                    own,
                    slots,
                    settings,
                    _cut(reference, own, where),
                    _cut(proximal, own, where),
                    _cut(old, own, where),
                    measures,
                )
            )
        means = {name: sum(one[name] for one in told) / len(told) for name in ("loss", "gradient_norm")}
        lines.append(told[-1] | means)
    return lines[-1] | {"log_ratio": lines[0]["log_ratio"] if log_ratio is None else log_ratio}


def _cut(table: Tensor | None, own: Sequence[TokenRow], where: Sequence[int] | None) -> Tensor | None:
    """A table of all rows as one of a mini-batch's; the table itself for all rows, since the first pass may fill it in."""
    if table is None or where is None:
        return table
    return table[list(where), : max(len(row.completion) for row in own)]


def old_policy(model: Any, rows: Sequence[TokenRow], slots: Slots, settings: UpdateSettings) -> tuple[Tensor, float]:
    """What ratios divide by where a pass takes several steps: the policy before the first of them.

    The first pass over a row then finds a policy that has moved already, and cannot give them as in `denominators`; one more
    forward does, without a gradient.

    Returns:
        (N, L), as recorded for replayed rows and for rows that teach nothing, 0 after a row's end; and the mean over the tokens of
        rows that teach of |log p - log p when drawn|.

    Source: volcengine/verl@b178a3c ``dp_actor.py`` (``compute_log_prob`` before ``update_policy``); huggingface/trl@f2cd577
    ``grpo_trainer.py`` (where an update is not the first after its generation).
    """
    recorded = padded([torch.tensor(row.old) for row in rows])
    taught = [i for i, row in enumerate(rows) if row.advantage or slots.regulariser != "none"]
    if not taught:
        return recorded, 0.0
    found = padded(list(log_prob_table(model, [rows[i] for i in taught], settings)), recorded.shape[1])
    tokens = sum(len(rows[i].completion) for i in taught)
    fresh = torch.tensor([[not rows[i].replayed] for i in taught])
    old = recorded.clone()
    old[taught] = torch.where(fresh, found, recorded[taught])
    return old, float((found - recorded[taught]).abs().double().sum()) / tokens
