"""Credit: how much of r_global each step earned, exactly and estimated.

* `StepGame` - the ground truth's game: v(S), the score of the memory rebuilt from the steps in S.
* `exact_shapley`, `permutation_shapley`, `leave_one_out` - solutions of any game.
* `continuation_values`, `monte_carlo_advantages` - values under a policy, from snapshots.
* `estimate`, `ESTIMATORS` - credit by the name of an estimator; each is a pure function of the record and what it needs.
* `CreditReward` - any of them as a reward wrapper.
"""

from rewards.credit.estimators import loo_step, prefix_difference, step_shapley
from rewards.credit.items import frozen_shapley, item_shapley, knn_shapley, loo_item
from rewards.credit.monte_carlo import Continuations, Policy, continuation_values, monte_carlo_advantages
from rewards.credit.registry import ESTIMATORS, Estimator, estimate
from rewards.credit.replay import Examiner, Replay, StepGame
from rewards.credit.shapley import Estimate, exact_shapley, leave_one_out, permutation_shapley
from rewards.credit.wrapper import CreditReward

__all__ = [
    "ESTIMATORS",
    "Continuations",
    "CreditReward",
    "Estimate",
    "Estimator",
    "Examiner",
    "Policy",
    "Replay",
    "StepGame",
    "continuation_values",
    "estimate",
    "exact_shapley",
    "frozen_shapley",
    "item_shapley",
    "knn_shapley",
    "leave_one_out",
    "loo_item",
    "loo_step",
    "monte_carlo_advantages",
    "permutation_shapley",
    "prefix_difference",
    "step_shapley",
]
