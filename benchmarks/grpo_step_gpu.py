"""The same step on a GPU: tokens per second, and how much of the chip's matrix rate the model's arithmetic uses."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from grpo_step_parts import Case, Ours, make_model

WARM_UP = 2


def measure_gpu(case: Case, device: str, repeats: int) -> dict[str, Any]:
    """One line of the table.

    Utilisation counts the arithmetic that the result needs: 2 operations per weight and token read or drawn, 6 per weight and token
    of the update, attention with them; the output layer for drawn tokens alone; a shared prefix once. It does not count what is
    computed again.
    """
    torch.cuda.reset_peak_memory_stats(device)
    ours = Ours(case, make_model(case), device)

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    steps = [ours.step(clock) for _ in range(WARM_UP + repeats)][WARM_UP:]
    seconds = {phase: statistics.median(step[phase] for step in steps) for phase in ("generation", "update")}
    peak = torch.cuda.max_memory_allocated(device)
    drawn = case.group * case.completion
    forward = forward_operations(case, ours.lm.model)
    rate = matrix_rate(device, getattr(torch, case.dtype))
    return {
        "name": case.name,
        "generation": drawn / seconds["generation"],
        "update": (case.shared + case.group * (case.distinct + case.completion)) / seconds["update"],
        "generation_share": forward / seconds["generation"] / rate,
        "update_share": 3 * forward / seconds["update"] / rate,
        "rate": rate / 1e12,
        "seconds": seconds,
        "peak_bytes": peak,
    }


def forward_operations(case: Case, model: Any) -> float:
    """Of one forward pass over prefix, rows and completions; a row's token attends to all before it."""
    config = model.config
    weights = sum(
        p.numel() for name, p in model.named_parameters() if "embed_tokens" not in name and "lm_head" not in name
    )
    own = case.distinct + case.completion
    tokens = case.shared + case.group * own
    seen = case.shared**2 / 2 + case.group * own * (case.shared + own / 2)
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * seen
    head = 2 * case.vocabulary * case.hidden * case.group * case.completion
    return 2 * weights * tokens + attention + head


def matrix_rate(device: str, dtype: torch.dtype, size: int = 8192, repeats: int = 10) -> float:
    """Operations per second of multiplying two square matrices: the most that this chip gives."""
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        one @ other
        end.record()
        torch.cuda.synchronize(device)
        times.append(begin.elapsed_time(end) / 1e3)
    return 2 * size**3 / min(times)
