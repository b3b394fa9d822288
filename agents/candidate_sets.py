"""Drawing a set of operations, and the exact probability of that set.

Operations are drawn one after the other without replacement, each with probability proportional to its weight
exp(logit) among the candidates still allowed (Plackett-Luce), until STOP is drawn or L operations are chosen. A chosen
operation blocks every candidate that writes the same sentence or touches the same item. What counts is the set, not the
order, so its probability is the sum over orders, which a dynamic program over the 2^m subsets of the m <= L chosen
candidates gives:

    f({}) = 1,  f(S) = sum over c in S of f(S - c) w_c / R(S - c),  P(set) = f(set) [w_STOP / R(set) if m < L]

with R(S) the weight of STOP and of all candidates that S does not block. Everything stays in log space.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEVER = -1e9
"""Logit of padding."""


def draw(
    logits: NDArray[np.float32],
    sentence_of: NDArray[np.int64],
    item_of: NDArray[np.int64],
    max_operations: int,
    rngs: Sequence[np.random.Generator] | None,
) -> NDArray[np.int64]:
    """Draw one set of operations per decision.

    One Gumbel perturbation per candidate is enough: among the candidates left, the perturbed logits remain in
    Plackett-Luce order whatever was removed before (exponential clocks have no memory).

    Args:
        logits: (B, C) float32; candidate 0 is STOP, padding has `NEVER`.
        sentence_of: (B, C) int64, -1 for none.
        item_of: (B, C) int64, -1 for none.
        max_operations: L.
        rngs: one generator per decision, so that a draw does not depend on the batch; None takes the largest logit.

    Returns:
        (B, L) int64: the chosen candidates in the order drawn; -1 after STOP.
    """
    B = len(logits)
    keys = logits.astype(np.float64)
    if rngs is not None:
        for b, rng in enumerate(rngs):
            n = int(np.count_nonzero(logits[b] > NEVER / 2))
            keys[b, :n] += rng.gumbel(size=n)
    chosen = np.full((B, max_operations), -1, np.int64)
    rows = np.arange(B)
    stopped = np.zeros(B, bool)
    for k in range(max_operations):
        best = keys.argmax(1)
        stopped |= best == 0
        if stopped.all():
            break
        chosen[:, k] = np.where(stopped, -1, best)
        sentence, item = sentence_of[rows, best][:, None], item_of[rows, best][:, None]
        keys[((sentence_of == sentence) & (sentence >= 0)) | ((item_of == item) & (item >= 0))] = -np.inf
    return chosen


@lru_cache(maxsize=8)
def _levels(size: int) -> tuple[NDArray[np.int64], list[tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Subsets of ``size`` elements by number of elements.

    Returns:
        The place of each subset (as a bit mask) in that order, and per level k = 1..size the places of ``S - c`` (n, k)
        and the elements ``c`` (n, k).
    """
    subsets = sorted(range(1 << size), key=lambda s: (s.bit_count(), s))
    place = np.zeros(1 << size, np.int64)
    place[subsets] = np.arange(1 << size)
    levels = []
    for k in range(1, size + 1):
        members = [[c for c in range(size) if s >> c & 1] for s in subsets if s.bit_count() == k]
        without = [[place[sum(1 << d for d in m if d != c)] for c in m] for m in members]
        levels.append((np.array(without, np.int64), np.array(members, np.int64)))
    return place, levels


@lru_cache(maxsize=8)
def _membership(size: int) -> NDArray[np.float32]:
    """(2^size, size) float32: whether each subset, in the order of `_levels`, holds each element."""
    subsets = sorted(range(1 << size), key=lambda s: (s.bit_count(), s))
    return np.array([[s >> c & 1 for c in range(size)] for s in subsets], np.float32).reshape(1 << size, size)


def set_log_prob(logits: Tensor, sentence_of: Tensor, item_of: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Exact log-probability of each set of operations, and an estimate of the policy's entropy.

    Args:
        logits: (B, C) float; candidate 0 is STOP, padding has `NEVER`.
        sentence_of: (B, C) int64, -1 for none.
        item_of: (B, C) int64, -1 for none.
        chosen: (B, L) int64 as returned by `draw`: m candidates that do not block each other, then -1.

    Returns:
        Log-probabilities (B,) and entropies (B,): the sum over the draws made of the entropy of that draw given those
        before it, an unbiased estimate of the entropy of the sequence of draws.
    """
    L = chosen.shape[1]
    place, levels = _levels(L)
    valid = chosen >= 0
    index = chosen.clamp(min=0)  # unused slots point to STOP; their subsets are computed but never selected
    sentence, item = sentence_of.gather(1, index), item_of.gather(1, index)  # (B, L)
    # (B, L, C): does choice l block candidate c? Having no sentence, or no item, in common is no conflict: -1 becomes -2.
    same_sentence = sentence_of[:, None] == (sentence - (sentence < 0).long())[:, :, None]
    same_item = item_of[:, None] == (item - (item < 0).long())[:, :, None]
    blocks = same_sentence | same_item
    holds = torch.from_numpy(_membership(L)).to(logits)
    blocked = (holds @ blocks.to(logits.dtype)) > 0  # (B, 2^L, C)
    allowed = logits[:, None].masked_fill(blocked, NEVER)
    log_rest = torch.logsumexp(allowed, -1)  # (B, 2^L), R(S); STOP is never blocked, so it is finite
    picked = logits.gather(1, index)  # (B, L)

    parts = [torch.zeros_like(log_rest[:, :1])]
    log_f = parts[0]
    for without, members in levels:
        terms = log_f[:, without] + picked[:, members] - log_rest[:, without]  # (B, subsets of this size, k)
        parts.append(torch.logsumexp(terms, -1))
        log_f = torch.cat(parts, 1)
    m = valid.sum(1)
    prefix = torch.from_numpy(place[(1 << np.arange(L + 1)) - 1])  # subset of the first k choices, k = 0..L
    full = prefix[m][:, None]
    stop = logits[:, :1] - log_rest.gather(1, full)
    log_prob = log_f.gather(1, full) + torch.where((m < L)[:, None], stop, torch.zeros_like(stop))

    before = prefix[:-1]  # the draws k = 0..L-1, made while k <= m
    conditional = allowed[:, before] - log_rest[:, before, None]
    entropy = -(conditional.exp() * conditional).sum(-1)
    made = torch.arange(L) <= m[:, None]
    return log_prob[:, 0], (entropy * made).sum(1)
