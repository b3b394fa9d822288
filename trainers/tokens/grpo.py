"""GRPO for a language model: warm start, then rollout -> credit -> advantages -> loss -> update, as in `trainers.grpo`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium as gym

from agents.language_model.policy import LanguageModelPolicy
from memenvs.errors import SettingsError, did_you_mean
from trainers import reading_costs
from trainers.comparison import make_control
from trainers.evaluation import EpisodeScore, evaluate_policy
from trainers.grpo import EVALUATED_TOGETHER
from trainers.layers import share_reader
from trainers.lock import alone_in
from trainers.ray_rollouts import rollouts_by
from trainers.run_folder import check_heldout, draw, heldout_line, open_run, rollout_line, write_result
from trainers.runlog import RunLog, read_metrics
from trainers.runs import START
from trainers.tokens.context import check_run
from trainers.tokens.measures import drawn_messages, group_line, message_line, token_line
from trainers.tokens.out_of_memory import out_of_memory_told
from trainers.tokens.parts import TokenParts
from trainers.tokens.rollout_file import RolloutFile
from trainers.tokens.settings import TokenTrainSettings
from trainers.tokens.teacher import sayable, teacher_rows
from trainers.tokens.warm_start import WarmStartSettings, warm_start
from trainers.update import advantages
from trainers.workers import Play, Workers

TEACHERS = ("scripted", "random", "keep_everything", "hindsight", "newest_fact")
"""Agents whose messages a model can begin with; hindsight knows the questions."""
WARM_SEEDS = 2**40
"""First seed of the teacher's streams."""
COLUMNS = (
    "episodes", "train/r_global", "train/step_reward", "train/memory_share", "train/valid_share", "train/truncated",
    "train/shortened", "train/failures", "train/loss", "train/log_ratio", "train/drift", "train/clip_share", "train/kl",
    "train/entropy", "train/gradient_norm", "train/decisions", "train/tokens", "train/message_tokens",
    "train/zero_advantage_share", "train/groups_dropped",
    "heldout/r_global", "heldout/memory_share", "heldout/failures", "heldout/drawn_r_global", "heldout/drawn_failures",
    "credit_calls", "warm/loss", "warm/left_out",
    *reading_costs.COLUMNS,
    "terms/outcome", "terms/evidence", "terms/chunk", "terms/credit", "terms/format", "terms/compression",
    "terms/overlong",
)  # fmt: skip
"""Of metrics.csv; terms of other names go to TensorBoard alone."""
TIMES = ("seconds/rollouts", "seconds/update", "seconds/all", "tokens_per_second/drawn", "tokens_per_second/trained")
"""Of timing.csv: wall clock, and so apart from the numbers that a resumed run repeats."""
Progress = Callable[[str, float, int, dict[str, float]], None]
"""(stage, how much of it is done, of how much, the last line of numbers)."""


def train(
    settings: TokenTrainSettings,
    folder: Path,
    resume: bool = False,
    progress: Progress = lambda stage, done, total, line: None,
    tensorboard: bool = True,
    workers: Workers = Workers(),
) -> tuple[LanguageModelPolicy, list[EpisodeScore]]:
    """Train a language model.

    Args:
        settings: everything that decides the numbers.
        folder: receives settings.json, metrics.csv, TensorBoard events, checkpoints, taught (the model after a warm start) and best
            (each as transformers loads it), start.json (held-out scores before the first update), timing.csv, rollouts.jsonl and
            result.json.
        resume: go on from the newest checkpoint in ``folder``; a resumed run gives the numbers of an uninterrupted one.
        progress: called with the stage ("teacher", "warm start", "held-out", "updates"), how much of it is done, and the last line.
        tensorboard: also write TensorBoard events.
        workers: who plays the rollouts; teacher, evaluations and updates stay in this process.

    Returns:
        The policy and its scores on the held-out streams.

    Raises:
        DataError: there is no such model, or ``folder`` holds a run of other settings or one that was not asked to be resumed.
        SettingsError: settings that do not go together, or another command is writing to ``folder``.
        ReaderError: the reader failed in every rollout of an update, or in every held-out episode. Finished updates are kept.
        MemenvsError: a gradient is not finite, or the GPU's memory is full.
    """
    playing = settings if workers.ray else settings.keeping_replies(folder)
    with out_of_memory_told(settings.lm), rollouts_by(workers, playing) as play:
        parts = TokenParts(playing)
        heldout = playing.make_heldouts(min(EVALUATED_TOGETHER, _most_streams(settings)))
        share_reader(heldout, parts.reader)
        check_run(parts.policy, parts.envs[0], heldout[0], _most_streams(settings))
        with alone_in(folder):
            return _train(parts, heldout, settings, folder, resume, progress, tensorboard, play)


