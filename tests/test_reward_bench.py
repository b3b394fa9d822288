"""The measurement of rewards, small: what its rows say, that it goes on, and that it refuses what it cannot measure."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from memenvs.errors import DataError, SettingsError
from memenvs.reading import ExtractiveReader
from trainers.reward_bench.cells import BEHAVIOURS, MIXED_ENV, Cell, all_cells, families
from trainers.reward_bench.episodes import play_cell
from trainers.reward_bench.methods import Method, all_methods, chunk_readings, measure
from trainers.reward_bench.run import run
from trainers.reward_bench.settings import BenchSettings

SMALL = BenchSettings(
    episodes=1, groups=2, group_size=2, continuations=4, T=4, sweep=(1,), sweep_episodes=1, subsets=16, predictor_episodes=8,
    seed=3, workers=1,
)  # fmt: skip
FAST = replace(SMALL, estimators=("evidence", "random"), groups=1)


def without_time(value):
    """Rows or results with nothing that depends on the machine."""
    if isinstance(value, dict):
        return {k: without_time(v) for k, v in value.items() if not k.startswith("seconds")}
    return [without_time(v) for v in value] if isinstance(value, list) else value


def results_in(folder):
    entries = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()[1:]]
    return {entry["key"]: without_time(entry["result"]) for entry in entries}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows of the main scope by method, and the folder, of a small measurement of everything."""
    folder = tmp_path_factory.mktemp("bench")
    found = run(replace(SMALL, out=folder)).rows
    return {row["method"]: row for row in found if row["scope"] == "builtin"}, folder


def test_the_truth_agrees_with_itself_and_costs_most(measured):
    by_name, _ = measured
    exact = by_name["exact-shapley"]
    assert exact["episodes"] + exact["flat"] == len(BEHAVIOURS) * len(families())
    for metric, value in (("spearman", 1), ("kendall_b", 1), ("top1", 1), ("normalised_l1", 0), ("efficiency_gap", 0)):
        assert exact[metric] == pytest.approx(value, abs=1e-9)
    assert (
        exact["calls"] > by_name["loo-step"]["calls"] > by_name["evidence"]["calls"] > by_name["random"]["calls"] == 0
    )
    assert by_name["chunk"]["calls"] > by_name["uniform"]["calls"] == by_name["evidence"]["calls"]


def test_equal_credit_for_all_steps_is_counted_as_degenerate(measured):
    uniform = measured[0]["uniform"]
    assert uniform["degenerate"] == uniform["episodes"]
    assert (uniform["spearman"], uniform["efficiency_gap"]) == (0, pytest.approx(0, abs=1e-9))
    assert measured[0]["exact-shapley"]["degenerate"] == 0


