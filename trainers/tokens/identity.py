"""Which model a run began with: a name or a folder may hold another one tomorrow."""

from __future__ import annotations

import hashlib
import json

import torch

from agents.language_model.model import CausalLM

SAMPLED = 4096
"""Numbers of each weight that are looked at, at even distances. Training of any kind moves nearly all of a weight's numbers."""


def model_digest(lm: CausalLM) -> str:
    """SHA-256 (16 hex digits) over a sample of all weights, the vocabulary, the tokens that end a message, and the chat template.

    That a model may think first, or knows no role "system", counts too. It depends on what was loaded, not on how files were cut or
    where they came from, and takes under a second for billions of weights.

    Args:
        lm: the model before anything was added to it or trained.
    """
    found = hashlib.sha256()
    for name, weight in sorted(lm.model.state_dict().items()):
        flat = weight.detach().reshape(-1)
        few = flat[:: max(1, flat.numel() // SAMPLED)].contiguous().cpu().view(torch.uint8)
        found.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode() + few.numpy().tobytes())
    words = sorted(lm.tokenizer.get_vocab().items())
    found.update(json.dumps([words, sorted(lm.end_ids), lm.template]).encode())
    if lm.thinking or not lm.system:  # the digests of older runs say nothing of what is usual
        found.update(json.dumps([lm.thinking, lm.system]).encode())
    return found.hexdigest()[:16]
