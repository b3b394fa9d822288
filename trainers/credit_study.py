"""The test of the test: train with every estimator, and see which measure of credit told beforehand what is learned.

All runs see the same streams, play the same number of episodes and differ in the credit alone. Fidelity is that of
`trainers.reward_bench` with its behaviours, and advantage fidelity once more under a policy that is half trained, because that is
where an optimiser uses credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from memenvs.errors import SettingsError
from rewards.presets import CREDIT
from trainers.credit_report import CURVE, FINAL, HALF, report
from trainers.reward_bench.cells import MIXED_ENV
from trainers.reward_bench.methods import Method
from trainers.reward_bench.prediction import learned, measures
from trainers.reward_bench.predictors import fit_all, needs_predictor
from trainers.reward_bench.run import Measurement, run
from trainers.reward_bench.settings import BenchSettings
from trainers.reward_bench.summary import WHOLE, Row
from trainers.runlog import read_curve
from trainers.runs import Run, read_result, read_scores, seconds, train_all
from trainers.settings import TrainSettings
from trainers.statistics import bootstrap

DRAWS = 2000
SAME = {"uniform": "trajectory"}
"""Credit that trains the same policy as another one once it is normalised over a group; it is not trained."""
REFERENCE_SEED = 1_000_003
"""Of the half-trained policy, which is none of the compared runs."""


def study(settings: BenchSettings) -> list[Row]:
    """Measure, train, compare; every step goes on where it was stopped.

    Returns:
        One row per method, the best learner first, as in study.json.

    Raises:
        SettingsError: fewer than two methods can be trained; or as `trainers.reward_bench.run.run`.
        DataError: a folder holds results of other settings.
    """
    measured = run(settings)
    methods = trainable(measured)
    names = [method.name for method in methods]
    if len(names) < 2:
        raise SettingsError(
            f"training compares at least two kinds of credit that served every episode, got {', '.join(names) or 'none'}; "
            "name more estimators or wrappers (controls are not trained)"
        )
    reference = Run("half-trained reference", _reference_settings(settings), settings.out / "half-trained" / "run")
    train_all([reference], workers=1)
    half_settings = replace(
        settings, out=settings.out / "half-trained", policy=reference.folder, episodes=0, data=(), sweep=(),
        groups=max(1, settings.groups),
    )  # fmt: skip
    half = run(half_settings)
    fitted_on = _fit_predictor(settings, methods)
    runs = {method.name: [run_of(settings, method, seed) for seed in range(settings.train_seeds)] for method in methods}
    # Seed by seed, so that a study that is stopped early has every method.
    train_all(
        [of_method[seed] for seed in range(settings.train_seeds) for of_method in runs.values()], settings.workers
    )
    rng = np.random.default_rng(settings.seed)
    found = measures(names, measured.results, DRAWS, rng)
    if "advantage" in (of_half := measures(names, half.results, DRAWS, rng)):
        found[HALF] = of_half["advantage"]
    outcomes = {
        FINAL: learned(
            [[[score.r_global for score in read_scores(one.folder)] for one in runs[name]] for name in names],
            DRAWS,
            rng,
        ),
        CURVE: learned([[[_mean_curve(one)] for one in runs[name]] for name in names], DRAWS, rng),
    }
    rows = sorted(
        (_row(method, runs[method.name], measured, half, fitted_on) for method in methods),
        key=lambda row: -row["r_global"],
    )
    report(settings, methods, rows, found, outcomes, _train_settings(settings, "credit:NAME", 0))
    return rows


def _mean_curve(one: Run) -> float:
    return float(np.mean([value for _, value in read_curve(one.folder)]))


def trainable(measured: Measurement) -> list[Method]:
    """The estimators and wrappers that served every builtin episode and group, and that train differently from each other."""
    unserved = {row["method"] for row in measured.rows if row["scope"] == WHOLE and row["reason"]}
    return [
        method
        for method in measured.methods
        if method.kind != "control" and method.name not in unserved and SAME.get(method.name) not in _names(measured)
    ]


def _names(measured: Measurement) -> set[str]:
    return {method.name for method in measured.methods}


def run_of(settings: BenchSettings, method: Method, seed: int) -> Run:
    """One training run with a method's credit."""
    reward = method.name.removeprefix("wrapper ") if method.kind == "wrapper" else f"credit:{method.name}"
    slug = "".join(c if c.isalnum() else "-" for c in reward)
    if settings.train_compression and reward.startswith(CREDIT):
        slug += "-compression"
    predictor = str(_predictor_path(settings)) if needs_predictor(method) else None
    run_settings = replace(_train_settings(settings, reward, seed), predictor=predictor)
    return Run(method.name, run_settings, settings.out / "runs" / slug / f"seed{seed}")


