"""The measurement of rewards: every credit estimator and any reward wrapper against exact credit.

* `BenchSettings` - what can be set.
* `trainers.reward_bench.run.run` - measures, and writes tables and figure.
"""

from trainers.reward_bench.settings import BenchSettings

__all__ = ["BenchSettings"]