def _train(
    parts: TokenParts,
    heldout: Sequence[gym.Env[Any, Any]],
    settings: TokenTrainSettings,
    folder: Path,
    resume: bool,
    progress: Progress,
    tensorboard: bool,
    play: Play | None,
) -> tuple[LanguageModelPolicy, list[EpisodeScore]]:
    held_out_streams = range(len(heldout[0].unwrapped.dataset))  # type: ignore[attr-defined]

    def evaluated(count: int, drawn: int | None = None) -> list[EpisodeScore]:
        streams = held_out_streams[:count]
        return evaluate_policy(
            heldout,
            parts.policy,
            streams,
            lambda played: progress("held-out", played, len(streams), {}),
            drawn=drawn,
        )

    finished = open_run(settings, folder, resume, parts)
    # A run that was killed between a checkpoint and its line has that line still to come, or once more.
    logged = finished if finished is None or parts.unlogged is None else finished - 1
    log = RunLog(folder, COLUMNS, logged, tensorboard)
    clock = RunLog(folder, TIMES, finished, tensorboard, "timing.csv")
    written = RolloutFile(folder, finished)
    if finished is None:
        warm = _warm_start(parts, progress)
        if warm:
            parts.save_taught(folder)
        parts.save(folder, 0, warm)  # whatever becomes of the evaluation, the model need not learn this again
    update = finished or 0
    best = max(map(_sound, read_metrics(folder / "metrics.csv")), default=-inf)

    def keep_best(line: dict[str, float]) -> float:
        """Before the line is written: an evaluation that has its line is not made again."""
        if _sound(line) > best:
            parts.save_best(folder, update, line["heldout/r_global"])
        return max(best, _sound(line))

    def conclude(line: dict[str, float], last: bool) -> tuple[list[EpisodeScore], list[EpisodeScore]]:
        """Evaluate, where it is time, and write the line; the scores for start.json or result.json, where they are wanted now."""
        nonlocal best
        scores: list[EpisodeScore] = []
        drawn: list[EpisodeScore] = []
        ends = update == 0 or last
        if ends or update % settings.eval_every == 0:
            count = _most_streams(settings) if ends else settings.eval_streams  # for the curve's point and the file
            scores, drawn = evaluated(count), evaluated(count, drawn=0) if settings.eval_drawn else []
            line |= heldout_line(scores[: settings.eval_streams], drawn[: settings.eval_streams])
            best = keep_best(line)
        final = scores[: settings.final_streams], drawn[: settings.final_streams]
        if update == 0:
            write_result(settings, folder, heldout[0], final[0], parts, 0, None, START, final[1])
        if last:
            check_heldout(final[0])  # before the line: a resumed run evaluates again
        log.write(update, line | parts.cost())
        return final if last else ([], [])

    ended = parts.sampler.exhausted()
    scores: list[EpisodeScore] = []
    drawn_scores: list[EpisodeScore] = []
    if parts.unlogged is not None:
        scores, drawn_scores = conclude(dict(parts.unlogged), update == settings.updates or ended is not None)
        parts.save_logged(folder, update)
    while update < settings.updates and ended is None:
        begun = perf_counter()
        drawn = draw(parts, folder, update, play)
        played = perf_counter()
        states = parts.states(drawn.groups)
        values = parts.values(states)
        weights = advantages(drawn.groups, parts.slots, values)
        rows = parts.rows(drawn.groups, weights, drawn.masks, drawn.fresh)
        messages = drawn_messages(drawn.groups[: drawn.fresh])
        line = rollout_line(drawn.groups[: drawn.fresh], len(rows)) | parts.judge_metrics()
        line |= group_line(drawn.groups, weights, drawn.masks)
        learning = perf_counter()
        line |= parts.learn(rows, update) | token_line(rows) | message_line(messages)
        learnt = perf_counter()
        parts.fit_critic(drawn.groups, weights, states, values)
        update += 1
        parts.renew_reference(update, rows, line.get("train/kl_after", 0.0))
        if not rows:
            left = len(drawn.groups) - int(line["train/groups_dropped"])
            warnings.warn(
                f"update {update} trained nothing: the sampler {parts.slots.sampler!r} left {left} of {len(drawn.groups)} groups "
                f"(it drops rollouts that end alike), with cut_off={settings.lm.cut_off!r} no message of them; the weights are as "
                "they were",
                stacklevel=2,
            )
        if drawn.fresh:
            written.write(update, drawn.groups[0], weights[0])

        ended = parts.sampler.exhausted()
        last = update == settings.updates or ended is not None
        times = played - begun, learnt - learning, perf_counter() - begun
        speeds = (
            sum(len(message.sample.tokens) for message in messages) / times[0],
            line.get("train/tokens", 0.0) / times[1],
        )
        clock.write(update, dict(zip(TIMES, (*times, *speeds), strict=True)))
        saved = update % settings.checkpoint_every == 0 or last
        if saved:
            parts.save(folder, update, line)  # before the evaluation, which may take long and may fail
        scores, drawn_scores = conclude(line, last)
        if saved:
            parts.save_logged(folder, update)
        progress("updates", update, settings.updates, line)

    log.close()
    clock.close()
    if update == settings.updates:
        ended = None
    if ended is not None:
        warnings.warn(f"the run ended after {update} of {settings.updates} updates: {ended}", stacklevel=2)
    if not scores:  # the last evaluation was another process's
        scores = evaluated(settings.final_streams)
        drawn_scores = evaluated(settings.final_streams, drawn=0) if settings.eval_drawn else []
    write_result(settings, folder, heldout[0], scores, parts, update, ended, drawn=drawn_scores)
    return parts.policy, scores


