"""Scoring: (prediction, references) -> [0, 1] under a named profile.

* `score` - score one prediction.
* `PROFILES`, `metric_for` - which metric scores which source.
* `metrics` - the metrics themselves.
* `execution` - accuracy turn by turn on running-sum streams.
"""

from memenvs.scoring.profiles import PROFILES, metric_for, score

__all__ = ["PROFILES", "metric_for", "score"]
