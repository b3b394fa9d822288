"""Scoring: (prediction, references) -> [0, 1] under a named profile.

* `score`, `disagreements` - score one prediction; what every profile says about it.
* `PROFILES`, `metric_for`, `rubric_for` - whose rules; which metric, or which judge's rubric, scores which source.
* `Judge`, `CachedJudge`, `Rubric`, `Case`, `verdicts`, `verdicts_each`, `JudgeError` - a model as judge.
* `EndpointJudge`, `make_judge` - one behind an OpenAI-compatible server.
* `corrected`, `metrics`, `abstention` - the default profile and its metrics.
* `memalpha`, `mab`, `recsys`, `infbench`, `longmemeval`, `locomo` - the published rules; `published` - the metrics they share.
* `execution` - accuracy turn by turn on running-sum streams.
"""

from memenvs.scoring.endpoint_judge import EndpointJudge, make_judge
from memenvs.scoring.judge import CachedJudge, Case, Judge, JudgeError, Rubric, verdicts, verdicts_each
from memenvs.scoring.profiles import PROFILES, disagreements, metric_for, rubric_for, score

__all__ = [
    "PROFILES",
    "CachedJudge",
    "Case",
    "EndpointJudge",
    "Judge",
    "JudgeError",
    "Rubric",
    "disagreements",
    "make_judge",
    "metric_for",
    "rubric_for",
    "score",
    "verdicts",
    "verdicts_each",
]
