"""The most memory that drawing messages takes beside the weights; no machine needs to have it.

    python benchmarks/sampling_memory.py --size 4B --batch 64 --prefix 1467 --own 2660 --max-tokens 2048

The sampler's own code reads the prompts at full size, over tensors without contents as in update_peak.py, and takes the room in
which it will draw. What the drawing of a token needs for itself is not counted.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from update_memory import SIZES
from update_peak import Alive, model_of, place

sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.language_model.decoding import folded_attention, with_room
from agents.language_model.prefill import prefill

_INSTRUCTIONS = 300
"""Tokens with which all prompts begin."""


def prompts_of(groups: list[int], prefix: int, own: int) -> list[tuple[int, ...]]:
    """Prompts that begin alike in each group, and part after ``prefix`` tokens."""
    chunk = prefix - _INSTRUCTIONS
    return [(*(1,) * _INSTRUCTIONS, *(2 + group,) * chunk, *(1000 + row,) * own) for row, group in enumerate(groups)]


def main() -> None:
    """Read, take the room, tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="4B")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--lora-rank", type=int, default=16, help="0: no adapters")
    for name, value, what in (
        ("batch", 64, "rows that are drawn together"),
        ("group-size", 8, "rows of a stream"),
        ("prefix", 1467, "tokens of the instructions (300) and the longest chunk"),
        ("own", 2660, "tokens of the longest memory"),
        ("max-tokens", 2048, "longest message"),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, help=what)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    model = model_of(given.size, getattr(torch, given.dtype), given.lora_rank or None).eval()
    groups = [row // given.group_size for row in range(given.batch)]
    with FakeTensorMode():
        place(model)
        with torch.inference_mode(), folded_attention(model), Alive(model) as alive:
            cache = prefill(model, prompts_of(groups, given.prefix, given.own), groups).cache
            reading = alive.most
            with_room(cache, given.max_tokens)
            most, kept = alive.most, alive.now
    print(
        f"{given.size}, {given.dtype}, rank {given.lora_rank or None}, {given.batch} rows of {given.prefix} + {given.own} tokens, "
        f"messages of at most {given.max_tokens}: {reading / 1e9:.1f} GB while prompts are read, {kept / 1e9:.1f} GB of keys and "
        f"values while tokens are drawn, {most / 1e9:.1f} GB at most"
    )


if __name__ == "__main__":
    main()
