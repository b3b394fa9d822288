"""A language model's run whose reader is away: exit code, what is kept, and going on."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("transformers")

from endpoint_server import EndpointServer, first_note, free_port
from taught_model import taught  # noqa: F401

from agents.language_model.small import SmallSettings, make_small
from memenvs.errors import ReaderError
from memenvs.streams import load
from trainers.checkpoint import latest
from trainers.cli import main
from trainers.lock import alone_in
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings
from trainers.tokens.grpo import train
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings


def made(folder):
    """Settings of a small model of random weights, made in ``folder``."""
    own = LanguageModelSettings(model=str(folder), message="sentences", task="", memory_tokens=0, max_tokens=12)
    data = load("builtin", "train", T=4)
    small = SmallSettings(hidden=32, layers=1, vocabulary=400)
    make_small(own.model, [data[i] for i in range(8)], own.prompt(EnvSettings(T=4)), small)
    return own


def test_what_was_learnt_since_the_last_checkpoint_is_kept_where_the_reader_fails(tmp_path):
    with EndpointServer(first_note) as server:
        settings = TokenTrainSettings(
            env=EnvSettings(T=4, reader=f"{server.address}#rules"), lm=made(tmp_path / "model"), updates=2, streams=1, group_size=2,
            eval_every=9, eval_streams=1, final_streams=1, checkpoint_every=9,
        )  # fmt: skip

        def refuse_after_an_update(stage, done, total, line):
            if stage == "updates":
                server.fault_of = lambda request: "400"

        with pytest.raises(ReaderError, match="every rollout of update 2 failed"):
            train(settings, tmp_path / "run", progress=refuse_after_an_update, tensorboard=False)
        assert latest(tmp_path / "run").name == "checkpoint-000001"
        server.fault_of = None
        train(settings, tmp_path / "run", resume=True, tensorboard=False)
    assert [line["update"] for line in read_metrics(tmp_path / "run" / "metrics.csv")] == [0, 1, 2]


def test_a_last_evaluation_that_failed_is_made_again(taught, tmp_path):  # noqa: F811
    folder = tmp_path / "run"
    with EndpointServer(first_note) as server:
        settings = replace(
            taught, env=replace(taught.env, reader=f"{server.address}#rules"), eval_streams=3, final_streams=3
        )
        # The checkpoint is there before the evaluation.
        server.fault_of = lambda request: "400" if (folder / "checkpoint-000001").is_dir() else ""
        with pytest.raises(ReaderError, match="all 3 held-out"), pytest.warns(UserWarning, match="all 3 held-out"):
            train(settings, folder, tensorboard=False)
        assert [line["update"] for line in read_metrics(folder / "metrics.csv")] == [0]
        server.fault_of = None
        train(settings, folder, resume=True, tensorboard=False)
    ended = read_metrics(folder / "metrics.csv")[1]
    assert (ended["update"], ended["heldout/failures"]) == (1, 0)
    assert ended["heldout/r_global"] == json.loads((folder / "result.json").read_text())["r_global"]


def test_a_run_without_a_reader_fails_keeps_its_warm_start_and_goes_on(tmp_path, capsys):
    own = made(tmp_path / "model")
    folder, nowhere = tmp_path / "run", f"http://127.0.0.1:{free_port()}/v1#rules"
    command = [
        "train", "--agent", "lm", "--model", own.model, "--message", "sentences", "--task=", "--memory-tokens", "0",
        "--max-tokens", "48", "--T", "4", "--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1",
        "--chunk-questions", "1", "--warm-start", "scripted", "--warm-streams", "12", "--warm-epochs", "8", "--warm-rate", "1e-2",
        "--warm-batch", "4", "--reader-patience", "0", "--out", str(folder),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--reader", nowhere])
    assert str(stopped.value.code).startswith("ReaderError: the reader failed in all 1 held-out episodes")
    assert "connection" in str(stopped.value.code)
    assert not {path.name for path in folder.iterdir()} & {"start.json", "result.json"}
    assert (folder / "checkpoint-000000").is_dir()
    capsys.readouterr()
    with EndpointServer(first_note) as server:
        main([*command, "--reader", f"{server.address}#rules", "--resume", "auto"])
        with alone_in(folder), pytest.raises(SystemExit, match="another command is writing"):
            main([*command, "--reader", f"{server.address}#rules", "--resume", "auto"])
    shown = capsys.readouterr().out
    assert "teacher" not in shown
    lines = read_metrics(folder / "metrics.csv")
    assert [line["update"] for line in lines] == [0, 1]
    assert lines[0]["warm/loss"] > 0
    for name in ("start.json", "result.json"):
        told = json.loads((folder / name).read_text())
        # Of the attempt that failed its evaluation only the warm start counts, and a teacher asks nobody.
        assert (told["failures"], told["cost"]["reader/failed"]) == (0, 0)