def _train_settings(settings: BenchSettings, reward: str, seed: int) -> TrainSettings:
    return TrainSettings(
        env=settings.environment("builtin", MIXED_ENV, settings.k),
        reward=reward,
        seed=seed,
        updates=settings.train_updates,
        eval_every=max(1, settings.train_updates // 8),
        eval_streams=24,
        final_streams=settings.train_streams,
        compression=settings.train_compression if reward.startswith(CREDIT) else 0.0,
    )


def _reference_settings(settings: BenchSettings) -> TrainSettings:
    # Without compression in every study, so that studies that differ in it measure under the same policy.
    whole = replace(_train_settings(settings, "credit:trajectory", REFERENCE_SEED), compression=0.0)
    return replace(whole, updates=max(1, settings.train_updates // 2), final_streams=24)


def _predictor_path(settings: BenchSettings) -> Path:
    return settings.out / "predictor.json"


def _fit_predictor(settings: BenchSettings, methods: Sequence[Method]) -> int:
    """Save the predictor that training uses; the number of episodes that it took."""
    fitted = fit_all(settings, methods, ["builtin"]).get("builtin")
    if fitted is None:
        return 0
    fitted.predictor.save(_predictor_path(settings))
    return fitted.episodes


def own_readings(settings: TrainSettings, streams: int = 200) -> float:
    """Readings that an episode needs before any credit: its global questions and, if the reward looks at them, its chunk questions.

    Args:
        settings: of a run.
        streams: training streams that the mean is taken over.
    """
    dataset = settings.env.open("train")
    most = settings.env.chunk_questions if settings.reads_chunks else 0
    some = [dataset[i] for i in range(min(streams, len(dataset)))]
    asked = [len(s.questions) + sum(min(most, len(chunk.questions)) for chunk in s.chunks) for s in some]
    return float(np.mean(asked))


def _row(method: Method, runs: Sequence[Run], measured: Measurement, half: Measurement, fitted_on: int) -> Row:
    scores = [[score.r_global for score in read_scores(one.folder)] for one in runs]
    costs = [read_result(one.folder)["cost"] for one in runs]
    final = bootstrap(scores)
    row: Row = {
        "method": method.name,
        "r_global": final.mean,
        "r_global_low": final.low,
        "r_global_high": final.high,
        "curve": float(np.mean([_mean_curve(one) for one in runs])),
        "episodes": costs[0]["episodes"],
        "predictor_episodes": fitted_on if needs_predictor(method) else 0,
        "own_readings": costs[0]["episodes"] * own_readings(runs[0].settings),
        "credit_calls": float(np.mean([cost["credit_calls"] for cost in costs])),
        "seconds": float(np.mean([seconds(one.folder) for one in runs])),
    }
    for source, names in ((measured, ("spearman", "linear_datamodelling", "advantage")), (half, ("advantage",))):
        told = next((r for r in source.rows if r["method"] == method.name and r["scope"] == WHOLE), {})
        for name in names:
            key = HALF if source is half else name
            row |= {f"{key}{end}": told[f"{name}{end}"] for end in ("", "_low", "_high") if name in told}
    return row
