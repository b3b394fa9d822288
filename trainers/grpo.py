"""GRPO for the candidate policy: rollout -> credit -> advantages -> loss -> update.

The credit is the environment's reward wrapper; what the slots say is in `trainers.slots`, and put together in `trainers.parts` and
`trainers.update`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.candidate import CandidatePolicy
from memenvs.errors import DataError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.comparison import plain, scores_to_json
from trainers.evaluation import EpisodeScore, evaluate_policy, mean_r_global, memory_share
from trainers.parts import Parts
from trainers.provenance import facts
from trainers.rollout import Group
from trainers.runlog import RunLog
from trainers.settings import TrainSettings
from trainers.update import advantages, make_batch

EVALUATED_TOGETHER = 32
"""Held-out streams that are played at once."""
COLUMNS = (
    "episodes", "train/r_global", "train/step_reward", "train/memory_share", "train/valid_share", "train/failures",
    "train/loss", "train/entropy", "train/decisions", "heldout/r_global", "heldout/memory_share", "credit_calls",
    "terms/outcome", "terms/evidence", "terms/chunk", "terms/credit", "terms/format", "terms/compression",
)  # fmt: skip
"""Of metrics.csv; terms of other names go to TensorBoard alone."""


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
        SettingsError: settings that do not go together.
    """
    torch.set_num_threads(1)
    # Whatever is wrong with data, reward or slots shows before anything is written.
    parts = Parts(settings)
    policy, slots = parts.policy, parts.slots
    heldout = settings.make_heldouts(min(EVALUATED_TOGETHER, settings.final_streams))
    held_out_streams = range(len(heldout[0].unwrapped.dataset))  # type: ignore[attr-defined]
    first = _open(settings, folder, resume, parts)
    log = RunLog(folder, COLUMNS, first, tensorboard)
    if first == 0:
        scores = evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams])
        log.write(0, _heldout(scores) | parts.cost())

    update, ended = first, parts.sampler.exhausted()
    while update < settings.updates and ended is None:
        drawn = parts.draw(update)
        values = parts.values(drawn.groups)
        weights = advantages(drawn.groups, slots, values)
        batch = make_batch(drawn.groups, weights, drawn.masks)
        line = _line(drawn.groups[: drawn.fresh], len(batch.decisions)) | parts.judge_metrics()
        reference, proximal = parts.frozen_log_probs(batch.decisions)
        for _ in range(settings.epochs if batch.decisions else 0):
            new, entropies = policy.evaluate(batch.decisions)
            objective = parts.objective(new[:, None], batch, reference, proximal)
            loss = -objective - settings.entropy * entropies.mean()
            parts.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            parts.optimiser.step()
            line |= {"train/loss": float(loss.detach()), "train/entropy": float(entropies.detach().mean())}
        parts.fit_critic(drawn.groups, weights, values)
        update += 1
        parts.reset_reference(update, batch.decisions, reference)

        ended = parts.sampler.exhausted()
        last = update == settings.updates or ended is not None
        if update % settings.eval_every == 0 or last:
            line |= _heldout(evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams]))
        log.write(update, line | parts.cost())
        if update % settings.checkpoint_every == 0 or last:
            parts.save(folder, update)
        progress(update, line)

    log.close()
    if update == settings.updates:
        ended = None
    if ended is not None:
        warnings.warn(f"the run ended after {update} of {settings.updates} updates: {ended}", stacklevel=2)
    scores = evaluate_policy(heldout, policy, held_out_streams[: settings.final_streams])
    _write_result(settings, folder, heldout[0], scores, parts, update, ended)
    return policy, scores


def _line(groups: Sequence[Group], decisions: int) -> dict[str, float]:
    """What the rollouts of one update say; a number that every rollout failed to give is left out."""
    whole = [(group, ~group.failed) for group in groups if not group.failed.all()]
    line = {
        "train/failures": float(sum(group.failed.sum() for group in groups)),
        "train/decisions": float(decisions),
    }
    if groups:  # an update may train stored groups alone
        line["train/valid_share"] = float(np.mean([group.valid_share for group in groups]))
    if groups and not whole:
        reason = next((record.failure for record in groups[0].records if record.failure), "its reward is NaN")
        warnings.warn(f"every rollout of an update failed, and it taught nothing: {reason}", stacklevel=3)
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


def _open(settings: TrainSettings, folder: Path, resume: bool, parts: Parts) -> int:
    """Prepare the folder; the update to start from."""
    newest = checkpoint.latest(folder)
    if newest is not None and not resume:
        raise DataError(f"{folder} holds a run already ({newest.name}); resume it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    stated = {"memenvs": __version__} | settings.to_json()
    (folder / "settings.json").write_text(json.dumps(stated, indent=1), encoding="utf-8")
    return 0 if newest is None else parts.load(newest)


def _write_result(
    settings: TrainSettings,
    folder: Path,
    env: Any,
    scores: list[EpisodeScore],
    parts: Parts,
    updates: int,
    ended: str | None,
) -> None:
    result = facts(
        env,
        seed=settings.seed,
        settings=settings.to_json(),
        updates=updates,
        ended=ended,
        r_global=plain(mean_r_global(scores)),
        memory_share=memory_share(scores),
        cost=parts.cost(),
        episodes=scores_to_json(scores),
    )
    draft = folder / "result.json.tmp"
    draft.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    draft.replace(folder / "result.json")
