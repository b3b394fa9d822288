"""Rollouts of GRPO over processes and machines: each job is the group of one stream.

    with RayPool(workers=8, address="auto", gpus=1) as pool:
        groups = rollouts_on_ray(pool, settings, update=3, streams=[17, 18], weights=weights_of(policy))

The groups are those of `trainers.parts.Parts.play` in this process, bit by bit: rewards, decisions, log-probabilities, records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from trainers.parts import Parts
from trainers.ray_pool import RayPool, Shared
from trainers.rollout import Group
from trainers.settings import TrainSettings
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import TokenTrainSettings


@dataclass(frozen=True)
class RolloutJob:
    """One group. Its settings and numbers decide the draws, the weights what is drawn."""

    settings: TrainSettings
    """The run; of a `TokenTrainSettings` every machine opens the model, so its folder is on a disk that all share."""
    update: int
    """Number of the update."""
    stream: int
    """Seed of the stream."""
    number: int
    """Of the group within the update."""
    weights: Shared
    """As `weights_of` gives them."""


def rollouts_on_ray(
    pool: RayPool,
    settings: TrainSettings,
    update: int,
    streams: Sequence[int],
    weights: Mapping[str, Tensor],
) -> list[Group]:
    """The rollouts of one update.

    Args:
        pool: who plays; one of 0 workers plays here.
        settings: of the run.
        update: its number, 0-based.
        streams: seeds of the streams, in the order of their numbers within the update.
        weights: of the policy, from `weights_of`.

    Returns:
        A group per stream, in their order. What rewards asked the reader beside the episodes is counted where it was asked.

    Raises:
        MemenvsError: a worker was killed time and again.
        SettingsError: settings that do not go together.
    """
    shared = pool.share(dict(weights))
    jobs = [RolloutJob(settings, update, stream, number, shared) for number, stream in enumerate(streams)]
    found = {job.number: group for job, group in pool.run(play_job, jobs)}
    return [found[number] for number in range(len(jobs))]


def weights_of(policy: Any) -> dict[str, Tensor]:
    """What training moves of a policy: copies of its weights on the CPU, without those that are frozen (beneath adapters)."""
    module = _module(policy)
    frozen = {name for name, weight in module.named_parameters(remove_duplicate=False) if not weight.requires_grad}
    return {
        name: weight.detach().to("cpu", copy=True) for name, weight in module.state_dict().items() if name not in frozen
    }


def play_job(job: RolloutJob) -> Group:
    """One group."""
    return _player(job.settings).play(job)


class _Playing(Parts):
    """The parts of a run that play; nothing that learns."""

    def _make_reference(self) -> None:
        return None

    def _sampler(self) -> Any:
        return None


class _TokenPlaying(_Playing, TokenParts):
    """The same for a language model."""


class _Player:
    """What a process keeps for the next job of the same run: environments, and the policy with the weights that it got last."""

    def __init__(self, settings: TrainSettings) -> None:
        self.parts = _TokenPlaying(settings) if isinstance(settings, TokenTrainSettings) else _Playing(settings)
        self._weights = ""

    def play(self, job: RolloutJob) -> Group:
        policy: Any = self.parts.policy
        if job.weights.key != self._weights:
            _module(policy).load_state_dict(job.weights.get(), strict=False)
            self._weights = job.weights.key
        if hasattr(policy, "forget_texts"):  # rounding must not depend on what this process played before
            policy.forget_texts()
        return self.parts.play(job.update, job.stream, job.number)


@lru_cache(maxsize=1)
def _player(settings: TrainSettings) -> _Player:
    return _Player(settings)


def _module(policy: Any) -> torch.nn.Module:
    """The weights of either kind of policy."""
    found: torch.nn.Module = policy.lm.model if hasattr(policy, "lm") else policy
    return found
