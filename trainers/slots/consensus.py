"""Latent consensus: an answer is good if its hidden state lies near the centre of the group's.

Source: Latent-GRPO with iterative robust centroid estimation (IRCE), arXiv 2601.08427, whose structure is known and whose
constants are not: the width sigma, the number of iterations, whether the centroid is put back on the sphere and which distance
scores are parameters here. Consensus is not truth; see `trainers.slots.collapse`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memenvs.errors import SettingsError, did_you_mean, whole
from memenvs.wrappers.hashing import hash_words
from trainers.slots.collapse import Collapse, collapse
from trainers.slots.judging import Judged
from trainers.slots.types import Array

DISTANCES = ("euclid", "cosine")
"""How far an answer is from the centroid: the Euclidean distance, or 1 - cosine."""
WORD_BUCKETS = 256
"""Of `embed_words`."""
REMEMBERED = 4096
"""Questions whose `Collapse` a judge keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What the iteration found."""

    weights: Array
    """(iterations, G) weight of each answer."""
    centroids: Array
    """(iterations, d) the centroid after each iteration."""
    distance: Array
    """(G,) of each answer to the last centroid."""


def to_sphere(hidden: ArrayLike) -> Array:
    """z_i = h_i / ||h_i||, (G, d); a row of length 0 or with a NaN has no direction and becomes NaN."""
    states = np.asarray(hidden, np.float64)
    length = np.linalg.norm(states, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isfinite(length) & (length > 0), states / length, np.nan)


def robust_centroid(
    points: ArrayLike, sigma: float = 0.5, iterations: int = 3, reproject: bool = False, distance: str = "euclid"
) -> Consensus:
    """Centre c = mean z, then repeatedly w_i = exp(-||z_i - c||^2 / (2 sigma^2)), c = sum w z / sum w.

    Args:
        points: (G, d) on the sphere, without NaN.
        sigma: width of the Gaussian weights.
        iterations: how often weights and centroid are renewed.
        reproject: put the centroid back on the sphere, at the start and after each iteration.
        distance: of the result, see `DISTANCES`; the weights are Euclidean in both.

    Source: see the module.
    """
    z = np.asarray(points, np.float64)
    place = _on_sphere if reproject else np.asarray
    centre = place(z.mean(axis=0))
    weights, centroids = [], []
    for _ in range(iterations):
        exponent = -((z - centre) ** 2).sum(axis=1) / (2 * sigma**2)
        # The largest weight is scaled to 1, so that a narrow Gaussian does not leave 0 / 0.
        share = np.exp(exponent - exponent.max())
        centre = place(share @ z / share.sum())
        weights.append(np.exp(exponent))
        centroids.append(centre)
    if distance == "cosine":
        length = float(np.linalg.norm(centre))
        far = 1 - z @ centre / length if length else np.ones(len(z))
    else:
        far = np.linalg.norm(z - centre, axis=1)
    return Consensus(np.array(weights), np.array(centroids), far)


def _on_sphere(point: Array) -> Array:
    length = float(np.linalg.norm(point))
    return point / length if length else point


def nearness(distance: ArrayLike, eps: float = 1e-8) -> Array:
    """Score r_i = (s_i - min s) / (max s - min s + eps) with s = -distance, (G,).

    1 for the nearest, 0 for the farthest; all 0 where the distances are equal, since there is nothing to tell apart.
    """
    near = -np.asarray(distance, np.float64)
    return (near - near.min()) / (near.max() - near.min() + eps)


def embed_words(text: str) -> Array:
    """Hashed bag of words, (`WORD_BUCKETS` + 1,), of length 1; the last place is for a text without words.

    Without that place an empty answer would have no direction, and so no verdict.
    """
    words = hash_words(text, WORD_BUCKETS).astype(np.float64)
    return np.append(words, 0.0 if words.any() else 1.0)


class ConsensusJudge:
    """Latent consensus as a judge: min-max of the nearness to the robust centroid of the group.

    References are not looked at, except to measure collapse: `seen` holds a `Collapse` per judged question, for
    `trainers.slots.collapse.summary`; whoever logs it empties it.

    Args:
        sigma, iterations, reproject, distance: see `robust_centroid`.
        embed: text -> vector, used where the reader gives no hidden states; None insists on hidden states.

    Raises:
        SettingsError: a number out of range or an unknown distance; from a call: hidden states of some answers only, of
            different sizes, or none with ``embed=None``.
    """

    def __init__(
        self,
        sigma: float = 0.5,
        iterations: int = 3,
        reproject: bool = False,
        distance: str = "euclid",
        embed: Callable[[str], ArrayLike] | None = embed_words,
    ) -> None:
        if not (math.isfinite(sigma) and sigma > 0):
            raise SettingsError(f"sigma must be a finite number above 0, got {sigma!r}")
        if distance not in DISTANCES:
            raise SettingsError(
                f"distance must be one of {', '.join(DISTANCES)}, got {distance!r}.{did_you_mean(str(distance), DISTANCES)}"
            )
        self.sigma, self.reproject, self.distance, self.embed = sigma, reproject, distance, embed
        self.iterations = whole("iterations", iterations, 1)
        self.seen: deque[Collapse] = deque(maxlen=REMEMBERED)

    def __call__(self, question: str, references: tuple[str, ...], answers: Sequence[Judged]) -> Array:
        """(G,) scores; NaN for an answer whose vector has no direction, and for all where fewer than two are left."""
        self.seen.append(collapse([answer.text for answer in answers], references))
        points = to_sphere(self._vectors(answers))
        valid = ~np.isnan(points).any(axis=1)
        scores = np.full(len(answers), np.nan)
        if valid.sum() >= 2:
            found = robust_centroid(points[valid], self.sigma, self.iterations, self.reproject, self.distance)
            scores[valid] = nearness(found.distance)
        return scores

    def _vectors(self, answers: Sequence[Judged]) -> Array:
        given = [answer.hidden for answer in answers if answer.hidden is not None]
        if given and len(given) < len(answers):
            raise SettingsError(
                f"{len(given)} of {len(answers)} answers have hidden states: vectors of two kinds cannot be "
                "compared; give all or none"
            )
        vectors: Sequence[NDArray[Any]] = given
        if not given:
            if self.embed is None:
                raise SettingsError(
                    "the consensus judge was made with embed=None and the answers have no hidden states; "
                    "use a reader that gives them, or an embed from text to vector"
                )
            vectors = [np.asarray(self.embed(answer.text), np.float64) for answer in answers]
        shapes = {np.shape(vector) for vector in vectors}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise SettingsError(f"the answers' vectors must be (d,) with the same d, got shapes {sorted(shapes)}")
        return np.stack(vectors)
