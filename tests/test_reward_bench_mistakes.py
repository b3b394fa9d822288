"""What is measured again, and what is refused, before or instead of a measurement."""

from dataclasses import replace

import pytest

from memenvs.errors import DataError, SettingsError
from trainers.credit_study import study
from trainers.reward_bench.ledger import Ledger
from trainers.reward_bench.methods import Method, sources
from trainers.reward_bench.run import run
from trainers.reward_bench.settings import BenchSettings

TINY = BenchSettings(
    estimators=("none",), episodes=1, groups=0, T=4, sweep=(), subsets=3, workers=1, train_seeds=1, train_updates=1,
    train_streams=1,
)  # fmt: skip
REWARD = """
from rewards import RewardWrapper

class Mine(RewardWrapper):
    def terms(self, record):
        return {"mine": (1 / 0,) * record.T}
"""


@pytest.fixture
def my_reward(tmp_path, monkeypatch):
    """A user's module, whose wrapper divides by zero in its last line."""
    path = tmp_path / "mended_later.py"
    path.write_text(REWARD)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def test_a_wrapper_that_fails_says_where(my_reward, tmp_path):
    settings = replace(TINY, out=tmp_path / "out", wrappers=("mended_later:Mine",))
    with pytest.raises(SettingsError, match=r"ZeroDivisionError: division by zero \(.*mended_later.py, line 6\)"):
        run(settings)


def test_a_folder_without_results_takes_other_settings(tmp_path):
    """A wrapper that failed at once is mended, and the same command is given again."""
    path = tmp_path / "cells.jsonl"
    Ledger(path, {"source": "broken"})
    mended = Ledger(path, {"source": "mended"})
    mended.add("one", {"value": 1})
    assert Ledger(path, {"source": "mended"}).results == {"one": {"value": 1}}
    with pytest.raises(DataError, match="source 'mended' there, 'broken' here"):
        Ledger(path, {"source": "broken"})


def test_an_estimator_named_as_a_reward_is_no_module_of_ones_own():
    assert sources([Method("wrapper credit:loo-step", "wrapper"), Method("wrapper finemem", "wrapper")]) == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sweep": (3, 5, 3)}, "twice"),
        ({"data": ("a", "a")}, "twice"),
        ({"data": ("builtin",)}, "measured anyway"),
    ],
)
def test_nothing_is_measured_twice(values, message):
    with pytest.raises(SettingsError, match=message):
        replace(TINY, **values)


def test_one_kind_of_credit_cannot_be_compared(tmp_path):
    settings = replace(TINY, out=tmp_path, estimators=("uniform", "writes"), train=True)
    with pytest.raises(SettingsError, match="at least two kinds of credit.*got uniform;"):
        study(settings)
    assert not (tmp_path / "runs").exists()
