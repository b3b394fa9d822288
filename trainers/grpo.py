"""GRPO for the candidate policy: rollout -> credit -> advantages -> loss -> update.

The credit is the environment's reward wrapper; what the slots say is in `trainers.slots`, and put together in `trainers.parts` and
`trainers.update`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from agents.candidate import CandidatePolicy
from trainers import reading_costs
from trainers.evaluation import EpisodeScore, evaluate_policy
from trainers.layers import share_reader
from trainers.lock import alone_in
from trainers.parts import Parts
from trainers.ray_rollouts import rollouts_by
from trainers.run_folder import check_heldout, draw, heldout_line, open_run, rollout_line, write_result
from trainers.runlog import RunLog
from trainers.settings import TrainSettings
from trainers.update import advantages, make_batch
from trainers.workers import Play, Workers

EVALUATED_TOGETHER = 32
"""Held-out streams that are played at once."""
COLUMNS = (
    "episodes", "train/r_global", "train/step_reward", "train/memory_share", "train/valid_share", "train/failures",
    "train/loss", "train/entropy", "train/decisions", "heldout/r_global", "heldout/memory_share", "heldout/failures",
    "credit_calls", *reading_costs.COLUMNS,
    "terms/outcome", "terms/evidence", "terms/chunk", "terms/credit", "terms/format", "terms/compression",
)  # fmt: skip
"""Of metrics.csv; terms of other names go to TensorBoard alone."""


def train(
    settings: TrainSettings,
    folder: Path,
    resume: bool = False,
    progress: Callable[[int, dict[str, float]], None] = lambda update, values: None,
    tensorboard: bool = True,
    workers: Workers = Workers(),
) -> tuple[CandidatePolicy, list[EpisodeScore]]:
    """Train a candidate policy from nothing.

    Args:
        settings: everything that decides the numbers.
        folder: receives settings.json, metrics.csv, TensorBoard events, checkpoints and result.json.
        resume: go on from the newest checkpoint in ``folder``; a resumed run gives the numbers of an uninterrupted one.
        progress: called after each update with the number of finished updates and the line that was logged.
        tensorboard: also write TensorBoard events.
        workers: who plays the rollouts; the numbers are the same.

    Returns:
        The policy and its scores on the held-out streams.

    Raises:
        DataError: ``folder`` holds a run of other settings, or one that was not asked to be resumed.
        SettingsError: settings that do not go together, or another command is writing to ``folder``.
        ReaderError: the reader failed in every rollout of an update, or in every held-out episode. Finished updates are kept.
    """
    torch.set_num_threads(1)
    playing = settings if workers.ray else settings.keeping_replies(folder)
    with rollouts_by(workers, playing) as play:
        # Whatever is wrong with data, reward or slots shows before the run begins; only the file of replies may be there by then.
        parts = Parts(playing)
        heldout = playing.make_heldouts(min(EVALUATED_TOGETHER, max(settings.eval_streams, settings.final_streams)))
        share_reader(heldout, parts.reader)
        with alone_in(folder):
            return _train(parts, heldout, settings, folder, resume, progress, tensorboard, play)


def _train(
    parts: Parts,
    heldout: Sequence[gym.Env[Any, Any]],
    settings: TrainSettings,
    folder: Path,
    resume: bool,
    progress: Callable[[int, dict[str, float]], None],
    tensorboard: bool,
    play: Play | None,
) -> tuple[CandidatePolicy, list[EpisodeScore]]:
    policy, slots = parts.policy, parts.slots
    held_out_streams = range(len(heldout[0].unwrapped.dataset))  # type: ignore[attr-defined]
    finished = open_run(settings, folder, resume, parts)
    log = RunLog(folder, COLUMNS, finished, tensorboard)
    if finished is None:
        scores = evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams])
        check_heldout(scores)
        log.write(0, heldout_line(scores) | parts.cost())

    update, ended = finished or 0, parts.sampler.exhausted()
    while update < settings.updates and ended is None:
        drawn = draw(parts, folder, update, play)
        states = parts.states(drawn.groups)
        values = parts.values(states)
        weights = advantages(drawn.groups, slots, values)
        batch = make_batch(drawn.groups, weights, drawn.masks)
        line = rollout_line(drawn.groups[: drawn.fresh], len(batch.decisions)) | parts.judge_metrics()
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
        parts.fit_critic(drawn.groups, weights, states, values)
        update += 1
        parts.reset_reference(update, batch.decisions, reference)

        ended = parts.sampler.exhausted()
        last = update == settings.updates or ended is not None
        if update % settings.eval_every == 0 or last:
            line |= heldout_line(evaluate_policy(heldout, policy, held_out_streams[: settings.eval_streams]))
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
    write_result(settings, folder, heldout[0], scores, parts, update, ended)
    return policy, scores