def _most_streams(settings: TokenTrainSettings) -> int:
    """Held-out streams of the largest evaluation of a run."""
    return max(settings.eval_streams, settings.final_streams)


def _sound(line: Mapping[str, float]) -> float:
    """Held-out r_global of a line; -inf where there is none, or one over some of the streams alone."""
    return line["heldout/r_global"] if line.get("heldout/failures") == 0 else -inf


def _warm_start(parts: TokenParts, progress: Progress) -> dict[str, float]:
    """Learn from the teacher, if there is one."""
    settings, own = parts.settings, parts.settings.lm
    if own.warm_start is None:
        return {}
    if own.warm_start not in TEACHERS:
        raise SettingsError(
            f"warm_start must be one of {', '.join(TEACHERS)}, got {own.warm_start!r}."
            f"{did_you_mean(own.warm_start, TEACHERS)}"
        )
    env = replace(settings.env, chunk_questions=0).make("train")
    share_reader([env], parts.reader)
    played = count(1)
    rows = teacher_rows(
        env,
        make_control(own.warm_start, settings.env),
        parts.policy,
        # Far from the seeds of the streams that are rolled out later.
        [WARM_SEEDS + settings.seed * own.warm_streams + i for i in range(own.warm_streams)],
        lambda: progress("teacher", next(played), own.warm_streams, {}),
    )
    said = sayable(rows, own.max_tokens)
    losses = warm_start(
        parts.model,
        said,
        WarmStartSettings(
            epochs=own.warm_epochs,
            batch=own.warm_batch,
            micro_batch=own.micro_batch,
            gradient_checkpointing=own.gradient_checkpointing,
            learning_rate=own.warm_rate,
            seed=settings.seed,
        ),
        lambda step, steps, loss: progress("warm start", step, steps, {"warm/loss": loss}),
    )
    parts.follow_warm_start()
    return {"warm/loss": sum(losses[-10:]) / len(losses[-10:]), "warm/left_out": float(len(rows) - len(said))}
