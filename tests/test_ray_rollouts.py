"""Rollouts on Ray: the groups are those of this process, bit by bit, with any number of workers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from trainers.parts import Parts
from trainers.ray_pool import RayPool
from trainers.ray_rollouts import RayRollouts, weights_of
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

STREAMS = [11, 12, 13]
CANDIDATE = TrainSettings(env=EnvSettings(T=4), reward="finemem-cited", group_size=3)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    pytest.importorskip("transformers")
    own = LanguageModelSettings(message="sentences", task="", memory_tokens=48, max_tokens=12, device="cpu")
    folder, data = tmp_path_factory.mktemp("small"), load("builtin", "train", T=4)
    size = SmallSettings(hidden=32, layers=2, vocabulary=400)
    make_small(folder, [data[i] for i in range(4)], own.prompt(EnvSettings(T=4)), size)
    # Two streams of three rollouts fit into a batch: a job of two, and one of the third.
    own = replace(own, model=str(folder), batch=6)
    return TokenTrainSettings(env=EnvSettings(T=4), reward="finemem-cited", group_size=3, streams=3, lm=own)


def moved(policy, module):
    """The policy with other weights than it began with, as after an update."""
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return policy


def plain(group):
    """A group as data that compares bit by bit; a failed rollout's NaN equals itself."""
    return {
        "stream": group.stream,
        "rewards": group.rewards.tobytes(),
        "terms": {name: table.tobytes() for name, table in group.terms.items()},
        "r_global": group.r_global.tobytes(),
        "states": group.states,
        "failed": group.failed.tolist(),
        "messages": [[decision.message for decision in row] for row in group.decisions],
        "log_probs": [[decision.log_prob for decision in row] for row in group.decisions],
        "tokens": [[getattr(decision, "sample", None) for decision in row] for row in group.decisions],
        "records": [record.to_json() for record in group.records],
    }


def candidate_groups():
    """What the run itself plays with moved weights, and these weights."""
    parts = Parts(CANDIDATE)
    moved(parts.policy, parts.policy)
    return [plain(group) for group in parts.play_all(2, STREAMS, 0)], parts


def token_groups(settings):
    parts = TokenParts(settings)
    moved(parts.policy, parts.model)
    return [plain(group) for group in parts.play_all(2, STREAMS, 0)], parts


def test_no_worker_is_this_process_with_the_weights_that_it_is_given(tokens):
    for settings, (expected, parts) in ((CANDIDATE, candidate_groups()), (tokens, token_groups(tokens))):
        with RayPool(0) as pool:
            play = RayRollouts(pool, settings)
            assert [plain(group) for group in play(parts, 2, STREAMS, 0)] == expected
            # Weights stay for an update: a second round of it has those that the first one had.
            moved(parts.policy, parts.model if settings is tokens else parts.policy)
            assert [plain(group) for group in play(parts, 2, STREAMS[2:], 2)] == expected[2:]
            (found,) = play(parts, 3, STREAMS[:1], 0)
        assert plain(found) == plain(parts.play(3, STREAMS[0], 0))
        assert plain(parts.play(2, STREAMS[0], 0))["log_probs"] != expected[0]["log_probs"]


def test_what_is_counted_elsewhere_counts_here():
    for settings in (
        replace(CANDIDATE, reward="credit:loo-step"),
        replace(CANDIDATE, reward="outcome", slots=Slots(judge="consensus")),
    ):
        here, there = Parts(settings), Parts(settings)
        for stream in STREAMS:
            here.play(0, stream, STREAMS.index(stream))
        with RayPool(0) as pool:
            RayRollouts(pool, settings)(there, 0, STREAMS, 0)
        told = here.cost() | here.judge_metrics()
        assert there.cost() | there.judge_metrics() == told
        assert told["credit_calls"] or told["judge/distinct"]


def test_weights_beneath_adapters_are_not_sent(tokens):
    pytest.importorskip("peft")
    settings = replace(tokens, lm=replace(tokens.lm, lora_rank=2))
    parts = TokenParts(settings)
    moved_names = {name for name, weight in parts.model.named_parameters() if weight.requires_grad}
    weights = weights_of(parts.policy)
    assert set(weights) == moved_names
    assert all("lora" in name for name in weights)
    with torch.no_grad():
        for weight in parts.model.parameters():
            if weight.requires_grad:
                weight += 0.3
    with RayPool(0) as pool:
        found = RayRollouts(pool, settings)(parts, 0, STREAMS[:1], 0)
    assert plain(found[0]) == plain(parts.play(0, STREAMS[0], 0))


def test_tied_weights_are_sent_once(tokens):
    parts = TokenParts(tokens)
    assert parts.model.lm_head.weight is parts.model.model.embed_tokens.weight
    sent = sum(weight.numel() for weight in weights_of(parts.policy).values())
    assert sent == sum(weight.numel() for weight in parts.model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_on_ray_play_what_this_process_plays(workers, tokens):
    pytest.importorskip("ray")
    with RayPool(workers) as pool:
        for settings, (expected, parts) in ((CANDIDATE, candidate_groups()), (tokens, token_groups(tokens))):
            # Twice, for the second time they are held by workers that know the run.
            play = RayRollouts(pool, settings)
            for _ in range(2):
                found = play(parts, 2, STREAMS, 0)
                assert [plain(group) for group in found] == expected
                assert all(np.isfinite(group.rewards).all() for group in found)
