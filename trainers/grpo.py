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
from memenvs.errors import DataError, SettingsError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.advantages import group_advantages
from trainers.comparison import plain, scores_to_json
from trainers.evaluation import EpisodeScore, evaluate_policy, mean_r_global, memory_share
from trainers.loss import clipped_loss
from trainers.provenance import facts
from trainers.rollout import Group, rollout
from trainers.runlog import RunLog
from trainers.settings import TrainSettings

EVALUATED_TOGETHER = 32
"""Held-out streams that are played at once."""
COLUMNS = (
    "episodes", "train/r_global", "train/step_reward", "train/memory_share", "train/valid_share", "train/failures",
    "train/loss", "train/entropy", "heldout/r_global", "heldout/memory_share",
    "terms/outcome", "terms/evidence", "terms/chunk", "terms/format", "terms/compression",
)  # fmt: skip
"""Of metrics.csv; terms of other names go to TensorBoard alone."""


def stream_seed(seed: int, update: int, number: int) -> int:
    """Seed of one group's streams: a function of its place alone, so arms that share a seed see the same streams."""
    return int(np.random.SeedSequence([seed, update, number]).generate_state(1)[0])


def policy_settings(settings: TrainSettings) -> CandidateSettings:
    """The candidate policy that fits the environment.

    Raises:
        SettingsError: the quota is none that the policy's exact probability of operation sets can serve.
    """
    quota = settings.env.max_operations
    if quota is None or quota > 6:
        raise SettingsError(f"the candidate policy writes 1 to 6 operations a step: set max_operations so; got {quota}")
    return CandidateSettings(max_operations=quota, max_item_tokens=settings.env.max_item_tokens, seed=settings.seed)


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
        progress: called after each update with the number of finished updates and the line that was logged.
        tensorboard: also write TensorBoard events.

    Returns:
        The policy and its scores on the held-out streams.

    Raises:
        DataError: ``folder`` holds a run of other settings, or one that was not asked to be resumed.
    """
    torch.set_num_threads(1)
    # Whatever is wrong with data or reward shows before anything is written.
    policy = CandidatePolicy(policy_settings(settings))
    envs = settings.make_envs()
    heldout = settings.make_heldouts(min(EVALUATED_TOGETHER, settings.final_streams))
    held_out_streams = range(len(heldout[0].unwrapped.dataset))  # type: ignore[attr-defined]
    optimiser = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    first = _open(settings, folder, resume, policy, optimiser)
    log = RunLog(folder, COLUMNS, first, tensorboard)
    if first == 0:
        scores = evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams])
        log.write(0, {"episodes": 0.0} | _heldout(scores))

    for update in range(first, settings.updates):
        groups = []
        for number in range(settings.streams):
            rngs = [np.random.default_rng([settings.seed, update, number, g]) for g in range(settings.group_size)]
            groups.append(rollout(envs, policy, stream_seed(settings.seed, update, number), rngs))
        advantages = [group_advantages(group.rewards, group=settings.group) for group in groups]
        # A failed rollout teaches nothing: its decisions are in neither the surrogate nor the entropy.
        kept = [(g, i) for g, group in enumerate(groups) for i in range(len(group.decisions)) if not group.failed[i]]
        decisions = [decision for g, i in kept for decision in groups[g].decisions[i]]
        weights = torch.tensor([a for g, i in kept for a in advantages[g][i]], dtype=torch.float32)
        old = torch.tensor([decision.log_prob for decision in decisions])
        line = _line(settings, update, groups)
        for _ in range(settings.epochs if decisions else 0):
            new, entropies = policy.evaluate(decisions)
            surrogate = clipped_loss(new, old, weights, settings.clip)
            loss = surrogate - settings.entropy * entropies.mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()
            line |= {"train/loss": float(loss.detach()), "train/entropy": float(entropies.detach().mean())}

        if (update + 1) % settings.eval_every == 0 or update + 1 == settings.updates:
            line |= _heldout(evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams]))
        log.write(update + 1, line)
        if (update + 1) % settings.checkpoint_every == 0 or update + 1 == settings.updates:
            checkpoint.save(folder, update + 1, policy, optimiser, _state(settings, policy))
        progress(update + 1, line)

    log.close()
    scores = evaluate_policy(heldout, policy, held_out_streams[: settings.final_streams])
    _write_result(settings, folder, heldout[0], scores)
    return policy, scores


def _line(settings: TrainSettings, update: int, groups: list[Group]) -> dict[str, float]:
    """What the rollouts of one update say; a number that every rollout failed to give is left out."""
    whole = [(group, ~group.failed) for group in groups if not group.failed.all()]
    line = {
        "episodes": float((update + 1) * settings.streams * settings.group_size),
        "train/failures": float(sum(group.failed.sum() for group in groups)),
        "train/valid_share": float(np.mean([group.valid_share for group in groups])),
    }
    if whole:
        line |= {
            "train/r_global": float(np.mean(np.concatenate([group.r_global[ok] for group, ok in whole]))),
            "train/step_reward": float(np.mean(np.concatenate([group.rewards[ok].ravel() for group, ok in whole]))),
            "train/memory_share": float(np.mean(np.concatenate([group.memory_share[ok] for group, ok in whole]))),
        }
        for name in whole[0][0].terms:
            values = np.concatenate([group.terms[name][ok].ravel() for group, ok in whole])
            line[f"terms/{name}"] = float(np.mean(values))
    return line


def _heldout(scores: list[EpisodeScore]) -> dict[str, float]:
    return {"heldout/r_global": mean_r_global(scores), "heldout/memory_share": memory_share(scores)}


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
    stated = {"memenvs": __version__} | settings.to_json()
    (folder / "settings.json").write_text(json.dumps(stated, indent=1), encoding="utf-8")
    if newest is None:
        return 0
    state = checkpoint.read_state(newest)
    if state["fingerprint"] != settings.fingerprint:
        raise DataError(f"{newest} was trained with other settings (see its state.json); name another folder")
    checkpoint.load_policy(newest, policy)
    checkpoint.load_optimiser(newest, optimiser)
    return int(state["update"])


def _write_result(settings: TrainSettings, folder: Path, env: Any, scores: list[EpisodeScore]) -> None:
    result = facts(
        env,
        seed=settings.seed,
        settings=settings.to_json(),
        r_global=plain(mean_r_global(scores)),
        memory_share=memory_share(scores),
        episodes=scores_to_json(scores),
    )
    draft = folder / "result.json.tmp"
    draft.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    draft.replace(folder / "result.json")
