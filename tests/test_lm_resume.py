"""A language model's run that is killed goes on as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from trainers.checkpoint import latest
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings
from trainers.slots.choices import Slots
from trainers.tokens.grpo import train
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

ENV = EnvSettings(T=4, chunk_questions=1, max_operations=1)
PROGRAM = """
import json, os, signal, sys, torch
from pathlib import Path
from trainers import checkpoint
from trainers.settings import EnvSettings
from trainers.slots.choices import Slots
from trainers.tokens.grpo import train
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

when, last = sys.argv[3], int(sys.argv[4])
save = checkpoint.save

def save_or_die(folder, update, *given):
    if (when, last) == ("before", update):
        os.kill(os.getpid(), signal.SIGKILL)
    kept = save(folder, update, *given)
    if (when, last) == ("after", update):
        os.kill(os.getpid(), signal.SIGKILL)
    return kept

checkpoint.save = save_or_die
torch.set_num_threads(1)
plain = json.loads(sys.argv[1])
for name, kind in (("env", EnvSettings), ("slots", Slots), ("lm", LanguageModelSettings)):
    plain[name] = kind(**plain[name])
train(TokenTrainSettings(**plain), Path(sys.argv[2]), resume=True, tensorboard=False)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A run whose warm start is long enough that messages are read and advantages are not 0."""
    torch.set_num_threads(1)
    data = load("builtin", "train", T=4)
    own = LanguageModelSettings(
        model=str(tmp_path_factory.mktemp("small")), message="sentences", task="", memory_tokens=24, max_tokens=24,
        warm_start="scripted", warm_streams=12, warm_epochs=8, warm_rate=1e-2, warm_batch=4,
    )  # fmt: skip
    small = SmallSettings(hidden=32, layers=1, vocabulary=400)
    make_small(own.model, [data[i] for i in range(8)], own.prompt(ENV), small)
    return TokenTrainSettings(
        env=ENV, lm=own, updates=3, streams=2, group_size=3, learning_rate=5e-3, eval_every=2, eval_streams=1, final_streams=1,
        checkpoint_every=1,
    )  # fmt: skip


def run_killed(moment, settings, folder):
    """Train until the process is killed "before" or "after" the checkpoint of an update, as in "after 2"."""
    given = [json.dumps(settings.to_json()), str(folder), *moment.split()]
    process = subprocess.run([sys.executable, "-c", PROGRAM, *given], env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert process.returncode == -signal.SIGKILL


def without_times(path):
    return [{k: v for k, v in line.items() if v is not None} for line in read_metrics(path / "metrics.csv")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "slots", "steps", "kills"),
    [
        (None, Slots(regulariser="kl_k3", beta=0.5, reset_every=2), {}, ("before 0", "after 0", "after 2")),
        (2, Slots(regulariser="kl_k3", beta=0.5, reset_above=1e-6), {"mini_batch": 7, "warm_up": 2}, ("after 1",)),
    ],
    ids=["weights", "adapters"],
)
def test_a_run_killed_at_any_point_goes_on_as_if_it_had_not_been(settings, tmp_path, rank, slots, steps, kills):
    if rank is not None:  # adapters cannot teach a random model to write; they begin with one that can
        train(replace(settings, updates=1, learning_rate=0.0), tmp_path / "taught", tensorboard=False)
        own = replace(
            settings.lm, model=str(latest(tmp_path / "taught")), lora_rank=rank, warm_streams=2, warm_epochs=1
        )
        settings = replace(settings, lm=replace(own, warm_rate=1e-3))
    settings = replace(settings, slots=slots, **steps)
    _, whole = train(settings, tmp_path / "whole", tensorboard=False)
    lines = without_times(tmp_path / "whole")
    assert all(line["train/gradient_norm"] for line in lines[1:])  # there is something to go wrong
    folder = tmp_path / "killed"
    for moment in kills:
        run_killed(moment, settings, folder)
    _, again = train(settings, folder, resume=True, tensorboard=False)
    assert again == whole
    assert without_times(folder) == lines
