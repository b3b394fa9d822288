"""One update of a language model from the rows of its rollouts: loss in micro-batches, exactly that of the whole batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from memenvs.errors import MemenvsError, SettingsError
from trainers.slots.aggregation import AggregationSettings
from trainers.slots.choices import Slots, resolve
from trainers.slots.ratios import RatioSettings, outside
from trainers.slots.regularisers import RegulariserSettings
from trainers.tokens.measures import PassMeasures
from trainers.tokens.rows import TokenRow, micro_batches
from trainers.tokens.shared_prefix import row_log_probs


@dataclass(frozen=True)
class UpdateSettings:
    """How rows become one step of the optimiser."""

    temperature: float = 1.0
    """That the rows were drawn at; their log-probabilities are those of that temperature."""
    max_tokens: int = 256
    """The most tokens that a completion can have; the aggregation "constant" divides by it."""
    micro_batch: int = 8
    """Rows that go through the model together. Memory grows with it; the loss does not depend on it."""
    max_norm: float = 1.0
    """Of the gradient; longer ones are cut to it."""
    share_prefix: bool = True
    """Forward what the prompts of a step have in common once."""
    gradient_checkpointing: bool = False
    """Keep only what goes into each decoder layer for the backward pass, see `trainers.tokens.recompute`."""


class TokenObjective:
    """Ratio, regulariser and aggregation over token rows, as a sum that can be taken apart.

    Every aggregation is linear in the tokens' objectives, so a batch's loss is a weighted sum of them, with weights that depend on
    the mask alone. Micro-batches add up to it exactly.

    Args:
        slots: filled.
        rows: of one update.
        settings: see `UpdateSettings`.
        old: (N, L) what the ratios divide by, see `denominators`; NaN is filled in from the first pass over a row. As recorded in
            the rows if not given.
        measures: what the micro-batches are added to; new ones if not given.

    Raises:
        SettingsError: a row has no log-probabilities of when it was drawn, or a number of the slots is out of range.
    """

    def __init__(
        self,
        slots: Slots,
        rows: Sequence[TokenRow],
        settings: UpdateSettings,
        old: Tensor | None = None,
        measures: PassMeasures | None = None,
    ) -> None:
        if missing := sum(not row.old for row in rows):
            raise SettingsError(f"{missing} of {len(rows)} rows lack the log-probabilities of when they were drawn")
        self._name, self._ratio = str(slots.ratio), resolve("ratio", str(slots.ratio))
        self._regulariser = resolve("regulariser", str(slots.regulariser))
        self._clip = RatioSettings(float(slots.clip_low or 0.0), float(slots.clip_high or 0.0), slots.cap or "range")
        self._penalty = RegulariserSettings(beta=float(slots.beta or 0.0))
        self.mask = padded([torch.ones(len(row.completion), dtype=torch.bool) for row in rows])
        self.recorded = padded([torch.tensor(row.old) for row in rows])
        self.old = self.recorded if old is None else old
        self.measures = PassMeasures() if measures is None else measures
        """Of the micro-batches so far."""
        self.advantages = torch.tensor([[row.advantage] for row in rows], dtype=torch.float32)
        streams = torch.tensor([row.stream for row in rows], dtype=torch.int64)
        flat = torch.zeros(self.mask.shape, requires_grad=True)
        aggregate = resolve("aggregation", str(slots.aggregation))
        total = aggregate(flat, self.mask, AggregationSettings(max_tokens=settings.max_tokens, prompts=streams))
        (self.weights,) = torch.autograd.grad(total, flat)

    def __call__(
        self, new: Sequence[Tensor], where: Sequence[int], reference: Tensor | None, proximal: Tensor | None
    ) -> Tensor:
        """What a micro-batch adds to the batch's objective.

        Args:
            new: (n,) log-probabilities per row, differentiable.
            where: indices of its rows.
            reference: (N, L) of the whole batch under the reference policy; None where the regulariser reads none.
            proximal: (N, L) under the weights before this update; None where the ratio reads none.

        Returns:
            A scalar; the sum over micro-batches is to be maximised.
        """
        index = torch.tensor(where)
        mask, old, advantages = self.mask[index], self.old[index], self.advantages[index]
        table = padded(new, mask.shape[1])
        self.old[index] = old = torch.where(old.isnan(), table.detach(), old)
        clip = replace(self._clip, proximal=None if proximal is None else proximal[index])
        objective = self._ratio(table, old, advantages, mask, clip)
        kept = None if reference is None else reference[index]
        clipped = outside(self._name, table.detach(), old, mask, clip)
        self.measures.add(table.detach(), self.recorded[index], old, mask, clipped, kept)
        objective = objective - self._regulariser(table, kept, advantages, mask, self._penalty)
        return (objective * self.weights[index]).sum()


def update(
    model: Any,
    optimiser: torch.optim.Optimizer,
    rows: Sequence[TokenRow],
    slots: Slots,
    settings: UpdateSettings = UpdateSettings(),
    reference: Tensor | None = None,
    proximal: Tensor | None = None,
    old: Tensor | None = None,
    measures: PassMeasures | None = None,
) -> dict[str, float]:
    """One step of the optimiser.

    Args:
        model: a causal language model of transformers.
        optimiser: over its trainable parameters.
        rows: with advantages and log-probabilities; at least one.
        slots: filled; ratio, regulariser and aggregation are read.
        settings: see `UpdateSettings`.
        reference, proximal, old, measures: see `TokenObjective`.

    Returns:
        ``loss``; means over tokens of |log new - log old|: ``log_ratio`` with old as recorded when the token was drawn, 0 up to
        rounding in the first step after sampling, and ``drift`` with what the ratio divides by; ``clip_share``, of tokens whose
        ratio lies outside the clip range; ``kl``, the mean k3 estimate of KL(policy || reference), where there is one;
        ``gradient_norm`` before it was cut. All are of the policy before the step; with ``measures``, the means are over all steps
        that were added to them.
    """
    objective = TokenObjective(slots, rows, settings, old, measures)
    optimiser.zero_grad()
    loss = 0.0
    # Without a penalty a row of advantage 0 adds nothing but its tokens to what the others are divided by.
    idle = slots.regulariser == "none"
    for every in micro_batches(rows, settings.micro_batch):
        batch = [i for i in every if rows[i].advantage or not idle]
        if not batch:
            continue
        new = row_log_probs(
            model,
            [rows[i] for i in batch],
            settings.temperature,
            settings.share_prefix,
            settings.gradient_checkpointing,
        )
        part = -objective([values.cpu() for values in new], batch, reference, proximal)
        part.backward()
        loss += float(part.detach())
    norm = clipped_norm(model.parameters(), settings.max_norm)
    optimiser.step()
    return {"loss": loss, "log_ratio": 0.0, "drift": 0.0, "clip_share": 0.0, "gradient_norm": float(norm)} | (
        objective.measures.means()
    )


def denominators(rows: Sequence[TokenRow]) -> Tensor:
    """What ratios divide by over all passes of one update.

    A row that was drawn with the very weights that are now trained has the ratio 1 in the first pass, as the policy gradient asks.
    Its recorded log-probabilities come from another forward (with a cache, in other batches) and differ from training's by
    rounding, which in bfloat16 is beyond GSPO's clip range of 3e-4; so the first pass gives them, at no price.

    Returns:
        (N, L): NaN for the tokens of such a row, to be filled in by the first `update`; as recorded for replayed rows; 0 after a
        row's end.

    Source: huggingface/trl@f2cd577 ``grpo_trainer.py`` (old = new.detach() where nothing was stored).
    """
    return padded([
        torch.tensor(row.old) if row.replayed else torch.full((len(row.completion),), torch.nan) for row in rows
    ])  # fmt: skip


def clipped_norm(parameters: Iterable[torch.nn.Parameter], most: float) -> float:
    """Cut the gradient of the trainable parameters to a norm of ``most``; the norm before.

    Raises:
        MemenvsError: the gradient is not finite, and a step along it would leave nothing of the model.
    """
    try:
        own = [parameter for parameter in parameters if parameter.requires_grad]
        return float(torch.nn.utils.clip_grad_norm_(own, most, error_if_nonfinite=True))
    except RuntimeError as error:
        raise MemenvsError(
            "the gradient is not finite (an infinite reward, or weights that overflow); the last checkpoint is untouched. A run "
            "is resumed with its own settings, so begin another one, in another folder (--out): with a smaller --learning-rate "
            "(in a warm start, --warm-rate) or --dtype float32; with the last checkpoint (adapters: merged) as its --model it "
            "keeps what was learnt"
        ) from error


@torch.no_grad()
def log_prob_table(model: Any, rows: Sequence[TokenRow], settings: UpdateSettings = UpdateSettings()) -> Tensor:
    """(N, L) float32 log-probabilities of the rows' completions without a gradient, 0 after a row's end; for a reference policy."""
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for batch in micro_batches(rows, settings.micro_batch):
        new = row_log_probs(model, [rows[i] for i in batch], settings.temperature, settings.share_prefix)
        for i, values in zip(batch, new, strict=True):
            found[i] = values.cpu()
    return padded(found)


def padded(values: Sequence[Tensor], width: int | None = None) -> Tensor:
    """(N, L) of N tensors (n,), with 0 (False) after the end of each; L is ``width``, or as long as the longest."""
    table = torch.nn.utils.rnn.pad_sequence(list(values), batch_first=True)
    return table if width is None else torch.nn.functional.pad(table, (0, width - table.shape[1]))
