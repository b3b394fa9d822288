"""GRPO with per-step groups for the candidate policy: rollout -> credit -> advantages -> loss -> update.

The credit is the environment's reward wrapper; everything else is on this page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.candidate import CandidatePolicy, CandidateSettings
from memenvs.errors import DataError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.advantages import group_advantages
from trainers.comparison import plain, scores_to_json
from trainers.evaluation import EpisodeScore, evaluate_policy, mean_r_global, memory_share
from trainers.loss import clipped_loss
from trainers.rollout import Group, rollout
from trainers.runlog import RunLog
from trainers.settings import TrainSettings

EVALUATED_TOGETHER = 32
"""Held-out streams that are played at once."""
COLUMNS = (
    "episodes", "train/r_global", "train/step_reward", "train/memory_share", "train/valid_share", "train/failures",
    "train/loss", "train/entropy", "heldout/r_global", "heldout/memory_share",
)  # fmt: skip


def stream_seed(seed: int, update: int, number: int) -> int:
    """Seed of one group's streams: a function of its place alone, so arms that share a seed see the same streams."""
    return int(np.random.SeedSequence([seed, update, number]).generate_state(1)[0])


def train(
    settings: TrainSettings,
    folder: Path,
    resume: bool = False,
    progress: Callable[[int, dict[str, float]], None] = lambda update, values: None,
    tensorboard: bool = True,
) -> tuple[CandidatePolicy, list[EpisodeScore]]:
    """Train a candidate policy from nothing.

    Args:
        settings: everything that decides the numbers.
        folder: receives settings.json, metrics.csv, TensorBoard events, checkpoints and result.json.
        resume: go on from the newest checkpoint in ``folder``; a resumed run gives the numbers of an uninterrupted one.
        progress: called after each update with the line that was logged.
        tensorboard: also write TensorBoard events.

    Returns:
        The policy and its scores on the held-out streams.

    Raises:
        DataError: ``folder`` holds a run of other settings, or one that was not asked to be resumed.
    """
    torch.set_num_threads(1)
    policy = CandidatePolicy(
        CandidateSettings(
            max_operations=settings.env.max_operations or 6,
            max_item_tokens=settings.env.max_item_tokens,
            seed=settings.seed,
        )
    )
    optimiser = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    first = _open(settings, folder, resume, policy, optimiser)
    log = RunLog(folder, COLUMNS, first, tensorboard)
    data = settings.env.open("train")
    envs = [settings.make_env(data) for _ in range(settings.group_size)]
    heldout = settings.make_heldouts(min(EVALUATED_TOGETHER, settings.final_streams))
    held_out_streams = range(len(heldout[0].unwrapped.dataset))  # type: ignore[attr-defined]

    for update in range(first, settings.updates):
        groups = []
        for number in range(settings.streams):
            rngs = [np.random.default_rng([settings.seed, update, number, g]) for g in range(settings.group_size)]
            groups.append(rollout(envs, policy, stream_seed(settings.seed, update, number), rngs))
        advantages = np.concatenate([group_advantages(g.rewards, group=settings.group).ravel() for g in groups])
        decisions = [d for group in groups for row in group.decisions for d in row]
        old = torch.tensor([d.log_prob for d in decisions])
        for _ in range(settings.epochs):
            new, entropies = policy.evaluate(decisions)
            surrogate = clipped_loss(new, old, torch.from_numpy(advantages).float(), settings.clip)
            loss = surrogate - settings.entropy * entropies.mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()

        line = _line(settings, update, groups, float(loss.detach()), float(entropies.detach().mean()))
        if (update + 1) % settings.eval_every == 0 or update + 1 == settings.updates:
            scores = evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams])
            line |= {"heldout/r_global": mean_r_global(scores), "heldout/memory_share": memory_share(scores)}
        log.write(update, line)
        if (update + 1) % settings.checkpoint_every == 0 or update + 1 == settings.updates:
            checkpoint.save(folder, update + 1, policy, optimiser, _state(settings, policy))
        progress(update, line)

    log.close()
    scores = evaluate_policy(heldout, policy, held_out_streams[: settings.final_streams])
    _write_result(settings, folder, heldout[0], scores)
    return policy, scores


def _line(settings: TrainSettings, update: int, groups: list[Group], loss: float, entropy: float) -> dict[str, float]:
    played = (update + 1) * settings.streams * settings.group_size
    return {
        "episodes": played,
        "train/r_global": float(np.nanmean([g.r_global for g in groups])),
        "train/step_reward": float(np.nanmean([g.rewards for g in groups if g.rewards.size])),
        "train/memory_share": float(np.mean([g.memory_share for g in groups])),
        "train/valid_share": float(np.mean([g.valid_share for g in groups])),
        "train/failures": float(sum(g.failures for g in groups)),
        "train/loss": loss,
        "train/entropy": entropy,
    }


def _state(settings: TrainSettings, policy: CandidatePolicy) -> dict[str, Any]:
    return {
        "fingerprint": settings.fingerprint,
        "memenvs": __version__,
        "policy": asdict(policy.settings),
        "settings": settings.to_json(),
    }


def _open(
    settings: TrainSettings, folder: Path, resume: bool, policy: CandidatePolicy, optimiser: torch.optim.Optimizer
) -> int:
    """Prepare the folder; the update to start from."""
    newest = checkpoint.latest(folder)
    if newest is not None and not resume:
        raise DataError(f"{folder} holds a run already ({newest.name}); resume it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings.to_json(), indent=1), encoding="utf-8")
    if newest is None:
        return 0
    state = checkpoint.read_state(newest)
    if state["fingerprint"] != settings.fingerprint:
        raise DataError(f"{newest} was trained with other settings (see its state.json); name another folder")
    checkpoint.load_policy(newest, policy)
    checkpoint.load_optimiser(newest, optimiser)
    return int(state["update"])


def _write_result(settings: TrainSettings, folder: Path, env: Any, scores: list[EpisodeScore]) -> None:
    dataset = env.unwrapped.dataset
    result = {
        "memenvs": __version__,
        "data": dataset.source,
        "dataset": dataset.fingerprint,
        "split": dataset.split,
        "profile": env.unwrapped.settings.profile,
        "reader": env.unwrapped.reader.name,
        "settings": settings.to_json(),
        "r_global": plain(mean_r_global(scores)),
        "memory_share": memory_share(scores),
        "episodes": scores_to_json(scores),
    }
    draft = folder / "result.json.tmp"
    draft.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    draft.replace(folder / "result.json")
