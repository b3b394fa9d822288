"""What is measured: credit estimators, controls and reward wrappers, all of which give T numbers for an episode."""

from __future__ import annotations

import hashlib
import inspect
import math
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np

from memenvs.env import MemoryEnv
from memenvs.errors import MemenvsError, SettingsError, did_you_mean
from memenvs.reading import CachedReader, Reading, make_reader
from memenvs.record import EpisodeRecord
from rewards.credit import Examiner, Replay
from rewards.credit.estimators import shapley
from rewards.credit.registry import ESTIMATORS, estimate
from rewards.presets import CREDIT, PRESETS, has_scale, wrap_reward
from trainers.reward_bench.episodes import Played, opened, replayed
from trainers.reward_bench.settings import BenchSettings
from trainers.settings import TrainSettings

CONTROLS = {
    "random": "independent normal numbers",
    "writes": "number of valid writes",
    "exact-shapley": "the true attribution itself: what it costs, and how far it is from advantages",
}
"""Rows that the estimators are seen against."""


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    name: str
    """In the table; of a wrapper as it was given."""
    kind: Literal["estimator", "control", "wrapper"]
    """How its credit is had."""


class Measured(NamedTuple):
    """What a method said about an episode, and what that cost."""

    credit: tuple[float, ...] | None
    """T floats; None where it could not be had."""
    calls: int
    """Readings that a reader without a memory of its own has to answer, those of the episode's own questions included."""
    seconds: float
    """Processor time."""
    reason: str | None
    """Why there is no credit."""


def all_methods(settings: BenchSettings) -> list[Method]:
    """The methods of a measurement, each once.

    Raises:
        SettingsError: an unknown estimator, nothing at all, or a wrapper that cannot be imported.
    """
    known = {name: Method(name, "estimator") for name in ESTIMATORS}
    known |= {name: Method(name, "control") for name in CONTROLS}
    found: list[Method] = []
    for name in settings.estimators:
        if name == "all":
            found += known.values()
        elif name in known:
            found.append(known[name])
        elif name != "none":
            accepted = [*known, "all", "none"]
            raise SettingsError(
                f"unknown estimator {name!r}; known: {', '.join(accepted)}.{did_you_mean(name, accepted)} "
                "A reward wrapper is named with --wrappers"
            )
    for name in settings.wrappers:
        env = settings.environment("builtin", "FineMem-Memalpha-v0", settings.k).make("test")
        wrap_reward(env, name)  # a mistake in its name shows before anything is played
        found.append(Method(f"wrapper {name}", "wrapper"))
    if not found:
        raise SettingsError("nothing to measure: name estimators or wrappers")
    return list(dict.fromkeys(found))


def sources(methods: Iterable[Method]) -> dict[str, str]:
    """Hash of the source of each wrapper of one's own: results of an older version are not mixed with those of a newer one."""
    found = {}
    for method in methods:
        given = _given(method)
        if method.kind == "wrapper" and ":" in given and not given.startswith(CREDIT):
            module = import_module(given.split(":")[0])
            try:
                source = inspect.getsource(module)
            except (OSError, TypeError):  # a module without a file of text
                source = str(module)
            found[method.name] = hashlib.sha256(source.encode()).hexdigest()[:16]
    return found


def _given(method: Method) -> str:
    return method.name.removeprefix("wrapper ")


def measure(method: Method, played: Played, predictor: Any, seed: Sequence[int], rollout: int = 0) -> Measured:
    """The credit of one episode by one method, with a reader of its own, so that its calls are its own.

    Args:
        method: how.
        played: the episode.
        predictor: `rewards.credit.redistribution.ReturnPredictor`, for those that need one.
        seed: decides the method's draws, which are the same for all rollouts of a group, as `rewards.credit.wrapper.CreditReward`
            has them: what its samples say by chance about all of them alike is no advantage of any.
        rollout: number in the group, for the control that draws its credit.

    Returns:
        What it said; a method that cannot serve the episode or its reader says why.
    """
    reader = CachedReader(make_reader(played.env.reader))
    started = time.process_time()
    try:
        credit = _credit(method, played, predictor, seed, rollout, reader)
    except MemenvsError as error:
        return Measured(None, reader.calls, time.process_time() - started, str(error))
    seconds = time.process_time() - started
    reason = _fault(credit, played.record.T)
    return Measured(None if reason else credit, reader.calls, seconds, reason)


def _credit(
    method: Method, played: Played, predictor: Any, seed: Sequence[int], rollout: int, reader: CachedReader
) -> tuple[float, ...]:
    record = played.record
    if method.kind == "wrapper":
        return _wrapped(method, played, reader)
    draw = int(np.random.default_rng(list(seed)).integers(2**31))
    if method.name == "random":
        return tuple(np.random.default_rng([draw, rollout]).normal(size=record.T).tolist())
    if method.name == "writes":
        return tuple(float(sum(o.valid and o.op != "SKIP" for o in step.operations)) for step in record.steps)
    if method.name == "exact-shapley":
        return shapley(record, reader, exact_below=16)
    estimator = ESTIMATORS[method.name]
    # Whatever shares out r_global has to know it: reading the episode's own questions is part of the price.
    asked = Examiner(record, reader).readings(record.memory)
    reader.read([*asked, *(chunk_readings(record) if estimator.reads_chunks else ())])
    draws = {"seed": draw} if "seed" in estimator.settings else {}
    return estimate(method.name, record, reader=reader, policy=played.policy, predictor=predictor, **draws)


def chunk_readings(record: EpisodeRecord) -> list[Reading]:
    """The chunk questions of an episode as they were put to its reader."""
    replay = Replay(record)
    found: list[Reading] = []
    for step in record.steps:
        texts = {item.id: item.content for item in replay.memory(range(step.step + 1))}
        found += [
            Reading(read.question, tuple((r.id, texts[r.id]) for r in read.retrieved), read.source)
            for read in step.readings
        ]
    return found


def _wrapped(method: Method, played: Played, reader: CachedReader) -> tuple[float, ...]:
    given = _given(method)
    reads_chunks = PRESETS.get(given, {}).get("chunk_weight", 1.0) > 0
    env_settings = played.env if reads_chunks else replace(played.env, chunk_questions=0)
    env = env_settings.make(played.split, dataset=opened(played.env, played.split))
    base = env.unwrapped
    assert isinstance(base, MemoryEnv)
    base.reader = reader
    # As it is trained: the scale decides how much the other terms of a preset count.
    arguments = {"scale": TrainSettings.scale} if has_scale(given) else {}
    try:
        return replayed(played, wrap_reward(env, given, **arguments))
    except MemenvsError:
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise SettingsError(
            f"the reward {given!r} failed on an episode: {type(error).__name__}: {error} ({at.filename}, line {at.lineno})"
        ) from error


def _fault(credit: Sequence[float], T: int) -> str | None:
    if len(credit) != T:
        return f"gave {len(credit)} numbers for {T} steps"
    if not all(math.isfinite(value) for value in credit):
        return "gave a number that is not finite"
    return None
