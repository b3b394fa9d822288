"""A reader over `transformers serve` with a small Qwen3 model made here: a whole episode, and one with the server killed in it."""

from __future__ import annotations

import random
import signal
import threading
from importlib.util import find_spec

import gymnasium as gym
import pytest
from endpoint_server import EndpointServer, free_port
from tiny_server import make_model, serve

import memenvs  # noqa: F401 - registers the environments
from memenvs.endpoint import ChatEndpoint, ChatSettings

pytestmark = pytest.mark.slow
# Looked for, not imported: collecting this file should not load torch.
if missing := [name for name in ("openai", "torch", "transformers", "fastapi", "uvicorn") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}: pip install -e '.[serve]'", allow_module_level=True)
TOKENS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def model(folder):
    return make_model(folder / "tiny")


@pytest.fixture(scope="module")
def server(folder, model):
    """Something with a ``process`` that may be killed and started again on the same port."""

    class Server:
        port = free_port()
        address = f"http://127.0.0.1:{port}/v1#{model}"

        def start(self) -> None:
            self.process = serve(model, self.port, folder / "home")

        def kill(self) -> None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    made = Server()
    made.start()
    yield made
    made.kill()


def play(address: str, sample: int, between=lambda step: None, **more):
    """An episode of builtin streams whose agent keeps every chunk; ``between`` is called before each step.

    Another ``sample`` sends the same requests, but is not answered from the memory of an earlier one.
    """
    settings = {"max_tokens": TOKENS, "concurrency": 4, "sample": sample} | more
    env = gym.make("FineMem-Memalpha-v0", reader=address, reader_settings=settings, data_settings={"T": 6}, k=2)
    seen, _ = env.reset(seed=3)
    done, step = False, 0
    while not done:
        between(step)
        text = seen["chunk"].replace("\\", " ").replace('"', " ").replace("\n", " ")
        seen, _, done, _, info = env.step(f'[{{"op": "INSERT", "content": "{text}"}}]')
        step += 1
    return env.unwrapped.record, info, env.unwrapped.reader


def predictions(record) -> list[str | None]:
    return [r.prediction for step in record.steps for r in step.readings] + [r.prediction for r in record.questions]


def test_an_episode_survives_its_server_being_killed_and_restarted(server):
    whole, info, reader = play(server.address, 0)
    assert info["failure"] is None
    assert None not in predictions(whole)
    usage = reader.usage
    assert usage.answered > 10
    assert usage.failed.total() == usage.retries == 0
    # Random weights do not know when to end: replies are cut off at their longest, and are counted as that.
    assert usage.truncated > usage.answered / 2
    assert usage.completion_tokens <= TOKENS * usage.answered
    assert usage.prompt_tokens > usage.answered
    assert usage.unreported == 0
    assert reader.unstructured + usage.cached > 0

    restart = threading.Timer(1.0, server.start)

    def kill_once(step: int) -> None:
        if step == 3:
            server.kill()
            # The next step's readings find nobody, and wait while this thread starts the server again.
            restart.start()

    killed, info, reader = play(server.address, 1, kill_once, patience=600)
    restart.join()
    assert info["failure"] is None
    assert predictions(killed) == predictions(whole)
    assert (reader.usage.requests, reader.usage.failed.total()) == (usage.requests, 0)
    assert reader.usage.answered == usage.answered
    assert reader.usage.prompt_tokens == usage.prompt_tokens
    assert reader.usage.retries > 0


FAULTS = ("429", "429 0.1", "500", "503", "drop", "cut", "half", "html", "no choices", "hang", "drip", "error 200")


def test_faults_between_reader_and_server_change_neither_answers_nor_costs(server):
    address, _, model = server.address.partition("#")
    whole, _, plain = play(server.address, 2)
    draw = random.Random(0)
    with EndpointServer(upstream=address) as proxy:
        # Every fault at least once, one request in three, at most as many in a row as are retried.
        proxy.faults = [fault for each in FAULTS for fault in draw.sample([each, "", ""], 3)]
        shaken, info, reader = play(f"{proxy.address}#{model}", 3, timeout=10.0)
        assert proxy.faults == []
    assert info["failure"] is None
    assert predictions(shaken) == predictions(whole)
    expected = plain.usage.to_json() | {"retries": len(FAULTS)}
    assert reader.usage.to_json() == expected


def test_a_model_that_is_not_there_is_refused_with_the_servers_words(server):
    address = server.address.partition("#")[0]
    model = ChatEndpoint(ChatSettings(address, "no/such-model", max_tokens=TOKENS))
    (failure,) = model.complete([[{"role": "user", "content": "x"}]])
    assert failure.kind == "refused"
    assert "no/such-model" in failure.message
    assert model.usage.retries == 0
