"""DOTS: streams of middling difficulty, predicted from a few reference streams, and replay of stored rollouts.

Difficulty is the mean r_global of a stream's rollouts, so 0 is hardest and 1 easiest.

Source: arXiv 2506.05316; ASTRAL-Group/data-efficient-llm-rl@59df918. There the embeddings come from a trained adapter, and T
and b of the calibration from a small network; here embeddings are arrays that are given, and T, b and the attention's scale are
parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memenvs.errors import DataError, SettingsError, whole
from memenvs.streams import Stream
from trainers.slots.replay import RolloutReplay
from trainers.slots.sampling import GroupView, Replayed, Uniform, check_share, cycle, generator, whole_rows
from trainers.slots.types import Array

_NEAR_ONE = 1e-6
"""Keeps the logit of a difficulty of 0 or 1 finite."""


def attention(queries: ArrayLike, references: ArrayLike, scale: float | None = None) -> Array:
    """Softmax over the references of q . r / scale.

    Args:
        queries: (N, h) embeddings.
        references: (K, h) embeddings.
        scale: None for sqrt(h), the published one.

    Returns:
        (N, K); rows sum to 1.
    """
    asked, known = np.asarray(queries, np.float64), np.asarray(references, np.float64)
    logits = asked @ known.T / (math.sqrt(known.shape[1]) if scale is None else scale)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def calibrate(difficulty: ArrayLike, temperature: float = 1.0, bias: float = 0.0) -> Array:
    """sigmoid(logit(d) / T + b), elementwise; T = 1 and b = 0 change nothing."""
    inside = np.clip(np.asarray(difficulty, np.float64), _NEAR_ONE, 1 - _NEAR_ONE)
    logits = (np.log(inside) - np.log1p(-inside)) / temperature + bias
    return 1 / (1 + np.exp(-logits))


def predict_difficulty(
    queries: ArrayLike,
    references: ArrayLike,
    difficulties: ArrayLike,
    scale: float | None = None,
    temperature: float = 1.0,
    bias: float = 0.0,
) -> Array:
    """Difficulty of streams from that of reference streams: attention-weighted mean, then `calibrate`.

    Args:
        queries: (N, h) embeddings of the streams.
        references: (K, h) embeddings of the reference streams.
        difficulties: (K,) their mean r_global.
        scale: of `attention`.
        temperature, bias: T and b of `calibrate`.

    Returns:
        (N,) in (0, 1).
    """
    weights = attention(queries, references, scale)
    return calibrate(weights @ np.asarray(difficulties, np.float64), temperature, bias)


def preference(difficulty: ArrayLike, alpha: float = 0.5, tau: float = 1e-3) -> Array:
    """Log P(stream) up to a constant, (N,): -|d - alpha| / tau. As a logarithm it keeps apart what P would round to 0."""
    return -np.abs(np.asarray(difficulty, np.float64) - alpha) / tau


def fresh_share(count: int, sigma: float = 0.5, place: int = 0) -> int:
    """Groups of an update that are rolled out, of ``count``; the rest is replayed.

    Over a block of mu updates that is a fresh budget of ceil(mu sigma count), spread evenly and early: so an update of a single
    group rolls it out, and one further on in the block replays one.

    Args:
        count: groups of an update.
        sigma: share of fresh ones.
        place: of the update in its block, from 0.
    """
    before, after = (math.ceil(sigma * count * updates - 1e-9) for updates in (place, place + 1))
    return after - before


def stream_embeddings(streams: Sequence[Stream], size: int = 256) -> Array:
    """TF-IDF of the chunks' words in ``size`` hashed buckets, one unit vector per stream.

    Args:
        streams: the pool, in its order.
        size: h.

    Returns:
        (N, h); zeros for a stream without words.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    texts = [" ".join(chunk.text for chunk in stream.chunks) for stream in streams]
    counts = HashingVectorizer(n_features=whole("size", size, 1), norm=None).transform(texts)
    return np.asarray(TfidfTransformer().fit_transform(counts).toarray(), np.float64)


