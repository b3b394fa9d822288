"""The learned predictor and the redistribution of the return, by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_episodes import play

from memenvs.errors import DataError, SettingsError
from rewards.credit.features import STEP_FEATURES, step_features
from rewards.credit.redistribution import ReturnPredictor, contributions, redistribute, redistribution

# The first answers both questions, the second one of them.
GOOD = play([[("INSERT", "a 1")], [("INSERT", "b 2")], [("SKIP",)]], {"a": "1", "b": "2"})
POOR = play([[("INSERT", "a 1")], [("DELETE", "9.9")], "nothing"], {"a": "1", "b": "2"})
FAILED = play([[("INSERT", "a 1")], [("SKIP",)], [("SKIP",)]], {"a": "1", "b": "2"}, fails=True)


def test_contributions_are_differences_and_the_residual_is_spread_evenly():
    # Credit vector 52.
    predicted = [0.1, 0.4, 0.35, 0.9]
    assert contributions(predicted) == pytest.approx([0.1, 0.3, -0.05, 0.55])
    assert redistribute(predicted, 1.0) == pytest.approx((0.125, 0.325, -0.025, 0.575))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(0, 1))
def test_redistribution_conserves_the_return(predicted, actual):
    assert math.fsum(redistribute(predicted, actual)) == pytest.approx(actual, abs=1e-12)


def test_features_by_hand():
    messages = [
        [("INSERT", "a red bicycle"), ("INSERT", "one")],
        [("UPDATE", "0.0", "a blue bicycle, new"), ("DELETE", "0.1"), ("DELETE", "7.7")],
        "nothing",
    ]
    record = play(messages, {"a": "1"}, chunks=["one red bicycle", "it is blue", "so"])
    table = {name: column.tolist() for name, column in zip(STEP_FEATURES, step_features(record).T, strict=True)}
    assert table["INSERT"] == [2, 0, 0]
    assert table["UPDATE"] == [0, 1, 0]
    assert table["DELETE"] == [0, 1, 0]
    assert table["invalid"] == [0, 1, 0]
    assert table["silent"] == [0, 0, 1]
    assert table["tokens written"] == [4, 5, 0]
    assert table["tokens dropped"] == [0, 4, 0]
    assert table["known"] == [0, 2 / 4, 0]
    assert table["quoted"] == [3 / 4, 1 / 4, 0]
    words = np.array([column for name, column in table.items() if name.startswith("words")])
    assert words.sum(axis=0).tolist() == [4, 4, 0]
    # CRC-32 of "a" is 0xe8b7be43 and of "one" 0x7a6c86f1: buckets 3 and 17 of 32.
    assert table["words 3"][0] >= 1
    assert table["words 17"][0] >= 1


def test_a_feature_of_a_step_does_not_depend_on_later_steps():
    short = play([[("INSERT", "a 1")], [("UPDATE", "0.0", "a 2")]], {"a": "1"})
    longer = play([[("INSERT", "a 1")], [("UPDATE", "0.0", "a 2")], [("DELETE", "0.0")]], {"a": "1"})
    np.testing.assert_array_equal(step_features(longer)[:2], step_features(short))


@pytest.mark.parametrize("l2", [1.0, 20.0])
def test_two_episodes_have_a_closed_form(l2):
    # Standardised, the F features that differ are +1 for one episode and -1 for the other; ridge then predicts
    # mean +- d 2F / (2F + l2), with d half the difference of the returns.
    assert (GOOD.r_global, POOR.r_global) == (1.0, 0.5)
    predictor = ReturnPredictor.fit([GOOD, POOR], l2=l2)
    F = np.count_nonzero(step_features(GOOD).sum(axis=0) != step_features(POOR).sum(axis=0))
    assert F > 3
    shrunk = 0.25 * 2 * F / (2 * F + l2)
    assert predictor.prefixes(GOOD)[-1] == pytest.approx(0.75 + shrunk)
    assert predictor.prefixes(POOR)[-1] == pytest.approx(0.75 - shrunk)


def test_prefixes_are_sums_over_steps_that_share_the_intercept():
    weights = [0.0] * len(STEP_FEATURES)
    weights[STEP_FEATURES.index("INSERT")], weights[STEP_FEATURES.index("SKIP")] = 0.25, -0.5
    predictor = ReturnPredictor(tuple(weights), 0.3)
    assert predictor.prefixes(GOOD) == pytest.approx([0.35, 0.7, 0.3])
    # r_global 1: .7 is left for the three steps.
    assert redistribution(GOOD, predictor) == pytest.approx((0.35 + 0.7 / 3, 0.35 + 0.7 / 3, -0.4 + 0.7 / 3))


def test_a_fitted_predictor_credits_what_good_episodes_do():
    rng = np.random.default_rng(0)
    records = []
    for _ in range(40):
        kept = rng.random(4) < 0.5
        messages = [[("INSERT", f"{key} {n}")] if kept[n] else [("SKIP",)] for n, key in enumerate("abcd")]
        records.append(play(messages, {key: str(n) for n, key in enumerate("abcd")}))
    predictor = ReturnPredictor.fit(records[:30], l2=0.1)
    for record in records[30:]:
        assert predictor.prefixes(record)[-1] == pytest.approx(record.r_global, abs=0.05)
        kept = np.array([step.operations[0].op == "INSERT" for step in record.steps])
        assert redistribution(record, predictor) == pytest.approx(tuple(0.25 * kept), abs=0.1)


def test_failed_episodes_leave_the_fit():
    assert ReturnPredictor.fit([GOOD, FAILED, POOR]) == ReturnPredictor.fit([GOOD, POOR])
    with pytest.raises(DataError, match="at least 2 finished episodes, got 1; 2 failed"):
        ReturnPredictor.fit([GOOD, FAILED, FAILED])
    with pytest.raises(DataError, match="got 0; 0 failed"):
        ReturnPredictor.fit([])
    # A failure of the step reward's questions leaves r_global finite, and the episode failed all the same.
    with pytest.raises(DataError, match="got 1; 1 failed"):
        ReturnPredictor.fit([GOOD, replace(POOR, failure="timed out")])


def test_a_failed_question_is_not_a_number():
    assert all(math.isnan(c) for c in redistribution(FAILED, ReturnPredictor.fit([GOOD, POOR])))


def test_a_saved_predictor_comes_back_equal(tmp_path):
    predictor = ReturnPredictor.fit([GOOD, POOR])
    predictor.save(tmp_path / "p.json")
    assert ReturnPredictor.load(tmp_path / "p.json") == predictor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"format": 2}, '"format": 1, got 2'),
        (lambda d: [d], "got 'list'"),
        (lambda d: d | {"weights": {"INSERT": 1.0}}, "must name the"),
        (lambda d: d | {"weights": dict(reversed(d["weights"].items()))}, "in their order"),
        (lambda d: d | {"intercept": None}, "finite numbers"),
        (lambda d: d | {"weights": d["weights"] | {"SKIP": math.nan}}, "finite numbers"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    path = tmp_path / "p.json"
    ReturnPredictor.fit([GOOD, POOR]).save(path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        ReturnPredictor.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot read a predictor"):
        ReturnPredictor.load(path)
    with pytest.raises(DataError, match="missing.json"):
        ReturnPredictor.load(tmp_path / "missing.json")


def test_bad_arguments_are_refused():
    with pytest.raises(SettingsError, match="l2 must be above 0"):
        ReturnPredictor.fit([GOOD, POOR], l2=0)
    with pytest.raises(SettingsError, match=r"\(T,\) finite numbers"):
        redistribute([], 1.0)
    with pytest.raises(SettingsError, match=r"got 'p.json'; ReturnPredictor.fit"):
        redistribution(GOOD, "p.json")
