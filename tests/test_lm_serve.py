"""The same model in this process and behind `transformers serve`: the same prompts, the same messages."""

import signal
from importlib.util import find_spec

import pytest
from endpoint_server import free_port

pytestmark = pytest.mark.slow
if missing := [name for name in ("openai", "torch", "transformers", "fastapi", "uvicorn") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}: pip install -e '.[serve]'", allow_module_level=True)

from small_models import saved_model  # noqa: E402
from tiny_server import serve  # noqa: E402

from agents.base import View, make_agent  # noqa: E402
from memenvs.memory import MemoryItem  # noqa: E402
from memenvs.reading import Reading, make_reader  # noqa: E402

TOKENS = 24


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Folder of the model and address of its server."""
    home = tmp_path_factory.mktemp("served")
    folder = saved_model(home / "tiny")
    port = free_port()
    process = serve(folder, port, home / "home")
    yield folder, f"http://127.0.0.1:{port}/v1#{folder}"
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("dialect", ["json", "sentences", "memory-r1", "function_calls"])
def test_a_served_model_says_what_the_local_one_says(served, dialect):
    folder, url = served
    memory = (MemoryItem("0.0", "Ann has a dog.", 0, 0, 5), MemoryItem("0.1", "Bob is in Rome.", 0, 0, 5))
    views = [View("Ann has a cat. Bob left Rome.", memory[:n], 1, 3, "Monday") for n in range(3)]
    settings = {"dialect": dialect, "memory_tokens": 12, "max_operations": 2, "max_tokens": TOKENS}
    # The server leaves the template's switch for thoughts as it is.
    local = make_agent(f"lm:{folder}", device="cpu", thinking=True, **settings)
    hosted = make_agent(f"endpoint:{url}", **settings)
    # It also strips what it sends.
    expected = [decision.message.strip() for decision in local.act_batch(views)]
    assert len(set(expected)) == 3
    assert hosted.act_batch(views) == expected
    assert hosted.usage.prompt_tokens == local.counts["prompt_tokens"]
    assert hosted.usage.truncated == local.counts["truncated"]


def test_a_served_reader_answers_what_the_local_one_answers(served):
    folder, url = served
    items = (("0.0", "Ann has a dog."), ("0.1", "Bob is in Rome."))
    readings = [
        Reading("Who has a dog?", items, "squad"),
        Reading("Where is Bob?", items[1:]),
        Reading("Is it raining?", ()),
    ]
    hosted, local = make_reader(url, max_tokens=TOKENS), make_reader(f"local:{folder}", max_tokens=TOKENS, device="cpu")
    expected = hosted.read(readings)
    assert len({answer.text for answer in expected}) == 3
    assert local.read(readings) == expected
    assert (local.uncited, local.unstructured) == (hosted.uncited, hosted.unstructured)
    assert local.usage.to_json() == hosted.usage.to_json()
