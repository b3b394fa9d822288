"""The study of what is learned with each credit, small."""

import csv
import json
from dataclasses import replace

import pytest

from trainers.credit_study import CURVE, FINAL, HALF, own_readings, run_of, study, trainable
from trainers.reward_bench.methods import Method
from trainers.reward_bench.run import Measurement
from trainers.reward_bench.settings import BenchSettings
from trainers.settings import EnvSettings, TrainSettings

TINY = BenchSettings(
    estimators=("evidence-cited", "redistribution", "uniform", "trajectory", "prefix-probability", "random"), train=True,
    episodes=1, groups=1, group_size=2, continuations=4, T=4, sweep=(), subsets=8, predictor_episodes=6, workers=1,
    train_seeds=2, train_updates=2, train_streams=3, wrappers=("outcome",),
)  # fmt: skip


@pytest.mark.slow
def test_a_study_trains_compares_and_goes_on(tmp_path):
    settings = replace(TINY, out=tmp_path)
    rows = study(settings)
    # Equal credit is trained once; what the reader cannot serve, and controls, are not.
    assert {row["method"] for row in rows} == {"evidence-cited", "redistribution", "trajectory", "wrapper outcome"}
    by_name = {row["method"]: row for row in rows}
    assert by_name["redistribution"]["predictor_episodes"] == 6
    assert by_name["trajectory"]["predictor_episodes"] == 0
    assert {row["episodes"] for row in rows} == {16}
    assert all(row["seconds"] > 0 and row["own_readings"] > 0 for row in rows)
    assert all({"spearman", "advantage", HALF} <= set(row) for row in rows)
    table = json.loads((tmp_path / "study.json").read_text())
    assert [row["method"] for row in table["rows"]] == [row["method"] for row in rows]
    assert set(table["predictions"]) == {"4 kinds of credit", "3 estimators"}
    assert all(set(one) == {FINAL, CURVE} for one in table["predictions"].values())
    assert {"spearman", "advantage", HALF} <= set(table["predictions"]["3 estimators"][CURVE])
    assert (table["training"]["updates"], table["settings"]["train_seeds"]) == (2, 2)
    with (tmp_path / "study.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        told = {
            (line["over"], line["learned"], line["measure"]): float(line["p"] or "nan") for line in csv.DictReader(file)
        }
    for (over, what, measure), p in told.items():
        assert p == pytest.approx(table["predictions"][over][what][measure]["p"] or float("nan"), nan_ok=True)
    assert (tmp_path / "study.png").stat().st_size > 0

    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}
    assert len(stamps) == 8
    assert study(settings) == rows
    assert stamps == {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}

    # Beside compression: the same measured cells and half-trained policy, runs and files of its own.
    cells = {p: p.read_bytes() for p in (tmp_path / "cells.jsonl", tmp_path / "half-trained" / "cells.jsonl")}
    other = study(replace(settings, train_compression=0.05))
    assert cells == {p: p.read_bytes() for p in cells}
    assert json.loads((tmp_path / "study.json").read_text()) == table
    told = json.loads((tmp_path / "study-compression-0.05.json").read_text())
    assert [row["method"] for row in told["rows"]] == [row["method"] for row in other]
    assert told["training"]["compression"] == 0.05
    # Presets have a compression term of their own and are not trained again.
    assert len(list(tmp_path.glob("runs/*/*/result.json"))) == 8 + 6


def test_runs_differ_in_the_credit_alone(tmp_path):
    settings = replace(TINY, out=tmp_path)
    one = run_of(settings, Method("prefix", "estimator"), 3)
    other = run_of(settings, Method("wrapper my_module:Mine", "wrapper"), 3)
    assert (one.settings.reward, other.settings.reward) == ("credit:prefix", "my_module:Mine")
    assert one.settings.to_json() | {"reward": None} == other.settings.to_json() | {"reward": None}
    assert one.folder != other.folder


def test_a_wrapper_that_failed_on_real_streams_alone_is_trained():
    rows = [
        {"method": "loo-step", "scope": "builtin", "reason": ""},
        {"method": "loo-step", "scope": "data x", "reason": "too long"},
        {"method": "lasso", "scope": "builtin", "reason": "too long"},
    ]
    methods = [Method("loo-step", "estimator"), Method("lasso", "estimator"), Method("uniform", "estimator")]
    assert [m.name for m in trainable(Measurement(methods, [], rows))] == ["loo-step", "uniform"]


@pytest.mark.parametrize(("reward", "chunks"), [("credit:chunk", True), ("credit:prefix", False)])
def test_own_readings_are_the_questions_of_an_episode(reward, chunks):
    settings = TrainSettings(env=EnvSettings(T=4), reward=reward)
    dataset = settings.env.open("train")
    first = dataset[0]
    expected = len(first.questions) + (sum(min(5, len(c.questions)) for c in first.chunks) if chunks else 0)
    assert own_readings(settings, streams=1) == expected
