"""Rollouts of GRPO over processes and machines: each job is the groups of the streams that are played in lock-step.

* `rollouts_by` - who plays the groups of a training run: this process, or workers.
* `RayRollouts` - the workers.

The groups are those of `trainers.parts.Parts.play_all` in this process, bit by bit: rewards, decisions, log-probabilities, records.
A language model on the CPU adds up in another order with another number of threads; workers have one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from memenvs.errors import SettingsError
from trainers.endpoint_options import is_served
from trainers.parts import Parts
from trainers.ray_pool import RayPool, Shared
from trainers.reading_costs import counts_of
from trainers.rollout import Group
from trainers.settings import TrainSettings
from trainers.slots.collapse import Collapse
from trainers.tokens.settings import TokenTrainSettings
from trainers.workers import Play, Workers, bundles


@contextmanager
def rollouts_by(workers: Workers, settings: TrainSettings) -> Iterator[Play | None]:
    """What plays the groups of a run's updates, for `Parts.draw`: None is this process.

    Where this process has a GPU, each worker of a language model gets one.

    Args:
        workers: who plays; on Ray, here or on a cluster, if there are any.
        settings: of the run.

    Raises:
        SettingsError: more workers than an update has jobs, or see `RayPool`.
    """
    if not workers.count:
        yield None
        return
    jobs = len(bundles(range(settings.streams), 0, settings.together))
    if workers.count > jobs:
        raise SettingsError(_idle(settings, workers.count, jobs))
    own_gpu = isinstance(settings, TokenTrainSettings) and _on_gpu(settings)
    with RayPool(workers.count, workers.ray, gpus=1.0 if own_gpu else 0.0) as pool:
        yield RayRollouts(pool, settings)


@dataclass(frozen=True)
class RolloutJob:
    """Streams in lock-step. Settings and numbers decide the draws, the weights what is drawn."""

    update: int
    """Number of the update."""
    streams: tuple[int, ...]
    """Seeds of the streams."""
    number: int
    """Of the first group within the update; the others' follow."""
    settings: TrainSettings = field(repr=False)
    """The run; of a `TokenTrainSettings` every machine opens the model, so its folder is on a disk that all share."""
    weights: Shared = field(repr=False)
    """As `weights_of` gives them."""


@dataclass(frozen=True)
class Played:
    """What a worker gives back."""

    groups: list[Group]
    """One per stream."""
    credit_calls: int
    """What rewards asked the reader beside the episodes."""
    asked: dict[str, float]
    """What the reader counted meanwhile, see `trainers.reading_costs`."""
    seen: tuple[Collapse, ...]
    """What the judge of the run noted."""


class RayRollouts:
    """Plays groups on a pool. The weights go to each machine once per update.

    Args:
        pool: who plays; one of 0 workers plays here.
        settings: of the run.
    """

    def __init__(self, pool: RayPool, settings: TrainSettings) -> None:
        if settings.env.reader_cache is not None:  # a worker may be in another directory
            settings = replace(
                settings, env=replace(settings.env, reader_cache=os.path.abspath(settings.env.reader_cache))
            )
        self._pool, self._settings = pool, settings
        if isinstance(settings, TokenTrainSettings):  # a worker sees its own GPU alone, or none
            device = None if _on_gpu(settings) else "cpu"
            self._settings = replace(settings, lm=replace(settings.lm, device=device))
        self._update: int | None = None
        self._weights: Shared | None = None

    def __call__(self, parts: Parts, update: int, streams: Sequence[int], first: int) -> list[Group]:
        """See `trainers.parts.Parts.play_all`.

        Raises:
            MemenvsError: a worker was killed time and again.
        """
        if self._weights is None or update != self._update:
            self._weights, self._update = self._pool.share(weights_of(parts.policy)), update
        settings = _with_model(self._settings, parts.reader)
        jobs = [
            RolloutJob(update, tuple(part), number, settings, self._weights)
            for part, number in bundles(streams, first, self._settings.together)
        ]
        found = {job.number: played for job, played in self._pool.run(play_job, jobs)}
        groups: list[Group] = []
        for job in jobs:
            played = found[job.number]
            parts.count(played.credit_calls, played.asked, played.seen)
            groups += played.groups
        return groups