def test_what_the_reader_cannot_serve_is_shown_with_the_reason(measured):
    by_name, folder = measured
    for name in ("prefix-probability", "prefix-log-probability"):
        row = by_name[name]
        assert (row["episodes"], row["unserved"]) == (0, by_name["uniform"]["episodes"])
        assert "gives no probabilities" in row["reason"]
        assert "spearman" not in row
        assert "advantage" not in row
    with (folder / "episodes.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "prefix-probability"]
    assert lines
    assert all(line["spearman"] == "" and "gives no probabilities" in line["reason"] for line in lines)


def test_files_hold_every_row_and_say_where_they_come_from(measured):
    by_name, folder = measured
    table = json.loads((folder / "table.json").read_text())
    assert {r["method"] for r in table["rows"] if r["scope"] == "builtin"} == set(by_name)
    assert {r["scope"] for r in table["rows"]} >= {"behaviour messy", "family conflict-resolution", "k = 1"}
    assert (table["data"], table["reader"], table["seed"], table["settings"]["T"]) == ("builtin", "extractive", 3, 4)
    assert 0 <= table["advantage_noise"]["ceiling"] <= 1
    with (folder / "table.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(table["rows"])
    with (folder / "episodes.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    # Each attribution episode has a line per method, the episode of the sweep one per swept estimator.
    assert len(lines) == len(BEHAVIOURS) * len(families()) * len(by_name) + 2
    assert (folder / "figure.png").stat().st_size > 0


def test_the_learned_predictor_comes_from_other_episodes(measured):
    _, folder = measured
    fitted = {
        json.loads(line)["result"].get("fitted_on") for line in (folder / "cells.jsonl").read_text().splitlines()[1:]
    }
    assert fitted == {8}
    assert measured[0]["redistribution"]["episodes"] > 0


def test_numbers_do_not_depend_on_the_number_of_workers(tmp_path):
    run(replace(FAST, out=tmp_path / "one"))
    run(replace(FAST, out=tmp_path / "two", workers=2))
    assert results_in(tmp_path / "one") == results_in(tmp_path / "two")


def test_a_cut_off_measurement_goes_on_and_gives_the_same(tmp_path):
    whole = run(replace(FAST, out=tmp_path)).rows
    path = tmp_path / "cells.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    kept = "".join(lines[:6])
    path.write_text(kept + lines[6][:50])
    again = run(replace(FAST, out=tmp_path, workers=1)).rows
    assert path.read_text().startswith(kept)
    assert without_time(again) == without_time(whole)
    assert len(path.read_text().splitlines()) == len(lines)


def test_results_of_other_settings_are_not_continued(tmp_path):
    settings = replace(FAST, out=tmp_path, episodes=0, sweep=())
    run(settings)
    with pytest.raises(DataError, match=r"T 4 there, 5 here.*--out"):
        run(replace(settings, T=5))
    run(replace(settings, workers=2))  # how it is worked out is no setting of the results


@pytest.mark.slow
def test_a_killed_measurement_loses_no_finished_part(tmp_path):
    command = [sys.executable, "-m", "memenvs", "bench-rewards", "--out", str(tmp_path), "--T", "6", "--episodes", "4"]
    command += ["--groups", "0", "--sweep", "--estimators", "prefix", "--workers", "2"]
    path = tmp_path / "cells.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as running:
        while not path.is_file() or path.read_text().count("\n") < 8:
            assert running.poll() is None, "finished before it could be killed"
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGKILL)
    before = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert len(before) >= 8
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = path.read_text().splitlines(keepends=True)
    assert after[: len(before)] == before
    assert len({json.loads(line)["key"] for line in after[1:]}) == 4 * len(BEHAVIOURS) * len(families())


MY_REWARDS = """
import gymnasium
from rewards import RewardWrapper

class Writes(RewardWrapper):
    def terms(self, record):
        return {"writes": tuple(float(sum(o.valid and o.op != "SKIP" for o in s.operations)) for s in record.steps)}

class Paid(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, float(len(action)), *rest

class Broken(RewardWrapper):
    def terms(self, record):
        return {"broken": (1 / 0,) * record.T}
"""


@pytest.fixture
def my_module(tmp_path, monkeypatch):
    """A module of a user's, importable as ``my_rewards``, and its file."""
    path = tmp_path / "my_rewards.py"
    path.write_text(MY_REWARDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("my_rewards", None)


def test_a_wrapper_of_ones_own_is_measured_by_what_it_pays(my_module, tmp_path):
    wrappers = ("my_rewards:Writes", "my_rewards:Paid", "finemem")
    settings = replace(FAST, out=tmp_path / "out", estimators=("none",), wrappers=wrappers, sweep=())
    found = {row["method"]: row for row in run(settings).rows if row["scope"] == "builtin"}
    assert set(found) == {f"wrapper {name}" for name in wrappers}
    cell = next(c for c in all_cells(settings, len) if c.kind == "attribution")
    record = play_cell(settings, cell).record
    credit = results_in(tmp_path / "out")[cell.key]["methods"]
    # The raw environment's outcome is paid beside a wrapper's own terms, at the last step.
    writes = [float(sum(o.valid and o.op != "SKIP" for o in s.operations)) for s in record.steps]
    assert credit["wrapper my_rewards:Writes"]["credit"] == pytest.approx([*writes[:-1], writes[-1] + record.r_global])
    # A plain wrapper does not tell its per-step rewards; what it paid counts.
    assert credit["wrapper my_rewards:Paid"]["credit"] == [float(len(step.message)) for step in record.steps]
    assert found["wrapper finemem"]["calls"] > 0


def test_a_changed_wrapper_is_not_mixed_with_its_old_results(my_module, tmp_path):
    settings = replace(FAST, out=tmp_path / "out", estimators=("none",), wrappers=("my_rewards:Writes",), groups=0)
    run(settings)
    my_module.write_text(MY_REWARDS.replace("float(sum(", "2.0 * float(sum("))
    sys.modules.pop("my_rewards")
    with pytest.raises(DataError, match="source of wrapper my_rewards:Writes"):
        run(settings)


def test_a_wrapper_that_fails_stops_the_measurement_before_it_starts(my_module, tmp_path):
    settings = replace(FAST, out=tmp_path / "out", wrappers=("my_rewards:Broken",))
    with pytest.raises(SettingsError, match="my_rewards:Broken.*ZeroDivisionError"):
        run(settings)
    assert results_in(tmp_path / "out") == {}


def test_real_streams_are_measured_too(shared, tmp_path):
    folder = shared / "data" / "rebuilt_memalpha_schema"
    settings = replace(
        FAST, out=tmp_path, estimators=("evidence-cited", "redistribution"), data=(str(folder),), episodes=0
    )
    settings = replace(settings, groups=0, sweep=(), data_episodes=1, data_questions=3)
    found = run(settings).rows
    assert {row["scope"] for row in found} == {f"data {folder}"}
    assert all(row["episodes"] + row["flat"] == len(BEHAVIOURS) for row in found)
    # A file alone has no training split that a predictor could be fitted on.
    found = run(replace(settings, out=tmp_path / "file", data=(str(folder / "test.parquet"),))).rows
    row = next(row for row in found if row["method"] == "redistribution")
    assert (row["episodes"], "needs a predictor" in row["reason"]) == (0, True)


def test_no_builtin_stream_is_played_twice_for_the_same_measure():
    cells = all_cells(replace(SMALL, episodes=3, groups=4, sweep=(1, 5), sweep_episodes=2), len)
    places = [(c.env_id, c.stream) for c in cells if c.kind != "sweep"]
    assert len(set(places)) == len(places) == 3 * 3 * len(families()) + 4
    assert len({c.key for c in cells}) == len(cells)
    # Another k sees the same streams.
    sweep = [{c.stream for c in cells if c.kind == "sweep" and c.k == k} for k in (1, 5)]
    assert sweep[0] == sweep[1]
    assert not sweep[0] & {c.stream for c in cells if c.kind != "sweep" and c.env_id == MIXED_ENV}


def test_rollouts_of_a_group_share_a_stream_and_differ():
    cell = next(c for c in all_cells(SMALL, len) if c.kind == "advantage")
    one, other, again = (play_cell(SMALL, cell, rollout).record for rollout in (0, 1, 0))
    assert one.fingerprint == other.fingerprint
    assert [s.message for s in one.steps] != [s.message for s in other.steps]
    assert one == again


def test_chunk_questions_are_asked_again_as_in_the_episode():
    record = play_cell(SMALL, Cell("attribution", "builtin", MIXED_ENV, "mixed", "messy", 5, 0)).record
    told = [reading.prediction for step in record.steps for reading in step.readings]
    assert len(told) > 5
    assert [answer.text for answer in ExtractiveReader().read(chunk_readings(record))] == told


def test_a_quick_look_keeps_the_sizes_that_were_given():
    quick = BenchSettings(quick=True, groups=3)
    assert quick.groups == 3
    assert quick.episodes < BenchSettings().episodes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"estimators": ("evidnce",)}, "Did you mean 'evidence'"),
        ({"estimators": ("none",)}, "nothing to measure"),
        ({"estimators": ("none",), "wrappers": ("finmem",)}, "Did you mean 'finemem'"),
    ],
)
def test_unknown_methods_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        all_methods(replace(SMALL, **values))


@pytest.mark.parametrize("values", [{"continuations": 5}, {"group_size": 1}, {"sweep": (0,)}, {"exact_steps": 17}])
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(SettingsError):
        replace(SMALL, **values)


def test_rollouts_of_a_group_share_the_draws_of_an_estimator_but_not_of_the_random_control():
    cell = next(c for c in all_cells(SMALL, len) if c.kind == "advantage")
    played = play_cell(SMALL, cell)
    for name, kind, shared in (("monte-carlo", "estimator", True), ("random", "control", False)):
        method = Method(name, kind)
        one, other = (measure(method, played, None, (1, 2), rollout).credit for rollout in (0, 1))
        assert (one == other) is shared
        assert measure(method, played, None, (1, 3)).credit != one
