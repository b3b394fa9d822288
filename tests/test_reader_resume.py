"""A run whose reader's server says itself which model it has goes on with that model alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint_server import EndpointServer, first_note

from memenvs.errors import DataError
from trainers import checkpoint
from trainers.grpo import train
from trainers.parts import Parts
from trainers.ray_rollouts import Played, RayRollouts
from trainers.settings import EnvSettings, TrainSettings

SHORT = {"updates": 1, "group_size": 2, "eval_every": 9, "eval_streams": 1, "final_streams": 1, "checkpoint_every": 1}


@pytest.fixture
def server():
    with EndpointServer(first_note) as running:
        yield running


def refused_with_another_model(train, settings, server, folder):
    """Train one update with the model "rules", and go on: not with "other", with "rules", and where the model was not kept."""
    train(settings, folder, tensorboard=False)
    assert checkpoint.read_state(checkpoint.latest(folder))["reader"] == "rules"
    longer = replace(settings, updates=2)
    server.models = ["other"]
    before = len(server.requests)
    with pytest.raises(DataError, match="the reader 'rules', and 'other' would answer now"):
        train(longer, folder, resume=True, tensorboard=False)
    assert len(server.requests) == before
    file = checkpoint.latest(folder) / "state.json"
    state = json.loads(file.read_text())
    del state["reader"]
    file.write_text(json.dumps(state))
    train(longer, folder, resume=True, tensorboard=False)
    assert checkpoint.read_state(checkpoint.latest(folder))["reader"] == "other"


def test_a_candidates_run_goes_on_with_the_same_reader(tmp_path, server):
    settings = TrainSettings(env=EnvSettings(T=4, reader=server.address), **SHORT)
    refused_with_another_model(train, settings, server, tmp_path)


def test_a_language_models_run_goes_on_with_the_same_reader(tmp_path, server):
    pytest.importorskip("trl")
    from trl_program import small_settings

    from trainers.tokens.grpo import train

    env = EnvSettings(T=4, reader=server.address)
    settings = replace(small_settings(tmp_path / "small"), env=env, streams=1, **SHORT)
    refused_with_another_model(train, settings, server, tmp_path / "run")


def test_workers_are_told_the_model_that_the_run_asked_the_server_for(server):
    settings = TrainSettings(env=EnvSettings(T=4, reader=server.address), streams=1, group_size=2)
    parts = Parts(settings)

    class Pool:
        """Keeps what workers are given."""

        def share(self, weights):
            return weights

        def run(self, work, jobs):
            self.jobs = jobs
            return [(job, Played([job.streams], 0, {}, ())) for job in jobs]

    pool = Pool()
    assert RayRollouts(pool, settings)(parts, 0, [7], 0) == [(7,)]
    assert [job.settings.env.reader for job in pool.jobs] == [f"{server.address}#rules"]


def test_a_run_on_trl_goes_on_with_the_same_reader(tmp_path, server):
    pytest.importorskip("trl")
    from trl_program import arguments, small_settings

    from trainers.trl_adapter import MemoryGRPOTrainer

    settings = small_settings(tmp_path / "small")
    settings = replace(settings, env=replace(settings.env, reader=server.address), updates=1)

    def made():
        return MemoryGRPOTrainer(settings, arguments(tmp_path / "run", save_strategy="steps", save_steps=1))

    made().train()
    server.models = ["other"]
    with pytest.raises(DataError, match="the reader 'rules', and 'other' would answer now"):
        made().train(resume_from_checkpoint=True)
    (file,) = Path(tmp_path / "run").glob("checkpoint-*/trainer_state.json")
    state = json.loads(file.read_text())
    del state["stateful_callbacks"]["memenvs_reader"]
    file.write_text(json.dumps(state))
    made().train(resume_from_checkpoint=True)
