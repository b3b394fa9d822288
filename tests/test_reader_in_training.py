"""Training with a reader behind a server: what it is asked, what is kept, and what that cost."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, fields, replace

import pytest
from endpoint_server import EndpointServer, first_note

from memenvs.errors import SettingsError
from trainers.cli import main
from trainers.endpoint_options import EndpointOptions
from trainers.grpo import train
from trainers.reader_settings import ReaderSettings
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings, TrainSettings

SMALL = [
    "--T", "4", "--updates", "3", "--group-size", "2", "--eval-streams", "2", "--final-streams", "2", "--chunk-questions", "1",
    "--eval-every", "3", "--checkpoint-every", "9",
]  # fmt: skip


@pytest.fixture
def server():
    with EndpointServer(first_note) as running:
        yield running


def asked(server):
    return [json.dumps(request["messages"]) for request in server.requests]


def result(folder):
    return json.loads((folder / "result.json").read_text())


def without_reader(folder):
    lines = read_metrics(folder / "metrics.csv")
    return [{name: value for name, value in line.items() if not name.startswith("reader/")} for line in lines]


def test_a_killed_run_asks_no_question_twice(tmp_path, server):
    command = ["train", *SMALL, "--reader", f"{server.address}#rules", "--reader-concurrency", "1"]
    main([*command, "--out", str(tmp_path / "whole")])
    wanted = asked(server)
    assert len(set(wanted)) == len(wanted)
    assert result(tmp_path / "whole")["cost"]["reader/answered"] == len(wanted)
    server.requests.clear()
    folder, enough = tmp_path / "killed", len(wanted) * 2 // 3

    def hold(request):
        """What is asked from here on is not answered any more."""
        if len(server.requests) == enough:
            server.gate.clear()
        return ""

    server.fault_of = hold
    process = subprocess.Popen(
        [sys.executable, "-m", "memenvs", *command, "--out", str(folder)], stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while server.gate.is_set():
        assert process.poll() is None
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.fault_of = None
    server.gate.set()
    assert len(server.requests) == enough
    main([*command, "--resume", "auto", "--out", str(folder)])
    # One at a time: only the request that was under way is asked again.
    assert len(server.requests) == len(wanted) + 1
    assert set(asked(server)) == set(wanted)
    assert without_reader(folder) == without_reader(tmp_path / "whole")
    assert result(folder)["cost"]["reader/cached"] > result(tmp_path / "whole")["cost"]["reader/cached"]


def test_a_run_says_what_its_reader_cost_and_is_replayed_without_a_server(tmp_path, capsys):
    with EndpointServer(first_note) as server:
        command = ["train", *SMALL, "--reader", f"{server.address}#rules"]
        main([*command, "--reader-price-in", "2", "--reader-price-out", "5", "--out", str(tmp_path / "a")])
        sent = len(server.requests)
    shown = " ".join(capsys.readouterr().out.split())
    cost = result(tmp_path / "a")["cost"]
    requests = cost["reader/requests"]
    assert cost["reader/answered"] == sent < requests
    assert cost["reader/hit_rate"] == pytest.approx((requests - sent) / requests)
    assert (cost["reader/prompt_tokens"], cost["reader/completion_tokens"]) == (10 * sent, 3 * sent)
    assert cost["reader/cost"] == pytest.approx(sent * (10 * 2 + 3 * 5) / 1e6)
    assert (cost["reader/failed"], cost["reader/uncited"], cost["reader/unstructured"]) == (0, 0, 0)
    assert f"reader: {requests:.0f} requests" in shown
    last = read_metrics(tmp_path / "a" / "metrics.csv")[-1]
    assert last["reader/requests"] < requests  # the last evaluation comes after it
    assert last["reader/failed"] == 0
    replies = ["--reader-cache", str(tmp_path / "a" / "replies.sqlite"), "--reader-replay", "on"]
    main([*command, *replies, "--out", str(tmp_path / "b")])
    assert without_reader(tmp_path / "b") == without_reader(tmp_path / "a")
    assert result(tmp_path / "b")["cost"]["reader/answered"] == 0
    assert not (tmp_path / "b" / "replies.sqlite").exists()


def test_a_resumed_run_goes_on_counting(tmp_path, server):
    env = EnvSettings(T=4, chunk_questions=1, reader=f"{server.address}#rules")
    settings = TrainSettings(
        env=env, updates=2, group_size=2, eval_every=2, eval_streams=1, final_streams=1, checkpoint_every=1
    )
    train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=1), tmp_path / "parts", tensorboard=False)
    train(settings, tmp_path / "parts", resume=True, tensorboard=False)
    first, second = (read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "parts"))
    # The shorter run's evaluation after its only update was asked beside the others.
    assert second[2]["reader/requests"] - second[1]["reader/requests"] == (
        first[2]["reader/requests"] - first[1]["reader/requests"]
    )
    assert second[2]["reader/requests"] > first[2]["reader/requests"]


def test_what_changes_no_reply_may_change_in_a_run_that_goes_on():
    base = TrainSettings(env=EnvSettings(reader="http://127.0.0.1:9/v1#m"))

    def given(**options):
        return replace(base, env=replace(base.env, **options)).fingerprint

    for options in (
        {"reader_cache": "x", "reader_replay": "on"}, {"reader_concurrency": 2}, {"reader_timeout": 3.0},
        {"reader_patience": 1.0}, {"reader_price_in": 1.0, "reader_price_out": 2.0},
        {"reader_requests_per_minute": 3, "reader_tokens_per_minute": 4},
    ):  # fmt: skip
        assert given(**options) == base.fingerprint
    for options in ({"reader_max_tokens": 9}, {"reader_temperature": 0.5}, {"reader_templates": "mab"}):
        assert given(**options) != base.fingerprint
    assert given(reader="http://127.0.0.1:10/v1#m") == base.fingerprint
    assert given(reader="http://127.0.0.1:9/v1#other") != base.fingerprint
    assert given(reader="http://127.0.0.1:9/v1") != given(reader="http://127.0.0.1:10/v1")
    local = replace(base, env=EnvSettings(reader="local:x"))
    assert replace(local, env=replace(local.env, reader_batch=2, reader_device="cpu")).fingerprint == local.fingerprint
    assert replace(local, env=replace(local.env, reader_dtype="bfloat16")).fingerprint != local.fingerprint


def test_training_takes_the_options_of_an_evaluation():
    assert {f"reader_{name}" for name in EndpointOptions.__annotations__} | {"reader"} == {
        entry.name for entry in fields(ReaderSettings)
    }
    assert asdict(EnvSettings())["reader_cache"] is None


@pytest.mark.parametrize(
    ("reader", "option", "kind"),
    [
        ("extractive", {"reader_cache": "x"}, "--reader-cache: only a reader at an address"),
        ("http://x/v1#m", {"reader_batch": 2}, "--reader-batch: only a local: reader"),
        ("local:x", {"reader_requests_per_minute": 2}, "--reader-requests-per-minute: only a reader at an address"),
    ],
)
def test_an_option_for_another_reader_is_refused(reader, option, kind):
    with pytest.raises(SettingsError, match=kind):
        EnvSettings(reader=reader, **option)
