"""The trainer end to end on small runs."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pyarrow
import pyarrow.parquet
import pytest
import torch

from agents.candidate import load_policy
from memenvs.errors import DataError, SettingsError
from trainers import checkpoint
from trainers.grpo import train
from trainers.runlog import read_curve, read_metrics
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.sampling import stream_seed

SMALL = TrainSettings(
    env=EnvSettings(T=4), updates=4, group_size=3, eval_every=2, eval_streams=2, final_streams=3, checkpoint_every=2
)


def load_run(folder):
    return load_policy(checkpoint.find(folder))


def metrics(folder):
    return (folder / "metrics.csv").read_text()


def test_same_seed_same_numbers_and_other_seed_others(tmp_path):
    for name in ("a", "b"):
        train(SMALL, tmp_path / name, tensorboard=False)
    train(replace(SMALL, seed=1), tmp_path / "c", tensorboard=False)
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert metrics(tmp_path / "a") != metrics(tmp_path / "c")
    first, second = (json.loads((tmp_path / n / "result.json").read_text()) for n in ("a", "b"))
    assert first == second


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    train(SMALL, tmp_path / "whole", tensorboard=False)
    train(replace(SMALL, updates=2), tmp_path / "cut", tensorboard=False)
    train(SMALL, tmp_path / "cut", resume=True, tensorboard=False)
    a, b = load_run(tmp_path / "whole"), load_run(tmp_path / "cut")
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_a_run_is_not_overwritten_or_mixed(tmp_path):
    train(replace(SMALL, updates=2), tmp_path, tensorboard=False)
    with pytest.raises(DataError, match="holds a run already"):
        train(SMALL, tmp_path, tensorboard=False)
    with pytest.raises(DataError, match="other settings"):
        train(replace(SMALL, learning_rate=1e-3), tmp_path, resume=True, tensorboard=False)


def test_results_say_what_they_came_from(tmp_path):
    train(replace(SMALL, updates=2), tmp_path, tensorboard=False)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["data"], result["split"], result["reader"], result["profile"]) == (
        "builtin",
        "test",
        "extractive",
        "corrected",
    )
    assert len(result["episodes"]) == 3
    assert result["settings"]["seed"] == 0


def test_arms_that_share_a_seed_share_their_streams():
    seeds = [stream_seed(0, update, number) for update in range(50) for number in range(4)]
    assert len(set(seeds)) == len(seeds)
    assert stream_seed(0, 3, 1) == stream_seed(0, 3, 1)


def test_training_updates_the_weights_and_keeps_them_finite(tmp_path):
    policy, _ = train(SMALL, tmp_path, tensorboard=False)
    fresh = type(policy)(policy.settings)
    changed = [not torch.equal(a, b) for a, b in zip(policy.parameters(), fresh.parameters(), strict=True)]
    assert any(changed)
    assert all(torch.isfinite(p).all() for p in policy.parameters())


KILLED = """
import os, signal, sys
from trainers.cli import main
from trainers.runlog import RunLog
last, write = int(sys.argv[1]), RunLog.write

def write_or_die(self, update, values):
    write(self, update, values)
    if update == last:
        os.kill(os.getpid(), signal.SIGKILL)

RunLog.write = write_or_die
main(sys.argv[2:])
"""


@pytest.mark.slow
def test_a_killed_run_gives_the_numbers_of_one_that_was_not(tmp_path):
    """SIGKILL between two checkpoints, and just before one, then --resume auto."""
    options = ["--T", "4", "--group-size", "3", "--updates", "30", "--eval-every", "10", "--eval-streams", "2"]
    options += ["--final-streams", "3", "--checkpoint-every", "3"]
    given = ["train", *options, "--resume", "auto", "--out"]
    command = [sys.executable, "-m", "memenvs", *given]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment, capture_output=True)
    for last in ("4", "12"):
        killed = [sys.executable, "-c", KILLED, last, *given, str(tmp_path / "killed")]
        assert subprocess.run(killed, env=environment, capture_output=True).returncode == -signal.SIGKILL
    subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment, capture_output=True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    a, b = load_run(tmp_path / "whole"), load_run(tmp_path / "killed")
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_groups_of_streams_of_different_length(tmp_path):
    """Real data: the groups of one update need not have the same T."""
    chunks = [[f"Person {i} lives in town {t}." for t in range(2 + i)] for i in range(4)]
    questions = [[{"question": f"Where does person {i} live?", "answer": f"town {i + 1}"}] for i in range(4)]
    table = {
        "instance_id": list(range(4)),
        "chunks": [json.dumps(c) for c in chunks],
        "questions_and_answers": [json.dumps(q) for q in questions],
        "data_source": ["squad"] * 4,
    }
    for name in ("train", "test"):
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / f"{name}.parquet")
    settings = replace(
        SMALL, env=EnvSettings(data=str(tmp_path / "train.parquet")), reward="outcome", streams=3, updates=3
    )
    train(settings, tmp_path / "run", tensorboard=False)
    lines = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [line["episodes"] for line in lines] == [0, 9, 18, 27]


def test_every_term_is_logged_and_they_add_up(tmp_path):
    train(SMALL, tmp_path, tensorboard=False)
    for line in read_metrics(tmp_path / "metrics.csv")[1:]:
        terms = [value for name, value in line.items() if name.startswith("terms/")]
        assert len(terms) == 4
        assert sum(terms) == pytest.approx(line["train/step_reward"])


def test_grpo_learns(tmp_path):
    """A minute's training raises held-out r_global by more than its noise (about .35 to .6 here)."""
    settings = replace(
        SMALL, env=EnvSettings(T=8), reward="chunk", updates=40, group_size=8, eval_every=40, eval_streams=16
    )
    train(settings, tmp_path, tensorboard=False)
    curve = read_curve(tmp_path)
    assert [episodes for episodes, _ in curve] == [0, 320]
    assert curve[1][1] > curve[0][1] + 0.1


@pytest.mark.parametrize("quota", [None, 7])
def test_a_quota_that_the_policy_cannot_serve_is_refused_before_anything_is_written(tmp_path, quota):
    with pytest.raises(SettingsError, match="1 to 6"):
        train(replace(SMALL, env=EnvSettings(T=4, max_operations=quota)), tmp_path / "x", tensorboard=False)
    assert not (tmp_path / "x").exists()