def weights_of(policy: Any) -> dict[str, Tensor]:
    """What training moves, as copies on the CPU: weights that are not frozen (beneath adapters), tied ones once; and buffers."""
    module = _module(policy)
    sent = {name for name, weight in module.named_parameters() if weight.requires_grad}
    sent |= {name for name, _ in module.named_buffers()}  # those that the state has
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items() if name in sent}


def play_job(job: RolloutJob) -> Played:
    """The groups of one job."""
    return _player(job.settings).play(job)


class _OnlyPlays:
    """Nothing that learns is made."""

    def _make_reference(self) -> None:
        return None

    def _sampler(self) -> Any:
        return None


class _CandidatePlaying(_OnlyPlays, Parts):
    """The parts of a candidate policy's run that play."""


def _parts(settings: TrainSettings) -> Parts:
    if not isinstance(settings, TokenTrainSettings):
        return _CandidatePlaying(settings)
    from trainers.tokens.parts import TokenParts  # needs transformers

    class TokenPlaying(_OnlyPlays, TokenParts):
        """The same for a language model."""

    return TokenPlaying(settings)


class _Player:
    """What a process keeps for the next job of the same run: environments, and the policy with the weights that it got last."""

    def __init__(self, settings: TrainSettings) -> None:
        self._parts = _parts(settings)
        self._weights = ""

    def play(self, job: RolloutJob) -> Played:
        if job.weights.key != self._weights:
            _module(self._parts.policy).load_state_dict(job.weights.get(), strict=False)
            self._weights = job.weights.key
        calls_before, asked_before = self._parts.cost()["credit_calls"], counts_of(self._parts.reader)
        groups = self._parts.play_together(job.update, job.streams, job.number)
        calls = int(self._parts.cost()["credit_calls"] - calls_before)
        asked = {name: n - asked_before.get(name, 0) for name, n in counts_of(self._parts.reader).items()}
        judge = self._parts.rejudge
        return Played(groups, calls, asked, () if judge is None else judge.take_seen())


@lru_cache(maxsize=1)
def _player(settings: TrainSettings) -> _Player:
    return _Player(settings)


def _module(policy: Any) -> torch.nn.Module:
    """The weights of either kind of policy."""
    found: torch.nn.Module = policy.lm.model if hasattr(policy, "lm") else policy
    return found


def _on_gpu(settings: TokenTrainSettings) -> bool:
    return torch.cuda.is_available() and not str(settings.lm.device).startswith("cpu")


def _with_model(settings: TrainSettings, reader: Any) -> TrainSettings:
    """The settings with the model's name, where this process had it from the server: workers do not ask for another one."""
    address, _, model = settings.env.reader.partition("#")
    if not is_served(address) or model:
        return settings
    return replace(settings, env=replace(settings.env, reader=f"{address}#{reader.endpoint.name}"))


def _idle(settings: TrainSettings, workers: int, jobs: int) -> str:
    """What is wrong with more workers than jobs."""
    job, streams = "the group of one stream", max(settings.streams, workers)
    way_out = [] if streams == settings.streams else [f"--streams {streams}"]
    if isinstance(settings, TokenTrainSettings):
        job = f"streams in lock-step, {settings.together} of them with --batch {settings.lm.batch},"
        way_out.append(f"--batch {settings.group_size * (streams // workers)}")
    return (
        f"a worker plays {job} and an update has {settings.streams}: of {workers} workers {workers - jobs} would have nothing to "
        f"do. Take {' '.join(way_out)}, or fewer workers"
    )
