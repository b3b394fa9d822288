"""Fine-Mem on TRL's trainer in two processes under accelerate's launcher, beside one process and beside our own loop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("transformers")

from endpoint_server import EndpointServer, first_note
from trl_program import flat, small_settings

from agents.language_model.policy import load_policy
from trainers.advantages import group_advantages
from trainers.tokens.rows import TokenRow
from trainers.tokens.update import UpdateSettings, log_prob_table, update

PROGRAM = Path(__file__).with_name("trl_program.py")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return small_settings(tmp_path_factory.mktemp("small")).lm.model


def run(model, out, case, processes, *reader):
    """What each process told."""
    # accelerate starts several processes on one machine with --multi_gpu alone; ACCELERATE_USE_CPU keeps them from looking for
    # GPUs. (accelerate 1.15 starts one for --cpu --num_processes 2, unless mpirun does it.)
    launcher = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes), "--num_machines",
        "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
    ]  # fmt: skip
    command = [*launcher] if processes > 1 else [sys.executable]
    done = subprocess.run(
        [*command, str(PROGRAM), model, str(out), case, str(4 // processes), *reader],
        capture_output=True,
        text=True,
        timeout=600,  # only what hangs takes so long
        env=os.environ | {"PYTHONPATH": str(PROGRAM.parents[1]), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads((out / f"process{i}.json").read_text()) for i in range(processes)]
    assert [one["processes"] for one in told] == [processes] * processes
    return told


def our_move(model, told):
    """How far our own loop moves the model with the same rows."""
    policy = load_policy(model)
    own = policy.lm.model
    before, optimiser = flat(own), torch.optim.SGD(own.parameters(), lr=0.5)
    settings = small_settings(model)
    for number in range(len(told[0]["rows"])):
        rollouts = [rollout for one in told for rollout in one["rows"][number]]
        played = told[0]["told"][number]["played"]
        rows = [
            TokenRow(tuple(row["prompt"]), tuple(row["completion"]), advantage=1.0 + n + t, step=t)
            for n, (rollout, one) in enumerate(zip(rollouts, played, strict=True))
            for t, row in enumerate(rollout)
            if one["outcome"] == one["outcome"]
        ]
        old = log_prob_table(own, rows)
        rows = [
            TokenRow(
                row.prompt, row.completion, tuple(map(float, values[: len(row.completion)])), row.advantage, 0, row.step
            )
            for row, values in zip(rows, old, strict=True)
        ]
        update(own, optimiser, rows, settings.slots.filled, UpdateSettings(max_tokens=12))
    return flat(own) - before


def same(found, wanted):
    found, wanted = torch.as_tensor(found), torch.as_tensor(wanted)
    assert wanted.norm() > 0.1
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_two_processes_move_the_model_as_one_does_and_as_our_loop_does(model, tmp_path):
    with EndpointServer(first_note) as server:
        (alone,) = run(model, tmp_path / "one", "equal", 1, f"{server.address}#rules")
        server.requests.clear()
        first, second = both = run(model, tmp_path / "two", "equal", 2, f"{server.address}#rules")
    # One file for both, and the counts of both.
    assert (tmp_path / "two" / "replies.sqlite").is_file()
    assert first["log"][-1]["reader/answered"] == len(server.requests) > 0
    for name in ("requests", "failed"):
        assert first["log"][-1][f"reader/{name}"] == alone["log"][-1][f"reader/{name}"]
    assert first["told"] == second["told"] == alone["told"]
    for told in first["told"]:
        assert [one["number"] for one in told["played"]] == [0, 1, 2, 3]
        wanted = group_advantages(np.array([one["rewards"] for one in told["played"]]), group="step")
        np.testing.assert_allclose([told["advantages"][str(n)] for n in range(4)], wanted, atol=1e-6)
    assert first["moved"] == second["moved"]
    same(first["moved"], alone["moved"])
    same(first["moved"], our_move(model, both))
    assert first["evaluated"] == second["evaluated"]
    assert first["evaluated"]["eval_failures"] == 0


def test_streams_of_unequal_length_end_where_generation_is_joint(model, tmp_path):
    first, second = both = run(model, tmp_path, "unequal", 2)
    assert [len(one["rewards"]) for one in first["told"][-1]["played"]] == [4, 4, 6, 6]
    # A row of counts for each call: the first process goes on calling with two prompts, as many as the second has.
    assert first["counts"] == second["counts"]
    assert {tuple(counts) for counts in first["counts"]} == {(2, 2)}
    same(first["moved"], second["moved"])
    same(first["moved"], our_move(model, both))


def test_a_process_whose_rollouts_all_fail_waits_for_nobody(model, tmp_path):
    first, second = both = run(model, tmp_path, "failing", 2)
    assert [line["failures"] for line in first["log"] if "failures" in line] == [2.0, 2.0]
    assert [np.isnan(one["outcome"]) for one in first["told"][0]["played"]] == [True, True, False, False]
    same(first["moved"], second["moved"])
    same(first["moved"], our_move(model, both))
