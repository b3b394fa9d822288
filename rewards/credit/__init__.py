"""Credit: how much of r_global each step earned, exactly and estimated.

* `StepGame` - the ground truth's game: v(S), the score of the memory rebuilt from the steps in S.
* `exact_shapley`, `permutation_shapley`, `leave_one_out` - solutions of any game.
* `continuation_values`, `monte_carlo_advantages` - values under a policy, from snapshots.
"""

from rewards.credit.monte_carlo import Continuations, Policy, continuation_values, monte_carlo_advantages
from rewards.credit.replay import Examiner, Replay, StepGame
from rewards.credit.shapley import Estimate, exact_shapley, leave_one_out, permutation_shapley

__all__ = [
    "Continuations",
    "Estimate",
    "Examiner",
    "Policy",
    "Replay",
    "StepGame",
    "continuation_values",
    "exact_shapley",
    "leave_one_out",
    "monte_carlo_advantages",
    "permutation_shapley",
]
