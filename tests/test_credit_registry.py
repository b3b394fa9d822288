"""Every estimator by its name: what it is given, what it gives, and that nothing else decides it."""

from __future__ import annotations

import inspect
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from builtin_episodes import WordReader, builtin_record, half_policy
from tiny_episodes import KeyReader, play

from memenvs import EpisodeRecord
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading import CachedReader, ExtractiveReader
from rewards import terms
from rewards.credit import ESTIMATORS, StepGame, estimate
from rewards.credit.redistribution import ReturnPredictor
from rewards.credit.registry import NEEDS


@cache
def record(seed=3, k=5):
    return builtin_record(seed=seed, k=k)


@cache
def predictor():
    return ReturnPredictor.fit([record(seed) for seed in range(10, 16)])


def everything(reader=None):
    return {"reader": reader or WordReader(), "policy": half_policy, "predictor": predictor()}


def gained():
    """v(M_T) - v(empty)."""
    return record().r_global - StepGame(record(), WordReader()).value(())


#: What the credit of an episode sums to, where the estimator promises anything.
SUMS = {
    "uniform": lambda: record().r_global,
    "trajectory": lambda: record().r_global * record().T,
    "evidence": lambda: record().r_global,
    "item-shapley": gained,
    "prefix": gained,
    "permutation-shapley": gained,
    "redistribution": lambda: record().r_global,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_gives_one_finite_number_per_step_and_the_sum_it_promises(name):
    credit = estimate(name, record(), **everything())
    assert len(credit) == record().T
    assert all(type(value) is float and math.isfinite(value) for value in credit)
    assert any(credit)
    if name in SUMS:
        assert math.fsum(credit) == pytest.approx(SUMS[name](), abs=1e-9)


def test_no_two_estimators_say_the_same():
    said = {
        name: tuple(round(c, 9) for seed in range(8) for c in estimate(name, record(seed, k=2), **everything()))
        for name in ESTIMATORS
    }
    assert len(set(said.values())) == len(said)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_failed_episode_has_no_credit_and_never_0(name):
    failed = play([[("INSERT", "town Rome")], [("SKIP",)]], {"town": "Rome"}, fails=True)
    assert list(map(math.isnan, estimate(name, failed, **everything()))) == [True, True]


def test_a_failure_anywhere_is_a_failure():
    whole = play([[("INSERT", "town Rome")], [("SKIP",)]], {"town": "Rome"})
    assert estimate("uniform", whole) == (0.5, 0.5)
    on_a_chunk_question = replace(whole, failure="503")
    without_a_judgement = replace(whole, questions=(replace(whole.questions[0], score=None),))
    for record in (on_a_chunk_question, without_a_judgement):
        for name in ("uniform", "operation-tags", "loo-step"):
            assert list(map(math.isnan, estimate(name, record, reader=KeyReader()))) == [True, True]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_saved_record_gives_the_same_numbers(name):
    again = EpisodeRecord.from_json(record().to_json())
    assert estimate(name, again, **everything()) == estimate(name, record(), **everything())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_entry_says_what_its_function_takes(name):
    estimator = ESTIMATORS[name]
    parameters = inspect.signature(estimator.resolve()).parameters
    assert next(iter(parameters)) == "record"
    assert {p for p in parameters if p in NEEDS} == set(estimator.needs)
    assert set(estimator.fixed) < set(parameters)
    assert set(parameters) == {"record", *estimator.needs, *estimator.fixed, *estimator.settings}
    assert estimator.name == name
    assert "\n" not in estimator.description


def test_only_those_that_need_a_reader_ask_it():
    for name, estimator in ESTIMATORS.items():
        reader = CachedReader(WordReader())
        estimate(name, record(), **everything(reader))
        assert (reader.calls > 0) == ("reader" in estimator.needs), name


def test_estimators_share_what_a_cached_reader_knows():
    reader = CachedReader(WordReader())
    estimate("prefix", record(), reader=reader)
    first = reader.calls
    estimate("himpo", record(), reader=reader)
    assert reader.calls == first, "the same prefixes"
    estimate("loo-step", record(), reader=reader)
    assert reader.calls > first


def test_the_step_reward_and_attribution_are_those_of_fine_mem():
    assert estimate("chunk", record()) == terms.chunk(record())
    assert estimate("evidence", record(), beta=0.9, phi="created") == terms.evidence(record(), 0.9, phi="created")
    assert estimate("evidence-cited", record()) == terms.evidence(record(), evidence="cited")
    assert estimate("uniform", record()) == terms.outcome(record(), "uniform")


def test_settings_reach_the_function():
    loose, exact = (estimate("lasso", record(), reader=WordReader(), alpha=alpha) for alpha in (0.1, 1e-4))
    assert sum(map(abs, loose)) < sum(map(abs, exact))
    assert "permutations" in ESTIMATORS["permutation-shapley"].settings
    assert "exact_below" not in ESTIMATORS["permutation-shapley"].settings


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("loo_step", {}, r"unknown credit estimator 'loo_step'; known: uniform, .*Did you mean 'loo-step'"),
        ("loo-step", {}, r"'loo-step' needs a reader: give reader=\.\.\., a memenvs.reading.Reader"),
        ("monte-carlo", {"reader": WordReader()}, r"'monte-carlo' needs a policy: give policy="),
        ("redistribution", {}, r"'redistribution' needs a predictor: give predictor=.*ReturnPredictor"),
        ("evidence", {"betta": 1.0}, r"'evidence' has no setting 'betta'; it has beta=0.5, .*Did you mean 'beta'"),
        ("evidence-cited", {"evidence": "retrieved"}, "has no setting 'evidence'"),
        ("prefix", {"score": "probability"}, "has no setting 'score'; it has none"),
        ("uniform", {"scale": "mean"}, "has no setting 'scale'"),
        ("evidence", {"beta": 2.0}, r"beta must be in \[0, 1\]"),
        ("prefix-probability", {"reader": KeyReader()}, "'key' gives no probabilities"),
    ],
)
def test_what_cannot_be_estimated_is_refused_with_the_way_out(name, given, message):
    with pytest.raises(SettingsError, match=message):
        estimate(name, record(), **given)


def test_a_failing_reader_is_an_error_to_whoever_asks_for_the_numbers():
    class Down(ExtractiveReader):
        def read(self, readings):
            raise ReaderError("503")

    with pytest.raises(ReaderError, match="503"):
        estimate("loo-step", record(), reader=Down())


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_credit_registry import ESTIMATORS, estimate, everything, record
print(json.dumps({name: estimate(name, record(), **everything()) for name in ESTIMATORS}))
"""


def test_the_numbers_do_not_depend_on_the_hash_seed():
    outputs = []
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
        outputs.append(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert outputs[0] == outputs[1]
    here = {name: list(estimate(name, record(), **everything())) for name in ESTIMATORS}
    assert json.loads(outputs[0]) == here
