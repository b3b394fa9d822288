"""The advantage slot: from samples and their baselines to one advantage per step.

Every choice is ``f(groups, baselines, settings) -> advantages`` over all streams of one update: per stream its rollouts, the
baselines that the group slot made of them, and (G, T) advantages. Baselines of a stream add up with their weights; a sample
that stands for a whole rollout counts at each of its steps. Failed rollouts leave all statistics and get 0.

Raises, all of them:
    SettingsError: not one tuple of baselines per stream, or what the choice itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from memenvs.errors import SettingsError
from trainers.slots import returns
from trainers.slots.normalise import centred as centre
from trainers.slots.normalise import left_out, normalised, whitened
from trainers.slots.published import published as as_published
from trainers.slots.types import AdvantageSettings, AdvantageSlot, Array, Baseline, Scored

Groups = Sequence[Scored]
Baselines = Sequence[tuple[Baseline, ...]]


def zscore(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Samples as z-scores of their baseline: (x - mean) / (std + eps).

    Source: GRPO as in verl ``core_algos.compute_grpo_outcome_advantage`` (volcengine/verl@b178a3c).
    """
    return compared(groups, baselines, lambda b: normalised(b.samples, b.labels, settings.ddof, settings.eps))


def centred(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Samples minus the mean of their baseline. Source: Dr. GRPO, sail-sg/understand-r1-zero@dfca49d."""
    return compared(groups, baselines, lambda b: centre(b.samples, b.labels))


def published(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """`zscore` in the published code's own arithmetic (float32), where a sample alone keeps its reward; ddof is always 1.

    Source: `trainers.slots.published`.
    """
    return compared(groups, baselines, lambda b: as_published(b.samples, b.labels, settings.eps))


def leave_one_out(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Samples minus the mean of the others of their baseline, which is K / (K - 1) of `centred`.

    Source: RLOO, verl ``core_algos.compute_rloo_outcome_advantage``; LOOP, apple/ml-loop@6ade7b9 ``phi_agents/rl/train.py``.
    """
    return compared(groups, baselines, lambda b: left_out(b.samples, b.labels))


def decoupled(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Samples minus the mean of their baseline, divided by std + eps over the whole update.

    The i-th baselines of all streams share one standard deviation, taken over samples before they are spread over steps. Centred
    samples have mean 0, so none is subtracted and a sample without a comparison stays at exactly 0.

    Raises:
        SettingsError: streams with different numbers of baselines.

    Source: ProRLv2 and BroRL (arXiv 2510.01180), ScaleRL; the last step of GDPO (arXiv 2601.05242, huggingface/trl@f2cd577) and,
    but for its weighting by length, REINFORCE++ with a group baseline.
    """
    if len({len(own) for own in baselines}) > 1:
        raise SettingsError(
            f"decoupled compares baselines across streams, which have {[len(own) for own in baselines]}; choose one group for all"
        )
    deviations = [[centre(b.samples, b.labels) for b in own] for own in baselines]
    scales = [_spread(np.concatenate([d.ravel() for d in same]), settings) for same in zip(*deviations, strict=True)]
    return [
        _summed(group, own, [d / scale for d, scale in zip(mine, scales, strict=True)])
        for group, own, mine in zip(*_paired(groups, baselines), deviations, strict=True)
    ]


def whiten(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Rewards to go with gamma, whitened over all steps of the update. Looks at no baseline.

    Source: REINFORCE++, verl ``core_algos.compute_reinforce_plus_plus_outcome_advantage``.
    """
    after = [returns.to_go(group.rewards, settings.gamma) for group in groups]
    if not after:
        return []
    white = whitened(np.concatenate([table.ravel() for table in after]))
    ends = np.cumsum([table.size for table in after])[:-1]
    return [_zero_absent(part.reshape(table.shape)) for part, table in zip(np.split(white, ends), after, strict=True)]


def gae(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Generalised advantages of each rollout against a critic, with gamma and lambda. Looks at no baseline.

    Raises:
        SettingsError: rollouts without a critic's values.

    Source: PPO, see `returns.gae`. verl whitens the result over the batch; here it is left as it is.
    """
    return [_zero_absent(returns.gae(group.rewards, _values(group), settings.gamma, settings.lam)) for group in groups]


def turn_outcome(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """A_O + alpha A_T: z-score of r_global over the stream's rollouts, plus alpha times that of the baselines.

    MT-GRPO adds A_T before its tool's result and not after. Here each step has its own A_T under the group "step"; a step whose
    rewards are the same in all rollouts has A_T = 0 and is left with A_O. The rewards should not pay r_global again.

    Source: SiliangZeng/Multi-Turn-RL-Agent@7dbdd08 ``mt_grpo_env_trainer.py``, where alpha is 1 and eps 1e-4.
    """
    whole = zscore(groups, _outcomes(groups), settings)
    turns = zscore(groups, baselines, settings)
    return [outcome + settings.alpha * turn for outcome, turn in zip(whole, turns, strict=True)]


def alpha_mix(groups: Groups, baselines: Baselines, settings: AdvantageSettings) -> list[Array]:
    """Alpha A_O + (1 - alpha) A_T, with A_O and A_T as in `turn_outcome`. The rewards should not pay r_global again.

    With the group "tag" it is RLVMR, with "step" ReMemR1.

    Raises:
        SettingsError: alpha above 1.

    Source: RLVMR, arXiv 2507.22844; ReMemR1, arXiv 2509.23040, syr-cn/ReMemR1@293b467 ``verl/trainer/ppo/ray_trainer.py``.
    """
    if settings.alpha > 1:
        raise SettingsError(f'advantage "alpha_mix" needs alpha in [0, 1], got {settings.alpha}')
    whole = zscore(groups, _outcomes(groups), settings)
    turns = zscore(groups, baselines, settings)
    mix = settings.alpha
    return [mix * outcome + (1 - mix) * turn for outcome, turn in zip(whole, turns, strict=True)]


ADVANTAGES: Mapping[str, AdvantageSlot] = {
    "zscore": zscore,
    "centred": centred,
    "published": published,
    "leave_one_out": leave_one_out,
    "decoupled": decoupled,
    "whiten": whiten,
    "gae": gae,
    "turn_outcome": turn_outcome,
    "alpha_mix": alpha_mix,
}
"""Choices of the slot."""


def compared(groups: Groups, baselines: Baselines, compare: Callable[[Baseline], Array]) -> list[Array]:
    """Sums over baselines of compared samples."""
    return [
        _summed(group, own, [compare(b) for b in own]) for group, own in zip(*_paired(groups, baselines), strict=True)
    ]


def _paired(groups: Groups, baselines: Baselines) -> tuple[Groups, Baselines]:
    if len(groups) != len(baselines):
        raise SettingsError(f"each stream needs its baselines, got {len(groups)} streams and {len(baselines)} of them")
    return groups, baselines


def _summed(group: Scored, own: tuple[Baseline, ...], compared: Sequence[Array]) -> Array:
    total = np.zeros(group.rewards.shape)
    for baseline, values in zip(own, compared, strict=True):
        total += baseline.weight * _zero_absent(values)
    return total


def _zero_absent(values: Array) -> Array:
    return np.where(np.isnan(values), 0.0, values)


def _values(group: Scored) -> Array:
    if group.values is None:
        raise SettingsError(
            'advantage "gae" needs values of a critic, which these rollouts do not have; choose another, such as "zscore"'
        )
    return group.values


def _spread(deviations: Array, settings: AdvantageSettings) -> float:
    """Std + eps of what is present; 1 where nothing deviates and any number would do."""
    present = deviations[~np.isnan(deviations)]
    if not present.any():
        return 1.0
    return float(present.std(ddof=settings.ddof)) + settings.eps or 1.0


def _outcomes(groups: Groups) -> list[tuple[Baseline, ...]]:
    """One baseline per stream: r_global of its rollouts."""
    return [(Baseline(group.outcomes[:, None], np.zeros((group.outcomes.size, 1), np.int64)),) for group in groups]
