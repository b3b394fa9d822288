"""Drawing messages from a language model: one read of what prompts have in common, against one of every prompt and ``generate``.

    python benchmarks/lm_sampling.py
    python benchmarks/lm_sampling.py --hidden 1024 --layers 12 --device cuda --dtype bfloat16

Random weights; prompts of G rollouts with a common and an own part; all rows draw as many tokens. CPU-seconds of one thread (on a
GPU wall seconds), the least of several runs taken in turns, so that other load touches all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
import tyro
from harness import show, table_of, write
from transformers import Qwen3Config, Qwen3ForCausalLM

from agents.language_model.sampling import SamplingSettings, sample


@dataclass(frozen=True)
class Settings:
    """What is timed."""

    hidden: int = 256
    """Width; three times as wide inside, heads of 64."""
    layers: int = 4
    """Depth."""
    vocabulary: int = 2048
    """Words."""
    rollouts: int = 8
    """Rows, G."""
    tokens: int = 64
    """Tokens drawn per row, C."""
    runs: int = 5
    """Of which the best counts."""
    device: str = "cpu"
    """Where."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights."""
    out: Path | None = None
    """File for the numbers as JSON."""


LAYOUTS = ((512, 0), (512, 256), (1024, 128))
"""Tokens common to all prompts, tokens of each one's own."""


def make(settings: Settings) -> Any:
    """A model that never ends a message, as far as `sample` looks at it."""
    torch.manual_seed(0)
    heads = max(2, settings.hidden // 64)
    config = Qwen3Config(
        vocab_size=settings.vocabulary, hidden_size=settings.hidden, intermediate_size=3 * settings.hidden,
        num_hidden_layers=settings.layers, num_attention_heads=heads, num_key_value_heads=heads // 2, head_dim=64,
        max_position_embeddings=8192, tie_word_embeddings=False, eos_token_id=None, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model: Any = Qwen3ForCausalLM(config)
    model = model.to(settings.device, getattr(torch, settings.dtype)).eval()
    return SimpleNamespace(
        model=model, context=None, end_ids=frozenset(), device=torch.device(settings.device), decode=lambda tokens: ""
    )


def seconds(run: Callable[[], Any], device: str) -> float:
    """CPU time of a run, or wall time on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def measure(lm: Any, shared: int, own: int, settings: Settings) -> dict[str, float]:
    """Seconds of the three ways and their ratios."""
    rng = np.random.default_rng(0)
    common = tuple(rng.integers(1, settings.vocabulary, shared).tolist())
    rows = settings.rollouts
    prompts = [(*common, *rng.integers(1, settings.vocabulary, own).tolist()) for _ in range(rows)]
    how = SamplingSettings(max_tokens=settings.tokens)
    uniforms = rng.random((rows, settings.tokens))
    tokens = torch.tensor(prompts, device=settings.device)

    def generate() -> None:
        with torch.inference_mode():
            lm.model.generate(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=settings.tokens, do_sample=True,
                min_new_tokens=settings.tokens, temperature=1.0, top_p=1.0, top_k=0, pad_token_id=0,
            )  # fmt: skip

    ways: dict[str, Callable[[], Any]] = {
        "once": lambda: sample(lm, prompts, how, uniforms, [0] * rows),
        "each": lambda: sample(lm, prompts, how, uniforms),
        "generate": generate,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings.runs):
        for name, way in ways.items():
            took[name].append(seconds(way, settings.device))
    least = {name: min(times) for name, times in took.items()}
    return {"shared": shared, "own": own, **least, "ratio": least["generate"] / least["once"]}


def main(settings: Settings) -> None:
    """Measure every layout."""
    torch.set_num_threads(1)
    lm = make(settings)
    size = sum(p.numel() for p in lm.model.parameters()) / 1e6
    results = [measure(lm, shared, own, settings) for shared, own in LAYOUTS]
    columns = {
        "common + own tokens": "{shared} + {own}", "read once": "{once:.3f}", "read each": "{each:.3f}",
        "generate": "{generate:.3f}", "generate / once": "{ratio:.2f}x",
    }  # fmt: skip
    unit = "CPU-s" if settings.device == "cpu" else "s"
    title = f"{size:.1f} M parameters, G = {settings.rollouts}, {settings.tokens} tokens, {settings.dtype}: {unit} per group"
    show(table_of(results, columns, title))
    write(settings.out, "lm_sampling", results, settings={"hidden": settings.hidden, "layers": settings.layers})


if __name__ == "__main__":
    main(tyro.cli(Settings))
