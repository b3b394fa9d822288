"""Groups as samplers see them, and samplers with what they need."""

from __future__ import annotations

import numpy as np

from trainers.slots.samplers import SAMPLERS
from trainers.slots.sampling import GroupView, gather

POOL = list(range(100, 120))
EMBEDDINGS = np.random.default_rng(0).normal(size=(len(POOL), 4))


def group(outcomes, rewards=None, lengths=None, stream=0):
    """A group; NaN outcomes are failed rollouts."""
    outcomes = np.array(outcomes, float)
    rewards = np.repeat(outcomes[:, None], 2, axis=1) if rewards is None else np.array(rewards, float)
    lengths = np.ones(len(outcomes)) if lengths is None else np.array(lengths, float)
    return GroupView(stream, rewards, outcomes, lengths, np.isnan(outcomes))


def make(name, **settings):
    needs = {
        "npr": {"pool": POOL},
        "dots": {"pool": POOL, "embeddings": EMBEDDINGS, "references": 5, "tau": 0.1},
    }
    return SAMPLERS[name](**{"seed": 7} | needs.get(name, {}) | settings)


def seen(stream, entry=None):
    """A group whose outcomes are made from the stream's number: a third of the streams is solved."""
    return group([1.0] * 3 if stream % 3 == 0 else [0.0, (stream % 10) / 10, 1.0], stream=stream)


def numbered(streams, first):
    """Stands for rollouts: the stream and its number within the update."""
    return [[stream, first + place] for place, stream in enumerate(streams)]


def play(sampler, updates, count=4, first=0):
    """What each update trained on."""
    log = []
    for update in range(first, updates):
        drawn = gather(sampler, update, count, numbered, seen)
        log.append((drawn.groups, drawn.fresh, drawn.references, [mask.tolist() for mask in drawn.masks]))
    return log
