"""``memenvs train --workers N``: the run of one process, whoever plays and whoever is killed."""

import json
from pathlib import Path

import pytest
import torch
from endpoint_server import EndpointServer, first_note

from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from trainers import checkpoint
from trainers.cli import main
from trainers.ray_pool import OF_OUR_RAY
from trainers.settings import EnvSettings
from trainers.tokens.settings import LanguageModelSettings

SMALL = ["--T", "4", "--group-size", "3", "--streams", "2", "--updates", "3", "--checkpoint-every", "1"]
SMALL += ["--eval-every", "2", "--eval-streams", "2", "--final-streams", "2"]


@pytest.fixture(scope="module")
def node():
    """A Ray of this process's own for all runs here."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OF_OUR_RAY.items():
            patch.setenv(name, value)
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def train(folder, *arguments):
    main(["train", *SMALL, *map(str, arguments), "--out", str(folder)])
    return results(folder)


def results(folder):
    """All that a run leaves and that no clock decides."""
    newest = checkpoint.find(Path(folder))
    weights = {path.name: path.read_bytes() for path in newest.glob("*.safetensors")}
    assert weights
    text = [(folder / name).read_text() for name in ("metrics.csv", "result.json", "settings.json")]
    return [*text, weights, json.loads((newest / "state.json").read_text())]


def test_workers_that_would_have_nothing_to_do_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="of 3 workers 1 would have nothing to do. Take --streams 3, or fewer workers"):
        main(["train", *SMALL, "--workers", "3", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="how many workers on the Ray cluster at 'auto'"):
        main(["train", *SMALL, "--ray", "auto", "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_is_the_same_with_no_one_and_two_workers(node, tmp_path):
    # The sampler asks for streams in rounds; the reward asks the reader, which is counted.
    chosen = ["--reward", "credit:loo-step", "--sampler", "dynamic"]
    alone = train(tmp_path / "0", *chosen)
    assert "credit_calls" in alone[0]
    for workers in (1, 2):
        assert train(tmp_path / str(workers), *chosen, "--workers", workers) == alone


@pytest.mark.slow
def test_what_the_judge_notes_comes_back(node, tmp_path):
    chosen = ["--reward", "outcome", "--judge", "consensus"]
    assert train(tmp_path / "2", *chosen, "--workers", 2) == train(tmp_path / "0", *chosen)


@pytest.mark.slow
def test_a_run_goes_on_with_other_workers(node, tmp_path):
    # Streams come again, and steps are drawn again by this process.
    chosen = ["--pool", 3, "--group", "local"]
    whole = train(tmp_path / "whole", *chosen)
    train(tmp_path / "parts", *chosen, "--updates", 1, "--workers", 2)
    train(tmp_path / "parts", *chosen, "--updates", 2, "--resume", "auto")
    parts = train(tmp_path / "parts", *chosen, "--resume", "auto", "--workers", 1)
    assert parts[1:] == whole[1:]


@pytest.mark.slow
def test_a_worker_killed_in_an_episode_is_replaced(node, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = train(tmp_path / "0", "--reward", "ray_jobs:DieOnce")
    (tmp_path / "die-once").touch()
    assert train(tmp_path / "1", "--reward", "ray_jobs:DieOnce", "--workers", 1) == alone
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_what_workers_ask_a_server_is_counted_and_kept(node, tmp_path):
    with EndpointServer(first_note) as server:
        chosen = ["--reader", f"{server.address}#rules", "--chunk-questions", "1", "--updates", "2"]
        train(tmp_path / "0", *chosen)
        server.requests.clear()
        train(tmp_path / "2", *chosen, "--workers", 2)
        sent = len(server.requests)
        train(tmp_path / "again", *chosen, "--workers", 2, "--reader-cache", tmp_path / "2" / "replies.sqlite")
        assert len(server.requests) == sent
    costs = [json.loads((tmp_path / name / "result.json").read_text())["cost"] for name in ("0", "2", "again")]
    assert len({cost["reader/requests"] for cost in costs}) == 1
    assert [cost["reader/answered"] for cost in costs[1:]] == [sent, 0]


@pytest.mark.slow
def test_a_language_model_is_trained_on_workers_as_without(node, tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("peft")
    torch.set_num_threads(1)  # as a worker has
    own = {"message": "sentences", "task": "", "memory_tokens": 48}
    data = load("builtin", "train", T=4)
    prompt = LanguageModelSettings(**own).prompt(EnvSettings())
    make_small(tmp_path / "m", [data[i] for i in range(4)], prompt, SmallSettings(hidden=32, layers=2, vocabulary=400))
    chosen = ["--agent", "lm", "--model", tmp_path / "m", "--message", "sentences", "--task", "", "--memory-tokens", 48]
    chosen += ["--max-tokens", 12, "--device", "cpu", "--learning-rate", "1e-3", "--reward", "finemem-cited"]
    chosen += ["--batch", 3]  # one stream is a job
    chosen += ["--lora-rank", 2]  # all weights: tests/test_ray_rollouts.py
    assert train(tmp_path / "2", *chosen, "--workers", 2) == train(tmp_path / "0", *chosen)
