"""What runs in tests/test_lm_device.py: sampling, the update and the reader on a device that is not the CPU, told as JSON."""

import json
import sys
from contextlib import nullcontext

import numpy as np
import torch
from other_device import CPU, FAR, other_device

from agents.base import View
from agents.language_model import LanguageModelPolicy, PromptSettings, SamplingSettings, sampling
from agents.language_model.model import CausalLM
from memenvs.memory import MemoryItem
from memenvs.reading import Reading, make_reader
from trainers.slots.choices import Slots
from trainers.tokens.loading import adapted
from trainers.tokens.optimiser import adam
from trainers.tokens.rows import TokenRow
from trainers.tokens.update import UpdateSettings, log_prob_table, update
from trainers.tokens.warm_start import WarmStartSettings, warm_start

TOKENS = 8
VIEWS = [
    View("Ann has a cat.", tuple(MemoryItem(f"0.{i}", "A note.", 0, 0, 3) for i in range(n)), 1, 3) for n in range(4)
]
READINGS = [Reading("Who?", (("0.1", "Ann has a cat."),)), Reading("Where is Bob now?", ())]


def drawn(folder, device, counter=None, **how):
    """Messages, and what was fetched for them."""
    lm = CausalLM.from_pretrained(folder, device=str(device))
    lm.tokenizer.eos_token = None
    lm.model.generation_config.eos_token_id = None
    policy = LanguageModelPolicy(lm, PromptSettings(task=""), SamplingSettings(max_tokens=TOKENS, **how))
    before = counter.fetched if counter else 0
    found = [d.sample for d in policy.act(VIEWS, [np.random.default_rng(i) for i in range(4)])]
    tokens, log_probs = [one.tokens for one in found], [one.log_probs for one in found]
    return {"tokens": tokens, "log_probs": log_probs, "fetched": counter.fetched - before if counter else 0}


def trained(folder, device, rank):
    """Numbers of a warm start and of two updates under a penalty, the second with a stored reference."""
    torch.manual_seed(0)
    lm = CausalLM.from_pretrained(folder, device=str(device))
    model = lm.model if rank is None else adapted(lm.model, rank)
    rows = [TokenRow((5, 6, 7, 8, 9), (10, 11)), TokenRow((5, 6, 7, 4), (12, 13, 14)), TokenRow((5, 6, 7), (3,))]
    losses = warm_start(model, rows, WarmStartSettings(epochs=2, batch=2, learning_rate=1e-3))
    optimiser, settings = adam(model.parameters(), 1e-3), UpdateSettings(max_tokens=4)
    old = log_prob_table(model, rows, settings).tolist()
    rows = [
        TokenRow(r.prompt, r.completion, tuple(o[: len(r.completion)]), a)
        for r, o, a in zip(rows, old, (1.0, -1.0, 0.5), strict=True)
    ]
    slots = Slots(regulariser="kl_k3", ratio="decoupled").filled
    for _ in range(2):
        table = log_prob_table(model, rows, settings)
        line = update(model, optimiser, rows, slots, settings, table, table)
    return {"old": old, "losses": losses, **line, "new": log_prob_table(model, rows, settings).tolist()}


def read(folder, device):
    """Answers and probabilities of the reader within the process."""
    reader = make_reader(f"local:{folder}", device=str(device), max_tokens=6)
    return {
        "answers": [a.text for a in reader.read(READINGS)],
        "values": reader.token_log_probs(READINGS, ["Ann", "a town"]),
    }


def main(folder: str) -> None:
    torch.set_num_threads(1)
    told = {}
    for name, device in (("cpu", CPU), ("far", FAR)):
        with other_device(double=False) if device == FAR else nullcontext():
            told[name] = {
                "drawn": drawn(folder, device), "top-p": drawn(folder, device, top_p=0.7),
                "update": trained(folder, device, None), "adapters": trained(folder, device, 2), "reader": read(folder, device),
            }  # fmt: skip
    sampling._exact = lambda device: device
    with other_device(double=True) as counter:
        told["double"] = {"drawn": drawn(folder, FAR, counter), "top-p": drawn(folder, FAR, top_p=0.7)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
