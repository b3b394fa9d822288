"""Where the time of one of our steps goes: its parts run alone, a few times each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from grpo_step_parts import Ours
from torch import Tensor
from transformers import DynamicCache

from agents.language_model.cpu_linear import fast_linear
from agents.language_model.filling import fill
from agents.language_model.prefill import prefill
from trainers.tokens.selected import selected_log_probs

REPEATS = 3


def shares(ours: Ours) -> list[dict[str, Any]]:
    """CPU-seconds of each part, median; what remains of the update is the rows' own tokens, forward and backward."""
    case, model = ours.case, ours.lm.model
    prefix = torch.tensor([ours.prompts[0][: case.shared]])
    head = model.get_output_embeddings().weight
    hidden = torch.randn(case.group * case.completion, case.hidden, requires_grad=True)
    targets = torch.randint(case.vocabulary, (len(hidden),))
    slope = torch.ones(len(hidden))

    def read() -> None:
        with torch.inference_mode():
            prefill(model, ours.prompts, [0] * case.group)

    def prefix_alone() -> None:
        cache = DynamicCache()
        with fast_linear(head):
            fill(model, cache, input_ids=prefix)
            states: list[Tensor] = [part for layer in cache.layers for part in (layer.keys, layer.values)]
            torch.autograd.backward(states, [torch.ones_like(part) for part in states])

    def head_alone() -> None:
        selected_log_probs(hidden, head, targets).backward(slope)

    def optimise() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        ours.optimiser.step()
        ours.optimiser.zero_grad()

    generation, update = [], []
    for _ in range(REPEATS):
        spent = ours.step()
        generation.append(spent["generation"])
        update.append(spent["update"])
    whole = {"prompts read (generation)": median(read)}
    whole["tokens drawn (generation)"] = statistics.median(generation) - whole["prompts read (generation)"]
    parts = {"shared prefix (update)": median(prefix_alone), "output layer (update)": median(head_alone)}
    prefix_alone()  # for a gradient
    parts["clipping and optimiser (update)"] = median(optimise, prefix_alone)
    whole["rows after the prefix (update)"] = statistics.median(update) - sum(parts.values())
    total = statistics.median(generation) + statistics.median(update)
    return [{"part": part, "seconds": seconds, "share": seconds / total} for part, seconds in (whole | parts).items()]


def median(run: Callable[[], None], before: Callable[[], None] = lambda: None) -> float:
    """CPU-seconds of a call."""
    found = []
    for _ in range(REPEATS):
        before()
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return statistics.median(found)
