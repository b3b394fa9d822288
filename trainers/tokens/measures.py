"""What an update says of itself beside its loss: how far sampling, training and reference are apart, and what taught nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.language_model.policy import Decision
from trainers.rollout import Group
from trainers.slots.regularisers import kl_of
from trainers.slots.types import Array
from trainers.tokens.rows import TokenRow


class PassMeasures:
    """Means over the tokens of one pass, added up over its micro-batches."""

    def __init__(self) -> None:
        self._tokens = 0
        self._sums: dict[str, float] = {}

    @torch.no_grad()
    def add(
        self, new: Tensor, recorded: Tensor, old: Tensor, mask: Tensor, outside: Tensor, reference: Tensor | None
    ) -> None:
        """Add a micro-batch.

        Args:
            new: (n, L) log-probabilities under the present weights.
            recorded: (n, L) when the tokens were drawn.
            old: (n, L) what the ratios divide by.
            mask: (n, L) bool, True for tokens.
            outside: (n, L) bool, tokens whose ratio lies outside the clip range.
            reference: (n, L) under the reference policy, if there is one.
        """
        self._tokens += int(mask.sum())
        self._add("log_ratio", (new - recorded).abs() * mask)
        self._add("drift", (new - old).abs() * mask)
        self._add("clip_share", outside & mask)
        if reference is not None:
            self._add("kl", kl_of(new, reference, mask))

    def _add(self, name: str, values: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + float(values.double().sum())

    def means(self) -> dict[str, float]:
        """``log_ratio``, ``drift``, ``clip_share``, and ``kl`` where there is a reference; nothing if no token was seen."""
        return {name: total / self._tokens for name, total in self._sums.items()} if self._tokens else {}


def drawn_messages(groups: Sequence[Group]) -> list[Decision]:
    """The messages of language-model groups, trained or not; one that leaves of a tree share is one."""
    return list({id(decision): decision for group in groups for row in group.decisions for decision in row}.values())


def message_line(drawn: Sequence[Decision]) -> dict[str, float]:
    """What the messages say that were drawn for an update, see `drawn_messages`.

    Returns:
        The shares of messages that were cut off and of prompts that show less memory than their settings allow, for lack of
        context; nothing without messages.
    """
    if not drawn:
        return {}
    return {
        "train/truncated": sum(decision.truncated for decision in drawn) / len(drawn),
        "train/shortened": sum(decision.shortened for decision in drawn) / len(drawn),
    }


def token_line(rows: Sequence[TokenRow]) -> dict[str, float]:
    """What the rows of an update say.

    Returns:
        Tokens written, in all and as a mean per message; the entropy of sampling, estimated as the mean of -log p over the drawn
        tokens (nats per token, at the sampling temperature, before top-p).
    """
    if not rows:
        return {}
    tokens = sum(len(row.completion) for row in rows)
    return {
        "train/tokens": float(tokens),
        "train/message_tokens": tokens / len(rows),
        "train/entropy": -sum(sum(row.old) for row in rows) / tokens,
    }


def group_line(
    groups: Sequence[Group], advantages: Sequence[Array], selected: Sequence[NDArray[np.bool_]]
) -> dict[str, float]:
    """What an update's groups had to teach.

    Args:
        groups: all of the update.
        advantages: (G, T) per group.
        selected: (G, T) bool per group, what the sampler trains.

    Returns:
        The number of groups of which nothing is trained, and the share of (stream, step) columns in which every advantage is 0.
    """
    columns = [column for table in advantages for column in (table == 0).all(axis=0)]
    return {
        "train/groups_dropped": float(
            sum(not (chosen & ~group.failed[:, None]).any() for group, chosen in zip(groups, selected, strict=True))
        ),
        "train/zero_advantage_share": float(np.mean(columns)) if columns else 0.0,
    }
