"""The command ``memenvs bench-rewards``. Its docstring is its ``--help``."""

from __future__ import annotations

from typing import Annotated

import tyro

from trainers.reward_bench.settings import BenchSettings

Bench = Annotated[BenchSettings, tyro.conf.arg(name="")]


def bench_rewards(settings: Bench = BenchSettings()) -> None:
    """Measure rewards: every credit estimator, and any reward wrapper, against exact credit.

    Attribution fidelity compares the credit of single episodes with their exact Shapley values over steps; advantage fidelity
    compares credit, normalised over a group of rollouts, with Monte-Carlo advantages under the policy that played.

    Everything, about ten minutes on two cores:
        memenvs bench-rewards

    A quick look:
        memenvs bench-rewards --quick

    Your own wrapper, from my_module.py in this directory, beside all estimators:
        memenvs bench-rewards --wrappers my_module:MyReward

    Only your wrapper and Fine-Mem's totals:
        memenvs bench-rewards --estimators none --wrappers my_module:MyReward finemem finemem-cited --out runs/bench-mine

    With rollouts of a trained policy, and real streams too:
        memenvs bench-rewards --policy runs/train --data path/to/folder --out runs/bench-policy

    Then train a policy with each estimator, and see which measure predicts what is learned:
        memenvs bench-rewards --train

    The same command goes on where a killed one stopped.

    Args:
        settings: what is measured, and on how much.
    """
    if settings.train:
        from trainers.credit_study import study

        study(settings)
    else:
        from trainers.reward_bench.run import run

        run(settings)
