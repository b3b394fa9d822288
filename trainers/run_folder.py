"""What a training run says about itself, and the folder it says it in.

* `open_run` - the folder, and where to go on.
* `draw` - an update's rollouts; where all of them failed, the run is kept as it is.
* `rollout_line`, `heldout_line` - the numbers of an update.
* `check_heldout` - refuses an evaluation that says nothing.
* `write_result` - the last ones.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memenvs.errors import DataError, ReaderError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.comparison import plain, scores_to_json
from trainers.evaluation import EpisodeScore, mean_r_global, memory_share
from trainers.parts import Parts
from trainers.provenance import facts
from trainers.rollout import Group
from trainers.settings import TrainSettings
from trainers.slots.sampling import Batch
from trainers.workers import Play


def draw(parts: Parts, folder: Path, update: int, play: Play | None) -> Batch[Group]:
    """The rollouts of an update, see `Parts.draw`.

    Args:
        parts: of the run.
        folder: of the run; gets a checkpoint of the finished updates if the reader failed in every rollout.
        update: number of finished updates.
        play: who plays.

    Raises:
        ReaderError: the reader failed in every rollout.
    """
    try:
        return parts.draw(update, play)
    except ReaderError:
        newest = checkpoint.latest(folder)
        if newest is None or checkpoint.read_state(newest)["update"] != update:
            parts.save(folder, update)
        raise


def rollout_line(groups: Sequence[Group], decisions: int) -> dict[str, float]:
    """What the rollouts of one update say; a number that every rollout failed to give is left out."""
    whole = [(group, ~group.failed) for group in groups if not group.failed.all()]
    line = {
        "train/failures": float(sum(group.failed.sum() for group in groups)),
        "train/decisions": float(decisions),
    }
    if groups:  # an update may train stored groups alone
        line["train/valid_share"] = float(np.mean([group.valid_share for group in groups]))
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


def heldout_line(scores: Sequence[EpisodeScore], drawn: Sequence[EpisodeScore] = ()) -> dict[str, float]:
    """What an evaluation on held-out streams says; if the reader failed in all of them, the curve has a gap there.

    Args:
        scores: greedy ones.
        drawn: with drawn messages, if they were played so, too.
    """
    failed = [score.failure for score in scores if score.failure is not None]
    if len(failed) == len(scores):
        warnings.warn(f"the reader failed in all {len(scores)} held-out episodes: {failed[0]}", stacklevel=3)
    return {
        "heldout/r_global": mean_r_global(scores),
        "heldout/memory_share": memory_share(scores),
        "heldout/failures": float(len(failed)),
        **(
            {
                "heldout/drawn_r_global": mean_r_global(drawn),
                "heldout/drawn_failures": float(sum(score.failure is not None for score in drawn)),
            }
            if drawn
            else {}
        ),
    }


def check_heldout(scores: Sequence[EpisodeScore]) -> None:
    """See that an evaluation says something.

    Raises:
        ReaderError: the reader failed in every episode.
    """
    if scores and all(score.failure is not None for score in scores):
        raise ReaderError(
            f"the reader failed in all {len(scores)} held-out episodes, so nothing was written about them: {scores[0].failure}. "
            "Updates that are finished are kept; the same command goes on from there (memenvs train with --resume auto)"
        )


def open_run(settings: TrainSettings, folder: Path, resume: bool, parts: Parts) -> int | None:
    """Prepare the folder of a run.

    Args:
        settings: the run.
        folder: its folder.
        resume: whether to go on from a checkpoint that is there.
        parts: take the checkpoint's numbers.

    Returns:
        The update to go on from; None for a run that begins.

    Raises:
        DataError: a run is there and was not asked to be resumed, or has other settings.
    """
    newest = checkpoint.latest(folder)
    if newest is not None and not resume:
        raise DataError(f"{folder} holds a run already ({newest.name}); resume it, or name another folder")
    finished = None if newest is None else parts.load(newest)  # before anything is written: it may refuse
    folder.mkdir(parents=True, exist_ok=True)
    stated = {"memenvs": __version__} | settings.to_json() | parts.identity
    (folder / "settings.json").write_text(json.dumps(stated, indent=1), encoding="utf-8")
    return finished


def write_result(
    settings: TrainSettings,
    folder: Path,
    env: Any,
    scores: list[EpisodeScore],
    parts: Parts,
    updates: int,
    ended: str | None,
    file: str = "result.json",
    drawn: Sequence[EpisodeScore] = (),
) -> None:
    """Write result.json: the last scores and where they came from.

    Args:
        settings: the run.
        folder: its folder.
        env: the held-out environment.
        scores: on the held-out streams.
        parts: say what the run cost.
        updates: finished ones.
        ended: why the run ended early, or None.
        file: another name.
        drawn: scores on the same streams with drawn messages, where those of ``scores`` are greedy.

    Raises:
        ReaderError: the reader failed in every episode.
    """
    check_heldout(scores)
    more = {
        "drawn_r_global": plain(mean_r_global(drawn)),
        "drawn_failures": sum(score.failure is not None for score in drawn),
        "drawn_episodes": scores_to_json(drawn),
    }
    result = facts(
        env,
        seed=settings.seed,
        settings=settings.to_json(),
        fingerprint=settings.fingerprint,
        updates=updates,
        ended=ended,
        r_global=plain(mean_r_global(scores)),
        memory_share=memory_share(scores),
        failures=sum(score.failure is not None for score in scores),
        cost=parts.cost(),
        **parts.identity,
        **(more if drawn else {}),
        episodes=scores_to_json(scores),
    )
    draft = folder / f"{file}.tmp"
    draft.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    draft.replace(folder / file)