class Dots(Uniform):
    """Difficulty-targeted streams and rollout replay.

    Every ``mu`` updates a few reference streams are rolled out, the difficulty of all others is predicted from theirs, and the
    streams of the next ``mu`` updates are drawn without replacement by `preference`. Of an update's
    groups `fresh_share` are rolled out; the others are replayed, as far as there are any.

    Args:
        seed, pool: see `Uniform`; a pool is needed.
        embeddings: (N, h) one row per stream of the pool, in its order, for instance `stream_embeddings`.
        references: reference streams, drawn anew each time; published: 256.
        mu: updates between two predictions; published: 2.
        alpha, tau: see `preference`; published: .5 and 1e-3.
        sigma: share of fresh groups; published: .5. 1 replays nothing.
        scale: see `attention`. sqrt(h) needs the long embeddings of a trained adapter: unit vectors, whose dot products are at
            most 1, would give every stream nearly the same prediction.
        temperature, bias: see `calibrate`.
        replay: where groups are stored; by default 512 of them.

    Raises:
        SettingsError: no pool or embeddings, embeddings of another length, or a number out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        pool: Sequence[int] | None = None,
        embeddings: ArrayLike | None = None,
        references: int = 256,
        mu: int = 2,
        alpha: float = 0.5,
        tau: float = 1e-3,
        sigma: float = 0.5,
        scale: float | None = 0.1,
        temperature: float = 1.0,
        bias: float = 0.0,
        replay: RolloutReplay | None = None,
    ) -> None:
        super().__init__(seed, pool)
        if self.pool is None or embeddings is None:
            raise SettingsError(
                "the sampler dots chooses among known streams: give pool, the streams to draw from, and embeddings, one row for "
                "each (trainers.slots.difficulty.stream_embeddings makes them)"
            )
        self.embeddings = np.asarray(embeddings, np.float64)
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.pool):
            raise SettingsError(
                f"embeddings must be ({len(self.pool)}, h), one row per stream of the pool, got shape {self.embeddings.shape}"
            )
        self.reference_count = whole("references", references, 1)
        if self.reference_count > len(self.pool):
            raise SettingsError(
                f"references must be at most the pool's {len(self.pool)} streams, got {self.reference_count}; "
                "give fewer, or a larger pool"
            )
        self.mu, self.sigma = whole("mu", mu, 1), check_share("sigma", sigma)
        for name, value in (("tau", tau), ("temperature", temperature), ("scale", 1.0 if scale is None else scale)):
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"{name} must be a finite number above 0, got {value!r}")
        self.alpha, self.tau, self.scale, self.temperature, self.bias = alpha, tau, scale, temperature, bias
        self.replay = RolloutReplay() if replay is None else replay
        self.difficulties: dict[int, float] = {}
        self.block, self.taken = -1, 0

    def references(self, update: int) -> list[int]:
        """Streams to measure, at the first update of each block of ``mu``."""
        if update % self.mu:
            return []
        assert self.pool is not None
        order = generator(self.seed, update, "references").permutation(len(self.pool))
        return cycle(self.pool, order, self.reference_count)

    def observe_references(self, update: int, groups: Sequence[GroupView]) -> None:
        """Difficulties that hold until the next references; groups that failed as a whole say nothing."""
        self.difficulties = {group.stream: group.mean for group in groups if group.valid.any()}

    def predicted(self) -> Array | None:
        """(N,) difficulty of every stream of the pool, or None while nothing was measured."""
        assert self.pool is not None
        if not self.difficulties:
            return None
        places = {stream: place for place, stream in enumerate(self.pool)}
        rows = [places[stream] for stream in self.difficulties]
        return predict_difficulty(
            self.embeddings, self.embeddings[rows], list(self.difficulties.values()),
            self.scale, self.temperature, self.bias,
        )  # fmt: skip

    def recall(self, update: int, count: int) -> list[Replayed]:
        """Stored groups for the places that are not fresh."""
        return self.replay.sample(
            count - fresh_share(count, self.sigma, update % self.mu), generator(self.seed, update, "replay")
        )

    def streams(self, update: int, count: int) -> list[int]:
        """The block's next streams."""
        assert self.pool is not None
        block = update // self.mu
        rng = generator(self.seed, block, "selection")
        predicted = self.predicted()
        if predicted is None:
            order = rng.permutation(len(self.pool))
        else:
            # The largest of log P plus Gumbel noise are a draw without replacement, also where P underflows.
            noisy = preference(predicted, self.alpha, self.tau) + rng.gumbel(size=len(self.pool))
            order = np.argsort(-noisy, kind="stable")
        fresh = count - len(self.recall(update, count))
        return cycle(self.pool, order, fresh, self.taken if self.block == block else 0)

    def observe(self, update: int, groups: Sequence[GroupView], entries: Sequence[Any]) -> None:
        """Store the groups, and remember how far the block's streams are used up."""
        block = update // self.mu
        self.block, self.taken = block, (self.taken if self.block == block else 0) + len(groups)
        for group, entry in zip(groups, entries, strict=True):
            self.replay.add(Replayed(group.stream, group.mean, whole_rows(group, group.valid), entry))

    def state(self) -> dict[str, Any]:
        """The measured difficulties, the place in the block, and the replay."""
        return {
            "difficulties": [[stream, mean] for stream, mean in self.difficulties.items()],
            "block": self.block,
            "taken": self.taken,
            "replay": self.replay.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`.

        Raises:
            DataError: it is of another pool.
        """
        assert self.pool is not None
        difficulties = {int(stream): float(mean) for stream, mean in state["difficulties"]}
        if unknown := sorted(set(difficulties) - set(self.pool)):
            raise DataError(
                f"the state is of another pool: this one has no stream {unknown[0]}; resume with the same pool"
            )
        self.difficulties, self.block, self.taken = difficulties, int(state["block"]), int(state["taken"])
        self.replay.restore(state["replay"])
