"""Credit estimators over the step game: `EpisodeRecord` and a reader in, one float per step out.

v(S) is the score of the memory rebuilt from the steps in S (`StepGame`), M_t the memory after step t, n the number of global
questions. A step without a write can change no memory: in the step game it gets 0 and costs nothing. Readings that a
`CachedReader` knows already cost nothing either; give the same one to several estimators of an episode.

* `loo_step` - what is lost without the step.
* `step_shapley`, `shapley` - Shapley values, exact or sampled; the first with standard errors.
* `prefix_difference` - what the memory gains at the step: in score, probability or log-probability.
* `monte_carlo` - what the step gains under a policy that plays on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from memenvs.errors import DataError
from memenvs.reading import CachedReader, Reader, Reading
from memenvs.record import EpisodeRecord
from rewards.credit.monte_carlo import Policy, continuation_values, monte_carlo_advantages
from rewards.credit.replay import StepGame
from rewards.credit.shapley import Estimate, exact_shapley, leave_one_out, permutation_shapley
from rewards.terms import Terms, check_choice

PREFIX_SCORES = ("exact", "probability", "log_probability")


def loo_step(record: EpisodeRecord, reader: Reader) -> Terms:
    """Leave one step out: c_t = v(all) - v(all without t). At most n (T + 1) readings.

    Args:
        record: a finished episode.
        reader: who answers.

    Returns:
        T floats. Two steps that can replace each other both get 0, so the sum says nothing.

    Raises:
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings.

    Source: difference rewards (Wolpert and Tumer, arXiv cs/9908014), with a replay in the place of a model of the world.
    """
    game = StepGame(record, reader)
    credit = np.zeros(game.T)
    credit[list(game.players)] = leave_one_out(game.value, game.players)
    return tuple(credit.tolist())


def step_shapley(
    record: EpisodeRecord, reader: Reader, exact_below: int = 12, permutations: int = 32, seed: int = 0
) -> Estimate:
    """Shapley values of the steps with their standard errors.

    Args:
        record: a finished episode.
        reader: who answers.
        exact_below: with at most this many steps that wrote, all their coalitions are enumerated; the errors are then 0.
        permutations: orders sampled otherwise; an even number.
        seed: decides the orders.

    Returns:
        (T,) values, which sum to v(all) - v(empty), and (T,) standard errors. One pair of permutations has no error: NaN.

    Raises:
        SettingsError: ``permutations`` is no positive even number, or too many coalitions; see `exact_shapley`.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings.

    Source: see `rewards.credit.shapley`; leaving out null players changes no value (the null player axiom).
    """
    game = StepGame(record, reader)
    active = list(game.players)
    values, errors = np.zeros(game.T), np.zeros(game.T)
    if len(active) <= exact_below:
        values[active] = exact_shapley(game.value, active)
    else:
        values[active], errors[active] = permutation_shapley(game.value, active, permutations, seed)
    return Estimate(values, errors)


def shapley(
    record: EpisodeRecord, reader: Reader, exact_below: int = 12, permutations: int = 32, seed: int = 0
) -> Terms:
    """The values of `step_shapley`, T floats."""
    return tuple(step_shapley(record, reader, exact_below, permutations, seed).values.tolist())


def prefix_difference(record: EpisodeRecord, reader: Reader, score: str = "exact") -> Terms:
    """c_t = u(M_t) - u(M_{t-1}); telescopes to u(M_T) - u(empty). At most n (T + 1) readings, per reference for probabilities.

    Args:
        record: a finished episode.
        reader: who answers; a `memenvs.reading.ProbabilityReader` for anything but ``"exact"``.
        score: u is the mean over the global questions of

            * ``"exact"``: the score in [0, 1] of the reader's answer;
            * ``"probability"``: exp of the mean log-probability of the reference's tokens (IGPO);
            * ``"log_probability"``: the sum of the log-probabilities of the reference's tokens (CoT-Flow).

            Of several references, that with the highest mean log-probability under the memory in question counts; of equal
            ones, the first.

    Returns:
        T floats.

    Raises:
        SettingsError: unknown ``score``, or the reader gives no probabilities.
        DataError: a question has no reference whose probability could be asked for, or the record lacks settings.
        ReaderError: the reader, or the episode itself, failed.

    Source: IGPO, arXiv 2510.14967 (GuoqingWang1/IGPO@bff163b, scrl/llm_agent/generation.py); CoT-Flow, arXiv 2601.09260, where a
    sequence's log-probability is that of its tokens together.
    """
    check_choice("score", score, PREFIX_SCORES)
    game = StepGame(record, reader)
    prefixes = [game.replay.memory(range(t)) for t in range(game.T + 1)]
    if score == "exact":
        values = [game.examiner.value(items) for items in prefixes]
    else:
        readings = [game.examiner.readings(items) for items in prefixes]
        values = _reference_values(record, game.examiner.reader, readings, score)
    return tuple(np.diff(values).tolist())


def _reference_values(
    record: EpisodeRecord, reader: CachedReader, memories: Sequence[Sequence[Reading]], score: str
) -> list[float]:
    """How probable the references are with each memory: the mean over its readings, one per question."""
    for question in record.questions:
        if not question.references or not all(question.references):
            raise DataError(
                f"the question {question.question!r} has the references {question.references}; at least one is needed, and a text "
                "in each, to ask for its probability"
            )
    asked = [
        (reading, reference)
        for readings in memories
        for reading, question in zip(readings, record.questions, strict=True)
        for reference in question.references
    ]
    found = iter(reader.token_log_probs([reading for reading, _ in asked], [reference for _, reference in asked]))
    values = []
    for _ in memories:
        best = [max((next(found) for _ in question.references), key=_mean) for question in record.questions]
        gained = [math.exp(_mean(tokens)) if score == "probability" else math.fsum(tokens) for tokens in best]
        values.append(_mean(gained))
    return values


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def monte_carlo(record: EpisodeRecord, reader: Reader, policy: Policy, continuations: int = 4, seed: int = 0) -> Terms:
    """c_t = V(M_t) - V(M_{t-1}) under a policy that plays on from each. At most n (T K + 1) readings.

    Args:
        record: a finished episode.
        reader: who answers.
        policy: decides in the continuations; best the one that made the episode.
        continuations: K per memory.
        seed: decides the policy's draws.

    Returns:
        T floats; they sum to v(M_T) - V(empty). The sampling error of `continuation_values` is in every one of them, a step
        without a write included.

    Raises:
        SettingsError: ``continuations`` below 1, or a policy that does not answer each observation.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings.

    Source: VinePPO, arXiv 2410.01679; see `rewards.credit.monte_carlo`.
    """
    values = continuation_values(StepGame(record, reader), policy, continuations, seed)
    return tuple(monte_carlo_advantages(values).tolist())
