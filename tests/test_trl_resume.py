"""A run on TRL's trainer that goes on from a checkpoint, beside one that was never stopped."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("transformers")

from endpoint_server import EndpointServer, first_note
from transformers import TrainerCallback
from trl_program import arguments, small_settings

from trainers.trl_adapter import MemoryGRPOTrainer


class StopAfterSaving(TrainerCallback):
    def on_save(self, args, state, control, **more):
        control.should_training_stop = True


def costs(trainer):
    """What the log said last about the reader."""
    line = [line for line in trainer.state.log_history if "reader/requests" in line][-1]
    return {name: value for name, value in line.items() if name.startswith("reader/")}


def test_costs_of_the_reader_are_those_of_the_whole_run(tmp_path):
    torch.set_num_threads(1)
    settings = small_settings(tmp_path / "small")
    with EndpointServer(first_note) as server:
        env = replace(settings.env, reader=f"{server.address}#rules", reader_price_in=1e6, reader_price_out=0.0)
        settings = replace(settings, env=env, updates=2)

        def made(folder, *callbacks):
            args = arguments(tmp_path / folder, save_strategy="steps", save_steps=1)
            return MemoryGRPOTrainer(settings, args, callbacks=list(callbacks))

        whole = made("whole")
        whole.train()
        sent = len(server.requests)
        stopped = made("parts", StopAfterSaving())
        stopped.train()
        assert stopped.state.global_step == 1
        first = costs(stopped)
        resumed = made("parts")
        resumed.train(resume_from_checkpoint=True)
        assert len(server.requests) == 2 * sent
        assert costs(resumed) == costs(whole)
        assert costs(resumed)["reader/requests"] > first["reader/requests"] > 0
        # In one process, too: what was asked after the checkpoint counts once.
        stopped.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-1"))
        assert costs(stopped)["reader/requests"] == costs(whole)["reader/requests"]
