"""Re-rollouts of single steps from one memory: what LoGo-GRPO compares locally.

Rollouts of a stream soon have different memories, and a step that inherits a good one looks good. Re-rollouts of one step from one
snapshot differ in that step alone.
"""

from __future__ import annotations

import numpy as np

from agents.base import View
from memenvs.errors import ReaderError
from memenvs.memory import parse_operations
from memenvs.reading import Reader
from rewards.credit import StepGame
from rewards.credit.replay import settings_of
from trainers.rollout import Group, Policy


def local_rollouts(
    group: Group, policy: Policy, reader: Reader, seeds: tuple[int, int, int], share: float = 0.25, count: int = 4
) -> Group | None:
    """Draw some steps of a group's first sound rollout again, several times from the memory that it had there.

    The reward of a re-rollout is v(M_t): the score of the global questions if the stream ended after this step. It costs n
    readings.

    Args:
        group: the rollouts of one stream.
        policy: draws.
        reader: answers.
        seeds: decide which steps, and the draws: seed of the run, number of the update, and of the group within it.
        share: of the T steps that is drawn again, at least one.
        count: re-rollouts per step.

    Returns:
        A group of shape (count, steps) with ``local`` set; None where every rollout or the reader failed.

    Source: Memory-R2, arXiv 2605.21768; ahmedehabb/Memory-R2@357b4ec (``inner_sampling_fraction`` .25 to .5, ``inner_n`` 4). There
    a re-rollout is a session and its reward F1 on it; v(M_t) is this project's.
    """
    sound = np.flatnonzero(~group.failed)
    if not sound.size:
        return None
    record = group.records[int(sound[0])]
    rng = np.random.default_rng([*seeds, 1, 1])
    steps = sorted(rng.choice(record.T, max(1, round(share * record.T)), replace=False).tolist())
    game = StepGame(record, reader)
    dialect = settings_of(record).dialect
    banks = [game.replay.bank(range(t)) for t in steps for _ in range(count)]
    at = [(t, k) for t in steps for k in range(count)]
    for bank, (t, _) in zip(banks, at, strict=True):
        bank.step = t
    digests = [f"{record.fingerprint}:{t}:{bank.digest()}" for bank, (t, _) in zip(banks, at, strict=True)]
    views = [
        View(record.steps[t].chunk, bank.items, t, record.T, record.steps[t].timestamp)
        for bank, (t, _) in zip(banks, at, strict=True)
    ]
    drawn = list(policy.act(views, [np.random.default_rng([*seeds, 2, t, k]) for t, k in at]))
    for bank, view, decision in zip(banks, views, drawn, strict=True):
        bank.apply(parse_operations(decision.message, dialect, view.chunk).operations)
    try:
        values = np.array([game.examiner.value(bank.items) for bank in banks])
    except ReaderError:
        return None
    rewards = values.reshape(len(steps), count).T
    return Group(
        stream=group.stream,
        decisions=[drawn[k::count] for k in range(count)],
        rewards=rewards,
        terms={},
        weights={},
        r_global=rewards.mean(axis=1),
        states=tuple(tuple(digests[k::count]) for k in range(count)),
        trees=None,
        records=[record] * count,
        failed=np.zeros(count, bool),
        local=True,
    )
