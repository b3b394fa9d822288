"""Servers and askers that are killed: nothing lost, nothing counted twice, no failure turned into an answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("openai")

from endpoint_server import free_port, start_process

from memenvs.endpoint import ChatEndpoint, ChatSettings, ReplyCache
from memenvs.reading import Answer, EndpointReader, Reading

READINGS = [Reading(f"What is {n}?", (("1.1", f"Number {n} is thing{n}."), ("1.2", "Noise."))) for n in range(60)]
ANSWERS = [Answer(f"thing{n}", ("1.1",)) for n in range(60)]


def model_at(port: int, **settings: object) -> EndpointReader:
    return EndpointReader(ChatEndpoint(ChatSettings(f"http://127.0.0.1:{port}/v1", "rules", concurrency=4, **settings)))


def served(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.is_file() else []


def wait_until(condition) -> None:
    for _ in range(60_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen within ten minutes")


@pytest.mark.parametrize("killer", ["itself, in mid-request", "us, while requests wait"])
def test_a_server_killed_and_restarted_within_patience_loses_nothing(tmp_path, killer):
    port, log = free_port(), tmp_path / "served.jsonl"
    itself = killer.startswith("itself")
    server = start_process(port, log, "--die-after" if itself else "--hold-after", "25")
    model = model_at(port)
    try:
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(model.read, READINGS)
            if not itself:
                wait_until(lambda: len(served(log)) == 25)
                server.send_signal(signal.SIGKILL)
            server.wait()
            assert not reading.done()
            server = start_process(port, log)
            answers = reading.result()
    finally:
        server.kill()
        server.wait()
    assert answers == ANSWERS
    usage = model.usage
    assert (usage.requests, usage.answered, usage.cached, usage.failed.total()) == (60, 60, 0, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (600, 180)
    assert usage.retries > 0
    # What was under way when it died, at most four requests, may have been worked on twice.
    assert 60 <= len(served(log)) <= 64


def test_beyond_patience_the_rest_fails_typed_and_is_asked_again_later(tmp_path):
    port, log = free_port(), tmp_path / "served.jsonl"
    server = start_process(port, log, "--die-after", "25")
    model = model_at(port, patience=0.5)
    answers = model.read(READINGS)
    assert server.wait() == -signal.SIGKILL
    failed = [n for n, answer in enumerate(answers) if answer.failure is not None]
    assert len(failed) == model.usage.failed["connection"] == 60 - model.usage.answered == 35
    assert all(answer.text == "" for answer in answers if answer.failure is not None)
    assert [answers[n] for n in range(60) if n not in failed] == [ANSWERS[n] for n in range(60) if n not in failed]
    server = start_process(port, log)
    try:
        assert model.read(READINGS) == ANSWERS
    finally:
        server.kill()
        server.wait()
    # What had been answered before was not asked again.
    assert (model.usage.answered, model.usage.cached) == (60, 25)


ASK = """
import json, sys
from test_endpoint_restart import READINGS, model_at
model = model_at(int(sys.argv[1]), cache=sys.argv[2])
answers = model.read(READINGS)
print([answer.text for answer in answers], json.dumps(model.usage.to_json()), sep="\\n")
"""


def test_an_asker_that_is_killed_goes_on_from_its_cache(tmp_path):
    port, log, cache = free_port(), tmp_path / "served.jsonl", tmp_path / "replies.sqlite"
    server = start_process(port, log, "--hold-after", "20")
    command = [sys.executable, "-c", ASK, str(port), str(cache)]
    here = Path(__file__).parent
    try:
        asker = subprocess.Popen(command, cwd=here)
        kept = ReplyCache(cache)
        wait_until(lambda: len(kept) == 20)
        for one in (asker, server):
            one.kill()
            one.wait()
        server = start_process(port, log)
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    finally:
        server.kill()
        server.wait()
    texts, usage = done.stdout.splitlines()
    assert texts == str([answer.text for answer in ANSWERS])
    usage = json.loads(usage)
    assert (usage["answered"], usage["cached"], usage["failed"]) == (40, 20, {})
    assert len(served(log)) == len(set(served(log))) == 60


def test_several_processes_ask_through_one_cache_and_agree(tmp_path):
    port, log, cache = free_port(), tmp_path / "served.jsonl", tmp_path / "replies.sqlite"
    server = start_process(port, log)
    command = [sys.executable, "-c", ASK, str(port), str(cache)]
    try:
        askers = [
            subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]
        said = [asker.communicate()[0].splitlines() for asker in askers]
    finally:
        server.kill()
        server.wait()
    assert [texts for texts, _ in said] == [str([answer.text for answer in ANSWERS])] * 3
    assert len(ReplyCache(cache)) == 60
    # Processes know of each other's finished replies, not of those under way; what was asked twice is counted twice.
    assert sum(json.loads(usage)["answered"] for _, usage in said) == len(served(log)) >= 60
