"""The rollouts of one update of a language model: streams one after the other, or in lock-step with one call of the reader a step.

    memenvs demo-lm --seeds 1 --updates 1 --warm-streams 60 --streams 2 --workers 1 --out runs/look
    python benchmarks/lm_rollouts.py runs/look/runs/seed0
    python tests/endpoint_server.py --port 8000 --log runs/served.jsonl --slow 0.02 &      # a reader that takes 20 ms
    python benchmarks/lm_rollouts.py runs/look/runs/seed0 --reader http://127.0.0.1:8000/v1#rules

Settings of ``memenvs demo-lm``. The ways take turns, each time over streams of their own, which no cache knows; medians, one
thread. Training on the rollouts, which is the same for all ways, is timed once.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from harness import show, table_of, write

from agents.base import View
from memenvs.reading import make_reader
from trainers import checkpoint
from trainers.lm_demo_settings import LMDemoSettings, run_settings
from trainers.rollout import Group
from trainers.tokens.parts import TokenParts
from trainers.update import advantages


@dataclass(frozen=True)
class Settings:
    """What is timed."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a run of ``memenvs demo-lm``, whose newest checkpoint plays."""
    streams: int = 4
    """Of an update."""
    reader: str = "extractive"
    """Who answers."""
    concurrency: int = 8
    """Of a reader at an address: requests under way at a time."""
    repeats: int = 5
    """Updates per way."""
    out: Path | None = None
    """File for the numbers as JSON."""


class Counted:
    """A policy or a reader whose calls are counted and timed."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.name = inner, getattr(inner, "name", "")
        self.calls, self.seconds = 0, 0.0

    def _timed(self, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = call()
        self.calls, self.seconds = self.calls + 1, self.seconds + time.perf_counter() - start
        return found

    def act(self, views: Sequence[View], rngs: Sequence[np.random.Generator]) -> Any:
        """See `trainers.rollout.Policy`."""
        return self._timed(lambda: self.inner.act(views, rngs))

    def read(self, readings: Any) -> Any:
        """See `memenvs.reading.Reader`."""
        return self._timed(lambda: self.inner.read(readings))


def one_by_one(parts: TokenParts, update: int, streams: Sequence[int]) -> list[Group]:
    """Streams one after the other."""
    return [parts.play(update, stream, number) for number, stream in enumerate(streams)]


def together(parts: TokenParts, update: int, streams: Sequence[int]) -> list[Group]:
    """All streams in lock-step."""
    return parts.play_all(update, streams, 0)


WAYS = {
    "each by itself": (one_by_one, False),
    "one call of the reader per group": (one_by_one, True),
    "all streams together": (together, True),
}
"""Name -> (who plays, whether environments share the reader)."""


def measure(parts: TokenParts, reader: Any, way: str, update: int) -> tuple[dict[str, float], list[Group]]:
    """Seconds and calls of an update's rollouts."""
    play, shared = WAYS[way]
    policy, counted = Counted(parts.policy), Counted(reader)
    for env in parts.envs:
        env.unwrapped.reader = counted if shared else copy.copy(counted)  # type: ignore[attr-defined]
    own: Any = parts.policy
    parts.policy = policy  # type: ignore[assignment]
    wall, cpu = time.perf_counter(), time.process_time()
    groups = play(parts, update, parts.sampler.streams(update, parts.settings.streams))
    rollouts = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    parts.policy = own
    readers = {id(found): found for env in parts.envs if (found := env.unwrapped.reader)}.values()  # type: ignore[attr-defined]
    assert not any(group.failed.any() for group in groups)
    return rollouts | {
        "policy": policy.seconds,
        "policy_calls": policy.calls,
        "reader": sum(found.seconds for found in readers),
        "reader_calls": sum(found.calls for found in readers),
    }, groups


def learning(parts: TokenParts, groups: Sequence[Group]) -> float:
    """CPU-seconds of training on them."""
    start = time.process_time()
    weights = advantages(groups, parts.slots, None)
    parts.learn(parts.rows(groups, weights, [np.ones(table.shape, bool) for table in weights]))
    return time.process_time() - start


def main(settings: Settings) -> None:
    """Measure every way."""
    torch.set_num_threads(1)
    demo = run_settings(LMDemoSettings(streams_per_update=settings.streams), 0)
    lm = replace(demo.lm, model=str(checkpoint.find(settings.run)), warm_start=None)
    parts = TokenParts(replace(demo, lm=lm, learning_rate=0.0))
    given = {"concurrency": settings.concurrency} if settings.reader.startswith("http") else {}
    reader = make_reader(settings.reader, **given)
    for update, way in enumerate(WAYS):  # to warm up
        _, groups = measure(parts, reader, way, update)
    learn = learning(parts, groups)
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for update in range(len(WAYS), len(WAYS) * (settings.repeats + 1)):
        way = list(WAYS)[update % len(WAYS)]
        seen[way].append(measure(parts, reader, way, update)[0])
    results = [
        {"way": way} | {name: median(found[name] for found in every) for name in every[0]}
        for way, every in seen.items()
    ]
    columns = {
        "rollouts": "{way}", "wall s": "{wall:.2f}", "CPU-s": "{cpu:.2f}", "policy s": "{policy:.2f}",
        "calls": "{policy_calls:.0f}", "reader s": "{reader:.2f}", "calls ": "{reader_calls:.0f}",
    }  # fmt: skip
    title = f"one update: {settings.streams} streams, {demo.group_size} rollouts, T = {demo.env.T}, reader {settings.reader}"
    first, last = results[0], results[-1]
    show(
        table_of(results, columns, title),
        f"rollouts {first['wall'] / last['wall']:.2f}x faster in wall time, {first['cpu'] / last['cpu']:.2f}x in CPU time; with "
        f"{learn:.2f} CPU-s of training the update is {(first['cpu'] + learn) / (last['cpu'] + learn):.2f}x faster in CPU time",
    )
    write(settings.out, "lm_rollouts", results, reader=settings.reader, learning=learn)


if __name__ == "__main__":
    main(tyro.cli(Settings))
